// An HTTP/1.1 request of which the status decides.
import http from 'node:http'
import https from 'node:https'
import type { HttpProbe, ProbePace } from '#src/catalog/catalog.ts'
import { failureWords } from '#src/catalog/failure-words.ts'
import { guardedLookup } from './target.ts'
import type { ProbeTarget } from './target.ts'

/**
 * '' when its status passes, else why not. Never rejects. On a connection of its own, since whether one can be made is a part of the question.
 * Certificates are not verified: health is asked for, not identity.
 */
export function askHttp1({ secure, method, path, headers, body, statuses, timeoutMs }: HttpProbe & ProbePace, { host, port, refuses }: ProbeTarget): Promise<string> {
  return new Promise((resolve) => {
    let request: http.ClientRequest
    try {
      request = (secure ? https : http).request({
        host, port, method, path, agent: false, rejectUnauthorized: false,
        headers: { 'User-Agent': 'Serai-Probe', Connection: 'close', ...Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.length === 1 ? values[0] : [...values]])) },
        ...(refuses === undefined ? {} : { lookup: guardedLookup(refuses) }),
      })
    } catch (error) { // a path or field that cannot be sent
      return resolve(failureWords(error))
    }
    const timer = setTimeout(() => { answer(`no answer in ${timeoutMs} ms`) }, timeoutMs)
    const answer = (failure: string): void => {
      clearTimeout(timer)
      resolve(failure)
      request.destroy()
    }
    request.on('error', (error) => { answer(failureWords(error)) })
    request.once('response', ({ statusCode = 0 }) => { answer(passes(statuses, statusCode) ? '' : `status ${statusCode}`) })
    request.end(body)
  })
}

/** Whether a status is one of those that pass. */
export const passes = (statuses: HttpProbe['statuses'], status: number): boolean => statuses.some(([from, to]) => status >= from && status <= to)
