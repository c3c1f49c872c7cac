// A program for the admin server to talk about: plain data, as the control plane hands it over.
import type { Problem } from '#src/catalog/catalog.ts'
import { explain } from '#src/admin/explain.ts'
import type { CertificateView, EndpointView, RouteView, ServiceView, StatusView, Subject } from '#src/admin/subject.ts'

const since = '2026-01-02T03:04:05.000Z'

export const policy: RouteView['policy'] = {
  retryAttempts: 2, retryTimeoutMs: 10_000, headTimeoutMs: 60_000, bodyTimeoutMs: 60_000, totalTimeoutMs: 0, upgrades: ['websocket'], ejectStatuses: [],
}

/** A route to `web@file/default`, but for what is given. */
export function route(given: Partial<RouteView>): RouteView {
  return { host: 'a.example.org', path: '/', kind: 'prefix', router: 'default', service: 'web@file/default', refuse: '', endpoints: ['127.0.0.1:9001'], waiting: [], policy, ...given }
}

export function endpoint(address: string, given: Partial<EndpointView> = {}): EndpointView {
  return { address, weight: 100, state: 'ready', why: '', since, ...given }
}

export const status: StatusView = {
  version: '0.1.0',
  pid: 4711,
  startedAt: since,
  uptimeSeconds: 61.5,
  state: 'ready',
  revision: 7,
  complete: true,
  workers: [{ id: 1, state: 'running', revision: 7, restarts: 0, connections: 3, exchanges: 1, heapBytes: 9_000_000 }, { id: 2, state: 'restarting', revision: 6, restarts: 1, connections: 0, exchanges: 0 }],
  catalogs: [{ name: 'file', state: 'stale', answer: 'unreachable', readAt: since, ageSeconds: 12, errors: 2, problem: 'services.yaml:3: expected a list' }, { name: 'nomad', state: 'waiting', answer: 'none yet', readAt: null, ageSeconds: null, errors: 0 }],
  listeners: [{ name: 'http', address: '0.0.0.0:8080', tls: false }],
  config: { source: 'serai.yaml', loadedAt: since },
}

export const routes: readonly RouteView[] = [
  route({ endpoints: ['127.0.0.1:9001', '127.0.0.1:9002'] }),
  route({ path: '/api', service: 'api@file/default', endpoints: ['127.0.0.1:9003'] }),
  route({ host: '*.example.org', path: '/down', kind: 'exact', service: 'api@file/default', router: 'wide', refuse: 'problem', endpoints: [] }),
]

export const services: readonly ServiceView[] = [
  { key: 'web@file/default', scheme: 'http', balance: 'p2c', endpoints: [endpoint('127.0.0.1:9001', { inFlight: 2 }), endpoint('127.0.0.1:9002', { state: 'ejected', why: '5 connect errors in a row' })] },
  { key: 'api@file/default', scheme: 'https', balance: 'rr', endpoints: [endpoint('127.0.0.1:9003', { state: 'slow start' })] },
]

export const problems: readonly Problem[] = [
  { service: 'api@file/default', router: 'wide', tag: 'serai.router.wide.auth.basci=<script>alert(1)</script>', reason: 'unknown key auth.basci', where: 'services.yaml:9' },
]

export const certificates: readonly CertificateView[] = [{
  file: '/etc/serai/a.pem', names: ['*.example.org', 'a.example.org'], default: true, state: 'good', keyType: 'ec', issuer: 'Test authority',
  notBefore: since, notAfter: '2026-04-02T03:04:05.000Z', daysLeft: 30, fingerprint: 'ab'.repeat(32), problems: [],
}]

/** The subject; what is given replaces its parts. */
export function makeSubject(given: Partial<Subject> = {}): Subject {
  const subject: Subject = {
    status: () => status,
    readiness: () => ({ ready: true, reasons: [] }),
    routes: () => routes,
    services: () => services,
    problems: () => problems,
    certificates: () => certificates,
    metrics: async () => 'serai_ready 1\n',
    explain: (question) => explain({
      complete: subject.status().complete, listeners: status.listeners, routes: subject.routes(), services: subject.services(), problems: subject.problems(),
      certificates: subject.certificates(),
    }, question),
    ...given,
  }
  return subject
}
