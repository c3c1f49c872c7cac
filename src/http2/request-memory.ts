// The last request head of a connection: clients ask the same again and again (calls of gRPC, polls), by the same entries of HPACK's table.
import type { HeadFault } from '#src/http1/request-head.ts'
import type { Field } from './field.ts'
import { readRequest, type Http2Request, type Malformed } from './request-fields.ts'

/** Longer heads are seldom the same. */
const MOST = 48

export class RequestMemory {
  readonly #fields: Field[] = []
  #count = -1
  #end = false
  #request: Http2Request | null = null

  /** As `readRequest`; what consists of the very same entries as the last one means the same. */
  read(fields: readonly Field[], count: number, end: boolean, via: string, key: () => string): Http2Request | HeadFault | Malformed {
    if (this.#request !== null && count === this.#count && end === this.#end && this.#same(fields)) return this.#request
    const request = readRequest(fields, count, end, via, key)
    if (count > MOST || !('head' in request) || request.connect) return request
    for (let at = 0; at < count; at++) this.#fields[at] = fields[at]!
    this.#count = count
    this.#end = end
    this.#request = request
    return request
  }

  #same(fields: readonly Field[]): boolean {
    for (let at = 0; at < this.#count; at++) if (fields[at] !== this.#fields[at]) return false
    return true
  }
}
