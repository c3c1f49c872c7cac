// The header block of a response as the head that every protocol's responses become (RFC 9113 sections 8.2, 8.3.2).
import { CHUNKED } from '#src/http1/body.ts'
import { parseLength } from '#src/http1/fields.ts'
import type { ResponseHead } from '#src/http1/response-head.ts'
import { BAD, type Field, type KindOf } from './field.ts'
import { staticFields } from './hpack-decoder.ts'

const KEEP = 0
const STATUS = 1
const LENGTH = 2
const DATE = 3
const DROP = 4

const own: Readonly<Record<string, number>> = {
  ':status': STATUS, 'content-length': LENGTH, date: DATE, 'proxy-authenticate': DROP, 'proxy-authentication-info': DROP, te: DROP,
  connection: BAD, 'keep-alive': BAD, 'proxy-connection': BAD, 'transfer-encoding': BAD, upgrade: BAD,
}

/** What a field of a response is to us. */
export const kindOfResponseField: KindOf = (name) => own[name] ?? (name.startsWith(':') ? BAD : KEEP)

/** The table that decoders of responses begin with. */
export const responseFields: readonly Field[] = staticFields(kindOfResponseField)

/**
 * Reads the first `count` fields of a response to `method`; `end`: no body follows, `upgrade` what an extended CONNECT asked for, or ''.
 * Returns the reason when it is refused.
 */
export function readResponse(fields: readonly Field[], count: number, end: boolean, method: string): ResponseHead | string {
  let status = 0
  let length: string | undefined
  let hasDate = false
  let lines = ''
  for (let at = 0; at < count; at++) {
    const field = fields[at]!
    switch (field.kind) {
      case KEEP:
        lines += field.line
        break
      case STATUS:
        if (at !== 0 || !/^[1-9][0-9]{2}$/.test(field.value)) return 'bad :status'
        status = Number(field.value)
        break
      case DATE:
        hasDate = true
        lines += field.line
        break
      case LENGTH:
        if (length !== undefined) return 'content-length repeated'
        length = field.value
        break
      case DROP:
        break
      default:
        return `field ${field.name.slice(0, 40)} is malformed or of another protocol`
    }
  }
  if (status === 0) return 'no :status'
  if (status === 101) return '101 does not exist in HTTP/2'
  if (status < 200 && end) return 'an interim response that ends the stream'
  const declared = length === undefined ? -1 : parseLength(length)
  if (length !== undefined && declared < 0) return 'malformed content-length'
  const bodiless = method === 'HEAD' || status === 304 || status === 204 || status < 200
  if (end && !bodiless && declared > 0) return 'content-length without a body'
  if (status === 204 || status < 200) length = undefined
  return {
    status,
    reason: '',
    contentLength: bodiless || end ? 0 : length === undefined ? CHUNKED : declared,
    announcedLength: bodiless && length !== undefined ? length : '',
    close: false,
    keepAliveSeconds: -1,
    upgrade: '',
    hasDate,
    fields: lines,
  }
}
