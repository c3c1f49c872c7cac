// The answer on a listener that sends everybody to https.
import { forwardedValue, type RequestHead } from '#src/http1/request-head.ts'
import type { Answer } from './answers.ts'

/** A trusted peer says that it was asked over https: then there is nobody to send anywhere. */
export const cameByHttps = (head: RequestHead): boolean => /^\s*https\s*(,|$)/i.test(forwardedValue(head, 'x-forwarded-proto') ?? '')

/** 301 for what browsers ask, 308 where the method has to stay. `fields` are further lines; the head's target is visible ASCII, as parsed. */
export function redirectToHttps({ method, host, rawPath, query }: RequestHead, port: number, fields: string): Answer {
  const status = method === 'GET' || method === 'HEAD' ? 301 : 308
  const path = rawPath === '*' ? '/' : rawPath + query
  const location = `https://${host}${port === 443 ? '' : `:${port}`}${path}`
  return { head: { status, reason: '', fields: `${fields}Location: ${location}\r\n`, length: 0, bodiless: method === 'HEAD' }, body: '' }
}
