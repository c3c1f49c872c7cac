// gRPC's health service (grpc.health.v1): its request, and what an answer to it says, octet by octet. Pure.

/** A frame's flag and length. */
const PREFIX = 5
/** A HealthCheckResponse has two octets; whoever sends more than this does not mean one. */
const MAX_MESSAGE = 4096
/** Of a whole body: the first message counts, what follows is only borne. */
export const MAX_BODY = PREFIX + MAX_MESSAGE

const statusNames = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
]
const NOT_FOUND = 5
const UNIMPLEMENTED = 12

const servingNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const SERVING = 1

export type Fields = Readonly<Record<string, number | string | readonly string[] | undefined>>

/** A whole body: one message, HealthCheckRequest, which names a service ('': the whole server). */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name])
  const body = Buffer.concat([Buffer.alloc(PREFIX), message])
  body.writeUInt32BE(message.length, 1)
  return body
}

/** '': a head of gRPC's, with an answer to come. */
export function headFailure({ ':status': status, 'content-type': type }: Fields): string {
  if (status !== 200) return `HTTP status ${String(status)}`
  return /^application\/grpc($|[+;])/i.test(String(type)) ? '' : `not gRPC: content-type ${String(type ?? 'missing')}`
}

/** '': the first message says SERVING; undefined: it is not complete. */
export function bodyFailure(body: Buffer): string | undefined {
  if (body.length > 0 && body[0] !== 0) return body[0] === 1 ? 'malformed answer: compressed, which nobody asked for' : 'malformed answer: not a message of gRPC'
  if (body.length < PREFIX) return undefined
  const length = body.readUInt32BE(1)
  if (length > MAX_MESSAGE) return `malformed answer: a message of ${length} octets`
  if (body.length < PREFIX + length) return undefined
  const status = servingStatus(body.subarray(PREFIX, PREFIX + length))
  if (status === undefined) return 'malformed answer: not a message of protobuf'
  return status === SERVING ? '' : servingNames[status] ?? `serving status ${status}`
}

/** '' for `grpc-status: 0`; the fields are trailers, or a head that is the whole answer. `service` is the one that was asked for. */
export function statusFailure({ 'grpc-status': status, 'grpc-message': message }: Fields, service: string): string {
  if (status === undefined) return 'malformed answer: no grpc-status'
  if (typeof status !== 'string' || !/^\d{1,9}$/.test(status)) return `malformed answer: grpc-status ${String(status)}`
  const code = Number(status)
  const named = `grpc-status ${code}${statusNames[code] === undefined ? '' : ` ${statusNames[code]}`}`
  switch (code) {
    case 0: return ''
    case NOT_FOUND: return `${named}: it does not know ${service === '' ? "the service '', which is the whole server" : `the service '${service}'`}`
    case UNIMPLEMENTED: return `${named}: the service has no grpc.health.v1.Health`
    default: return typeof message === 'string' && message !== '' ? `${named}: ${percentDecoded(message)}` : named
  }
}

/** ServingStatus of a HealthCheckResponse: field 1, the last one if it stands there twice, 0 if it does not. Undefined: that is no message of proto3. */
export function servingStatus(message: Buffer): number | undefined {
  let status = 0
  let at = 0
  const next = (): number => {
    let value = 0
    for (let bits = 0; bits < 70; bits += 7) {
      const octet = message[at++]
      if (octet === undefined) break
      value += (octet & 0x7f) * 2 ** bits
      if (octet < 0x80) return value
    }
    return Number.NaN
  }
  while (at < message.length) {
    const tag = next()
    const field = Math.floor(tag / 8)
    if (!(field >= 1 && field < 2 ** 29)) return undefined
    switch (tag % 8) {
      case 0: {
        const value = next()
        if (Number.isNaN(value)) return undefined
        if (field === 1) status = value
        break
      }
      case 1: at += 8; break
      case 2: {
        const length = next()
        at += length
        break
      }
      case 5: at += 4; break
      default: return undefined // groups, which proto3 does not have
    }
    if (!(at <= message.length)) return undefined
  }
  return status
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}

/** What is not percent-encoded UTF-8 stays as it is (gRPC over HTTP/2, Status-Message). */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
