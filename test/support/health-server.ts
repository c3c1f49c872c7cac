// A gRPC server, gRPC's own, with the health service (grpc.health.v1) and a method that says who answers.
import grpc from '@grpc/grpc-js'

export interface HealthServer extends AsyncDisposable {
  readonly port: number
  /** What is answered for a service: the number of a ServingStatus, or nothing at all; a service that is not there is NOT_FOUND. */
  readonly statuses: Map<string, number | 'hang' | Partial<grpc.StatusObject>>
  /** Checks so far, each as its service, authority, agent and the milliseconds that were left. */
  readonly asked: { readonly service: string; readonly authority: string; readonly agent: string; readonly leftMs: number }[]
  /** Calls that were given up by who made them. */
  readonly cancelled: number
  /** Calls of the other method. */
  readonly served: number
}

const same = (value: Buffer): Buffer => value
const unary = (path: string): grpc.MethodDefinition<Buffer, Buffer> =>
  ({ path, requestStream: false, responseStream: false, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same })

/** The method that says who answers. */
export const whoService = { Who: unary('/test.Who/Who') }
const healthService = { Check: unary('/grpc.health.v1.Health/Check') }

/** Starts it at a port of 127.0.0.1 (any free one); `health: false`: without the health service. */
export async function startHealthServer({ port = 0, health = true, credentials = grpc.ServerCredentials.createInsecure() }: { readonly port?: number; readonly health?: boolean; readonly credentials?: grpc.ServerCredentials } = {}): Promise<HealthServer> {
  const statuses: HealthServer['statuses'] = new Map([['', 1]])
  const asked: HealthServer['asked'] = []
  let cancelled = 0
  let served = 0
  const server = new grpc.Server()
  server.addService(whoService, { Who: (_: unknown, done: grpc.sendUnaryData<Buffer>) => {
    served++
    done(null, Buffer.from(String(bound)))
  } })
  if (health) server.addService(healthService, { Check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
    call.on('cancelled', () => { cancelled++ })
    const service = serviceOf(call.request)
    asked.push({ service, authority: call.getHost(), agent: String(call.metadata.get('user-agent')), leftMs: Number(call.getDeadline()) - Date.now() })
    const status = statuses.get(service)
    if (status === 'hang') return
    if (status === undefined) done({ code: grpc.status.NOT_FOUND, details: 'unknown service' })
    else if (typeof status === 'number') done(null, Buffer.from(status === 0 ? [] : [0x08, status]))
    else done(status)
  } })
  const bound = await new Promise<number>((resolve, reject) => server.bindAsync(`127.0.0.1:${port}`, credentials, (error, at) => (error === null ? resolve(at) : reject(error))))
  return {
    port: bound, statuses, asked,
    get cancelled() { return cancelled },
    get served() { return served },
    [Symbol.asyncDispose]() {
      server.forceShutdown()
      return Promise.resolve()
    },
  }
}

/** Field 1 of a HealthCheckRequest, as protobuf writes it: its tag, its length, its octets. */
function serviceOf(message: Buffer): string {
  if (message.length === 0) return ''
  const long = message[1]! >= 0x80
  const length = long ? (message[1]! & 0x7f) + 128 * message[2]! : message[1]!
  const text = message.subarray(long ? 3 : 2)
  if (message[0] !== 0x0a || text.length !== length) throw new Error(`not a HealthCheckRequest: ${message.toString('hex')}`)
  return text.toString()
}
