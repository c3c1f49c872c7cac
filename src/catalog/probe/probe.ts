// One probe of an instance: a TCP connection, an HTTP request of which the status decides, or a call of gRPC's health service.
import { connectOnce } from '#src/catalog/connect-gate.ts'
import type { ProbeSpec } from '#src/catalog/catalog.ts'
import { visible } from '#src/observe/visible-text.ts'
import { askGrpcHealth } from './grpc.ts'
import { askHttp1 } from './http1.ts'
import { askHttp2 } from './http2.ts'
import type { ProbeTarget } from './target.ts'

/** Of a reason; much of it the other side has written. */
const MAX_SHOWN = 200

/** '' when it passes, else why not, in a line of some 200 characters at the most. `refuses` is asked about the address that a name led to. Never rejects. */
export async function probeOnce(spec: ProbeSpec, host: string, port: number, refuses?: (address: string) => string | undefined): Promise<string> {
  const failure = visible(await ask(spec, { host, port, refuses }))
  return failure.length > MAX_SHOWN ? `${failure.slice(0, MAX_SHOWN).toWellFormed()}…` : failure
}

function ask(spec: ProbeSpec, target: ProbeTarget): Promise<string> {
  switch (spec.kind) {
    case 'tcp': return connectOnce(target.host, target.port, target.refuses, spec.timeoutMs)
    case 'http': return spec.http2 ? askHttp2(spec, target) : askHttp1(spec, target)
    case 'grpc': return askGrpcHealth(spec, target)
  }
}
