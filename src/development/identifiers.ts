// Identifiers as Nomad makes them, from the random source that is passed in.
import { createHash } from 'node:crypto'

/** A number in [0, 1). */
export type Random = () => number

/** An identifier in the form of a UUID. */
export function makeId(random: Random): string {
  const hex = (digits: number): string => Math.floor(random() * 16 ** digits).toString(16).padStart(digits, '0')
  return `${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(6)}${hex(6)}`
}

/** Whether the text has the form of a UUID. */
export const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)

/** The identifier of a check of an allocation: the same for the same check. */
export function checkId(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}

/** A copy in random order (Nomad's lists have none). */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items]
  for (let at = copy.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    const item = copy[at]!
    copy[at] = copy[other]!
    copy[other] = item
  }
  return copy
}
