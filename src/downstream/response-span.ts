// Writing a span of a response: behind its head or not, framed as a chunk where it lies or as it is.
import type { Source, Wire } from '#src/io/wire.ts'
import { frameChunk, lastChunk } from '#src/http1/chunked.ts'

/** Writes `text` (a head, or '') and octets that `source` has just read; `end`: they are the body's last. */
export function writeSpan(
  wire: Wire, chunked: boolean, text: string, bytes: Buffer, from: number, to: number, end: boolean, trailers: string, source: Source,
): void {
  if (!chunked || from === to) {
    const tail = chunked && end ? text + lastChunk(trailers) : text
    if (to > from) wire.pass(text, bytes, from, to, source)
    else if (tail !== '') wire.writeText(tail)
    return
  }
  const begin = frameChunk(bytes, from, to)
  const last = end && trailers === '' ? bytes.latin1Write(lastChunk(''), to + 2) : 0
  wire.pass(text, bytes, begin, to + 2 + last, source)
  if (end && trailers !== '') wire.writeText(lastChunk(trailers))
}
