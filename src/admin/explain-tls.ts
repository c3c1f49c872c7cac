// The part of an explanation that is about TLS: which listener takes the URL, and which certificate it would show; pure.
import { NameIndex } from '#src/tls/name-index.ts'
import type { CertificateView, Explanation, StatusView } from './subject.ts'

type Step = Explanation['steps'][number]
type Listener = StatusView['listeners'][number]

/** The listener that an URL's scheme and port lead to, and what is said of it. */
export function listenerFor(listeners: readonly Listener[], scheme: 'http' | 'https', port: string, namesPort: boolean): { readonly step: Step; readonly listener: Listener | undefined } {
  const own = listeners.find(({ address }) => address.endsWith(`:${port}`))
  const spoken = ({ tls }: Listener): boolean => tls === (scheme === 'https')
  if (own !== undefined) {
    const ok = spoken(own)
    const why = ok ? '' : own.tls ? ', and speaks TLS: plain HTTP is answered 400 there' : ', and does not speak TLS'
    return { listener: own, step: { stage: 'listener', name: own.name, ok, why: `listens on ${own.address}${why}` } }
  }
  const [first] = listeners
  if (first === undefined) return { listener: undefined, step: { stage: 'listener', name: `port ${port}`, ok: false, why: 'no listener is open' } }
  // A balancer in front may have any port; which listener it passes on to makes no difference, as they share the routes.
  const likely = listeners.find(spoken) ?? first
  if (!namesPort) return { listener: likely, step: { stage: 'listener', name: likely.name, ok: true, why: `the URL names no port, and ${likely.name} listens on ${likely.address}` } }
  return { listener: likely, step: { stage: 'listener', name: `port ${port}`, ok: false, why: `nothing listens there; shown is what ${likely.name} on ${likely.address} would do` } }
}

/** The certificate that a client gets who asks for this host; undefined in the step's place when none is for it. */
export function certificateStep(certificates: readonly CertificateView[], host: string): Step {
  const usable = certificates.filter(({ state }) => state !== 'missing')
  const index = new NameIndex<CertificateView>()
  for (const certificate of usable.toSorted((a, b) => compare(a.notBefore ?? '', b.notBefore ?? ''))) for (const name of certificate.names) index.set(name, certificate)
  const named = index.find(host)
  const taken = named ?? usable.find((certificate) => certificate.default)
  if (taken === undefined) return { stage: 'certificate', name: host, ok: false, why: 'no certificate is for it, and none is the default: the handshake ends with the alert unrecognized_name' }
  const name = taken.names.includes(host) ? host : `*${host.slice(host.indexOf('.'))}`
  const why = named === undefined ? 'is the default, as none is for this host: clients that verify it refuse it' : `is for ${name}`
  const life = taken.state === 'good' ? `; ${taken.daysLeft ?? 0} days left` : `; ${taken.state}`
  return { stage: 'certificate', name: taken.file, ok: taken.state === 'good', why: why + life + taken.problems.map((problem) => `; ${problem}`).join('') }
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
