// The `priority` field and PRIORITY_UPDATE (RFC 9218): which responses go first when not all can.

/** Urgency 0 (first) to 7, and 8 more for what shares the line with others of its urgency (`i`). */
export type Priority = number

export const DEFAULT_PRIORITY: Priority = 3
const INCREMENTAL = 8

export const urgencyOf = (priority: Priority): number => priority & 7
export const isIncremental = (priority: Priority): boolean => priority >= INCREMENTAL

/** Reads a field value; what is not understood takes the default, as the RFC wants it. */
export function parsePriority(value: string): Priority {
  if (value.length > 64) return DEFAULT_PRIORITY
  const urgency = /(?:^|,)\s*u=([0-7])\s*(?:[,;]|$)/.exec(value)?.[1]
  const incremental = /(?:^|,)\s*i(?:=\?1)?\s*(?:[,;]|$)/.test(value)
  return (urgency === undefined ? DEFAULT_PRIORITY : Number(urgency)) + (incremental ? INCREMENTAL : 0)
}
