// What RFC 9113 section 8 makes of a message, slow and obvious: what the other side has to see of it, or that it is none.
import type { Pair } from './hpack-oracle.ts'
import { HOST, paths, type Http2Message } from './http2-messages.ts'
import { readAuthority } from './oracle.ts'

export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly host: string
  readonly fields: readonly Pair[]
  readonly body: string
}

/** What may reach the upstream; `surely`: it has to. */
export interface Passing {
  readonly request: SeenRequest
  readonly surely: boolean
}

export interface SeenAnswer {
  readonly status: number
  readonly fields: readonly Pair[]
  readonly body: string
}

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const value = /^(?![ \t])[\t\x20-\x7e\x80-\xff]*(?<![ \t])$/
/** 8.2.2. */
const ofConnections = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])
/** What goes no further by our own rules: look-alikes, claims about who was before, what CGI programs trip over. */
const dropped = new Set(['content_length', 'transfer_encoding', 'x-forwarded-for', 'x_forwarded_for', 'http2-settings', 'proxy'])

/** The request as the upstream has to get it; undefined: never, or never whole. */
export function seenRequest({ heads, body, trailers }: Http2Message): Passing | undefined {
  const all = heads[0]!
  const special = splitPseudo(all)
  if (special === undefined) return undefined
  const { pseudo, regular } = special
  const names = pseudo.map(([name]) => name)
  if (names.some((name) => ![':method', ':scheme', ':path', ':authority'].includes(name)) || new Set(names).size < names.length) return undefined // :protocol belongs to CONNECT
  const given = new Map(pseudo)
  const valuesOf = (name: string): string[] => regular.filter(([each]) => each === name).map(([, each]) => each)
  const method = given.get(':method') ?? ''
  const [host] = valuesOf('host')
  const authority = given.get(':authority') ?? host
  const target = paths.get(given.get(':path') ?? '')
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}$/.test(method) || method === 'CONNECT' || method === 'TRACE') return undefined
  if (!/^[a-z][a-z0-9+.-]*$/i.test(given.get(':scheme') ?? '') || target === undefined || authority === undefined) return undefined
  if (valuesOf('host').length > 1 || readAuthority(authority)?.name !== HOST) return undefined
  if (host !== undefined && readAuthority(host)?.name !== HOST) return undefined
  const usual = given.get(':scheme') === 'https' ? 443 : 80
  if (host !== undefined && (readAuthority(host)!.port ?? usual) !== (readAuthority(authority)!.port ?? usual)) return undefined
  if (valuesOf('te').some((each) => each !== 'trailers') || valuesOf('expect').length > 0) return undefined
  const lengths = valuesOf('content-length')
  const text = bodyOf(body, trailers, lengths)
  // What is more than was announced may come when the request has gone already: it was whole, and stays what it was.
  const announced = lengths.length === 1 && /^[0-9]+$/.test(lengths[0]!) ? (body ?? []).join('').slice(0, Number(lengths[0])) : ''
  if (text === undefined && announced.length !== Number(lengths.length === 1 ? lengths[0] : Number.NaN)) return undefined
  const cookie = valuesOf('cookie').filter((each) => each !== '').join('; ')
  const fields = regular.filter(([name]) => !dropped.has(name) && !['host', 'te', 'content-length', 'cookie'].includes(name))
  return { request: { method, target, host: authority, fields: [...fields, ...(cookie === '' ? [] : [['cookie', cookie] as const])], body: text ?? announced }, surely: text !== undefined }
}

/** The answer to `method` as a client of HTTP/1.1 has to get it; undefined: a 502, or cut. */
export function seenAnswer({ heads, body, trailers, reset }: Http2Message, method: string): SeenAnswer | 'either' | undefined {
  for (const head of heads) {
    const special = splitPseudo(head)
    if (special === undefined || special.pseudo.length !== 1 || special.pseudo[0]![0] !== ':status' || !/^[1-9][0-9]{2}$/.test(special.pseudo[0]![1]) || special.pseudo[0]![1] === '101') return undefined
    if (head !== heads.at(-1) && special.regular.some(([name]) => name === 'content-length')) return 'either'
  }
  const { pseudo, regular } = splitPseudo(heads.at(-1)!)!
  const status = Number(pseudo[0]![1])
  if (status < 200) return body === undefined || reset !== undefined ? undefined : 'either'
  const lengths = regular.filter(([name]) => name === 'content-length').map(([, each]) => each)
  const bodiless = method === 'HEAD' || status === 204 || status === 304
  if (lengths.length === 1 && Number(lengths[0]) === 0 && body !== undefined) return 'either' // whole before the excess came
  if (reset !== undefined) return bodiless || lengths.length > 0 ? 'either' : undefined // it may be complete by what it says of itself
  if (bodiless && (body !== undefined || lengths.length > 0)) return 'either'
  const text = bodyOf(body, trailers, lengths)
  if (text === undefined) return undefined
  return { status, fields: regular.filter(([name]) => !['content-length', 'te'].includes(name)), body: text }
}

/** Pseudo-header fields and the others; undefined when they are in the wrong order, or one of them is none. */
function splitPseudo(fields: readonly Pair[]): { readonly pseudo: readonly Pair[]; readonly regular: readonly Pair[] } | undefined {
  const begin = fields.findIndex(([name]) => !name.startsWith(':'))
  const [pseudo, regular] = begin < 0 ? [fields, []] : [fields.slice(0, begin), fields.slice(begin)]
  if (pseudo.some(([, each]) => !value.test(each))) return undefined
  return regular.every(([name, each]) => token.test(name) && value.test(each) && !ofConnections.has(name)) ? { pseudo, regular } : undefined
}

/** 8.1.1: all of the body, when it has the length that was announced, and trailers are trailers. */
function bodyOf(body: readonly string[] | undefined, trailers: readonly Pair[] | undefined, lengths: readonly string[]): string | undefined {
  const text = (body ?? []).join('')
  if (lengths.length > 1 || (lengths.length === 1 && (!/^[0-9]{1,15}$/.test(lengths[0]!) || Number(lengths[0]) !== text.length))) return undefined
  return splitPseudo(trailers ?? [])?.pseudo.length === 0 ? text : undefined
}
