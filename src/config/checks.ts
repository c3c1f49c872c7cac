// Mistakes that no single key shows: two listeners on one address, an admin API that anybody could reach.
import type * as z from 'zod'
import { formatAddress, type BindAddress } from './address.ts'

// These run beside other mistakes too, so that all are told at once: what they read may not have become what its type says.
type Unsure = Readonly<Record<string, unknown>>
const entries = (value: unknown): [string, unknown][] => (typeof value === 'object' && value !== null ? Object.entries(value) : [])
const fields = (value: unknown): Unsure => Object.fromEntries(entries(value))
const addressOf = (value: unknown): BindAddress | undefined => {
  const address = Object.fromEntries(entries(value))['address'] as Partial<BindAddress> | undefined
  return typeof address?.port === 'number' ? (address as BindAddress) : undefined
}

/** Two addresses that cannot both be bound. */
export function checkListeners(config: Unsure, context: z.core.$RefinementCtx): void {
  const bound: { readonly path: string[]; readonly address: BindAddress }[] = []
  const places = [['admin'], ['health'], ...entries(entries(config).find(([key]) => key === 'listeners')?.[1]).map(([name]) => ['listeners', name])]
  for (const place of places) {
    const address = addressOf(place.reduce<unknown>((value, key) => Object.fromEntries(entries(value))[key], config))
    if (address === undefined) continue
    const path = [...place, 'address']
    const other = bound.find((earlier) => overlap(earlier.address, address))
    if (other === undefined) bound.push({ path, address })
    else {
      const expected = `another address or port; ${other.path.join('.')} has ${formatAddress(other.address)}`
      context.addIssue({ code: 'custom', path, message: 'is taken', params: { expected } })
    }
  }
}

/** TLS that nobody can speak, certificates that nobody uses, and hosts with two policies. */
export function checkTls(config: Unsure, context: z.core.$RefinementCtx): void {
  const wrong = (path: PropertyKey[], message: string, expected: string): void => context.addIssue({ code: 'custom', path, message, params: { expected } })
  const tls = fields(config['tls'])
  const certificates = Array.isArray(tls['certificates']) ? tls['certificates'].length : 0
  const listeners = entries(config['listeners']).map(([name, listener]) => ({ name, listener: fields(listener) }))
  for (const { name, listener } of listeners) {
    if (listener['tls'] !== true) continue
    if (certificates === 0) wrong(['listeners', name, 'tls'], 'has no certificate to show', 'tls.certificates as well')
    if (listener['h2c'] === true) wrong(['listeners', name, 'h2c'], 'is set on a listener that speaks TLS, which offers HTTP/2 by itself', 'h2c on one in the clear')
    if (listener['redirect'] !== undefined) wrong(['listeners', name, 'redirect'], 'is set on a listener that speaks TLS', 'redirect on one that does not')
  }
  if (certificates > 0 && listeners.length > 0 && !listeners.some(({ listener }) => listener['tls'] === true)) {
    wrong(['tls', 'certificates'], 'are used by no listener', 'a listener with tls: true')
  }
  const governed = new Set<string>()
  for (const [at, client] of (Array.isArray(tls['clients']) ? tls['clients'] : []).entries()) {
    const { hosts } = fields(client)
    for (const [place, host] of (Array.isArray(hosts) ? hosts : []).entries()) {
      if (typeof host !== 'string') continue
      if (governed.has(host)) wrong(['tls', 'clients', at, 'hosts', place], 'is named twice', 'each host once')
      governed.add(host)
    }
  }
}

/** The admin API beyond loopback asks for a token; two sources of one token could disagree. */
export function checkAdmin(admin: Unsure, context: z.core.$RefinementCtx): void {
  const fields = Object.fromEntries(entries(admin))
  const [address, hasToken, hasFile] = [addressOf(admin), fields['token'] !== undefined, fields['tokenFile'] !== undefined]
  if (hasToken && hasFile) {
    context.addIssue({ code: 'custom', path: ['tokenFile'], message: 'is set beside token', params: { expected: 'one of them' } })
  }
  if (address !== undefined && !isLoopback(address.host) && !hasToken && !hasFile) {
    const params = { expected: 'a loopback address such as 127.0.0.1:9080, or admin.token or admin.tokenFile as well' }
    context.addIssue({ code: 'custom', path: ['address'], message: 'can be reached from other machines', params })
  }
}

/** All namespaces or some; two sources of one token could disagree. */
export function checkNomad(nomad: Unsure, context: z.core.$RefinementCtx): void {
  const { token, tokenFile, namespaces } = Object.fromEntries(entries(nomad))
  if (token !== undefined && tokenFile !== undefined) {
    context.addIssue({ code: 'custom', path: ['tokenFile'], message: 'is set beside token', params: { expected: 'one of them' } })
  }
  if (Array.isArray(namespaces) && namespaces.length > 1 && namespaces.includes('*')) {
    context.addIssue({ code: 'custom', path: ['namespaces', namespaces.indexOf('*')], message: 'stands beside names', params: { expected: '* alone, or names' } })
  }
}

const everywhere = new Set(['', '0.0.0.0', '::'])
const overlap = (a: BindAddress, b: BindAddress): boolean =>
  a.port !== 0 && a.port === b.port && (a.host === b.host || everywhere.has(a.host) || everywhere.has(b.host))

/** Whether only this machine can reach what is bound there. */
const isLoopback = (host: string): boolean => host === '::1' || host.toLowerCase() === 'localhost' || /^127(\.[0-9]+){3}$/.test(host)
