// The answer on a listener that serves nobody: it sends everybody to https, or refuses what is plain where TLS is spoken.
import { forwardedValue, type RequestHead } from '#src/http1/request-head.ts'
import type { Instead, Peer } from '#src/downstream/stream.ts'
import type { Answer, Reason } from './answers.ts'

/** What is said instead of serving: an answer, the reason for a refusal, or '' where the request is to be served all the same. */
export function answerInstead(instead: Exclude<Instead, ''>, head: RequestHead, peer: Pick<Peer, 'trusted' | 'redirectPort'>, clock: { dateField(): string }): Answer | Reason | '' {
  if (instead !== 'redirect') return 'plain_http'
  if (peer.trusted && cameByHttps(head)) return ''
  return head.host === '' ? 'https_only' : redirectToHttps(head, peer.redirectPort, clock.dateField())
}

/** A trusted peer says that it was asked over https: then there is nobody to send anywhere. */
const cameByHttps = (head: RequestHead): boolean => /^\s*https\s*(,|$)/i.test(forwardedValue(head, 'x-forwarded-proto') ?? '')

/** 301 for what browsers ask, 308 where the method has to stay. `fields` are further lines; the head's target is visible ASCII, as parsed. */
function redirectToHttps({ method, host, rawPath, query }: RequestHead, port: number, fields: string): Answer {
  const status = method === 'GET' || method === 'HEAD' ? 301 : 308
  const path = rawPath === '*' ? '/' : rawPath + query
  const location = `https://${host}${port === 443 ? '' : `:${port}`}${path}`
  return { head: { status, reason: '', fields: `${fields}Location: ${location}\r\n`, length: 0, bodiless: method === 'HEAD' }, body: '' }
}
