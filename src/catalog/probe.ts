// One probe of an instance: a TCP connection, or an HTTP request of which the status decides.
import { lookup } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import type net from 'node:net'
import { connectOnce } from './connect-gate.ts'
import type { ProbeSpec } from './catalog.ts'
import { failureWords } from './failure-words.ts'

/** '' when it passes, else why not. `refuses` is asked about the address that a name led to. Never rejects. */
export function probeOnce(spec: ProbeSpec, host: string, port: number, refuses?: (address: string) => string | undefined): Promise<string> {
  const { kind, timeoutMs } = spec
  return kind === 'tcp' ? connectOnce(host, port, refuses, timeoutMs) : ask(spec, host, port, refuses)
}

/** On a connection of its own, since whether one can be made is a part of the question. Certificates are not verified: health is asked for, not identity. */
function ask({ https: secure, method, path, headers, body, statuses, timeoutMs }: ProbeSpec, host: string, port: number, refuses?: (address: string) => string | undefined): Promise<string> {
  return new Promise((resolve) => {
    let request: http.ClientRequest
    try {
      request = (secure ? https : http).request({
        host, port, method, path, agent: false, rejectUnauthorized: false,
        headers: { 'User-Agent': 'Serai-Probe', Connection: 'close', ...Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.length === 1 ? values[0] : [...values]])) },
        ...(refuses === undefined ? {} : { lookup: guarded(refuses) }),
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
    request.once('response', ({ statusCode = 0 }) => { answer(statuses.some(([from, to]) => statusCode >= from && statusCode <= to) ? '' : `status ${statusCode}`) })
    request.end(body)
  })
}

/** Names are looked up as always; an address that is refused is no answer. */
const guarded = (refuses: (address: string) => string | undefined): net.LookupFunction => (host, options, callback) => {
  lookup(host, { ...options, all: true }, (error, found) => {
    const refusal = found?.map(({ address }) => refuses(address)).find((each) => each !== undefined)
    const [first] = found ?? []
    if (error !== null || refusal !== undefined || first === undefined) callback(error ?? new Error(refusal ?? 'no address'), '')
    else if (options.all === true) callback(null, found)
    else callback(null, first.address, first.family)
  })
}
