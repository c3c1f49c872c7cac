// A call of grpc.health.v1.Health/Check: passes by grpc-status 0 and SERVING, and by nothing else.
import { constants } from 'node:http2'
import type { GrpcProbe, ProbePace } from '#src/catalog/catalog.ts'
import { bodyFailure, headFailure, healthRequest, MAX_BODY, statusFailure } from './grpc-health.ts'
import type { Fields } from './grpc-health.ts'
import { callOnce } from './http2-call.ts'
import type { ProbeTarget } from './target.ts'

/** '' when it serves, else why not. Never rejects. */
export function askGrpcHealth({ secure, authority, service, timeoutMs }: GrpcProbe & ProbePace, target: ProbeTarget): Promise<string> {
  const fields = { ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers', 'grpc-timeout': `${timeoutMs}m` }
  return callOnce({ secure, authority, fields, body: healthRequest(service), timeoutMs }, target, (stream, answer) => {
    let body: Buffer = Buffer.alloc(0)
    let trailers: Fields | undefined
    stream.once('response', (head: Fields, flags: number) => {
      const failure = headFailure(head)
      if (failure !== '') answer(failure)
      else if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) answer(statusFailure(head, service) || 'malformed answer: no message')
    })
    stream.on('data', (octets: Buffer) => {
      body = Buffer.concat([body, octets])
      const failure = bodyFailure(body) ?? ''
      if (failure !== '') answer(failure)
      else if (body.length > MAX_BODY) answer(`malformed answer: more than ${MAX_BODY} octets`)
    })
    stream.once('trailers', (fields: Fields) => { trailers = fields })
    stream.once('end', () => {
      if (trailers !== undefined) answer(statusFailure(trailers, service) || (bodyFailure(body) ?? 'malformed answer: no whole message'))
    })
  })
}
