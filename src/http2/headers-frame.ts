// The payload of HEADERS (RFC 9113 section 6.2): where the block's fragment lies in it.
import { FRAME_SIZE_ERROR, PROTOCOL_ERROR } from './error-code.ts'
import { PADDED, PRIORITY_FLAG, readId } from './frame.ts'

export interface Fragment {
  readonly from: number
  readonly to: number
  /** It says that the stream depends on itself, which is an error of the stream (RFC 7540 5.3.1; 9113 has no priorities of this kind any more). */
  readonly onItself: boolean
}

/** The fragment in `bytes[from, to)`; a number is the code of the connection error that the payload is. */
export function fragmentOf(flags: number, id: number, bytes: Buffer, from: number, to: number): Fragment | number {
  let at = from
  let end = to
  if ((flags & PADDED) !== 0) {
    if (at === to) return FRAME_SIZE_ERROR
    end -= bytes[at++]!
  }
  let onItself = false
  if ((flags & PRIORITY_FLAG) !== 0) {
    if (to - at < 5) return FRAME_SIZE_ERROR
    onItself = readId(bytes, at) === id
    at += 5
  }
  return end < at ? PROTOCOL_ERROR : { from: at, to: end, onItself }
}
