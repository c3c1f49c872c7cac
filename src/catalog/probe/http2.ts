// An HTTP/2 request of which the status decides.
import type { HttpProbe, ProbePace } from '#src/catalog/catalog.ts'
import { passes } from './http1.ts'
import { callOnce } from './http2-call.ts'
import type { ProbeTarget } from './target.ts'

/** '' when its status passes, else why not. Never rejects. */
export function askHttp2({ secure, method, path, headers, body, statuses, timeoutMs }: HttpProbe & ProbePace, target: ProbeTarget): Promise<string> {
  const { host: [authority = ''] = [], ...fields } = Object.fromEntries(Object.entries(headers).map(([name, values]) => [name.toLowerCase(), [...values]]))
  return callOnce({ secure, authority, fields: { ':method': method, ':path': path, ...fields }, body, timeoutMs }, target, (stream, answer) => {
    stream.once('response', ({ ':status': status = 0 }) => { answer(passes(statuses, status) ? '' : `status ${status}`) })
  })
}
