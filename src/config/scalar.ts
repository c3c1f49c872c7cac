// The single values of a config: durations, sizes, numbers, words. Each says what it expects and shows itself in the JSON schema.
import * as z from 'zod'

/** What a value became, or what is wrong with it: `"10 apples" <complaint> (expected <expected>)`. */
export type Parsed<T> = { readonly value: T } | { readonly complaint: string; readonly expected: string }

/** How a value is shown in the JSON schema; the comment says in words what it may hold. */
export type JsonShape = Readonly<Record<string, unknown>> & { readonly $comment: string }

/** One value of the config: `parse` is pure and gets whatever YAML made of it. */
export function leaf<T>(shape: JsonShape, parse: (value: unknown) => Parsed<T>): z.ZodPipe<z.ZodUnknown, z.ZodTransform<T, unknown>> {
  return z.unknown().meta({ ...shape }).transform((value, context): T => {
    const parsed = parse(value)
    if ('value' in parsed) return parsed.value
    context.issues.push({ code: 'custom', message: parsed.complaint, params: { expected: parsed.expected }, input: value })
    return z.NEVER
  })
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const durationPattern = '^0$|^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$'

/** A duration such as `10s`, `250ms`, `1m30s` (or 0, where the range begins there), in milliseconds. The bounds are durations too. */
export function duration(least: string, most: string): ReturnType<typeof leaf<number>> {
  const [leastMs, mostMs] = [milliseconds(least)!, milliseconds(most)!]
  return leaf({ type: ['string', 'integer'], pattern: durationPattern, maximum: 0, $comment: `duration, ${least} to ${most}` }, (value) => {
    const ms = typeof value === 'string' ? milliseconds(value) : value === 0 ? 0 : undefined
    if (ms === undefined) return { complaint: 'is not a duration', expected: 'e.g. 10s, 250ms, 1m30s' }
    if (ms < leastMs || ms > mostMs) return { complaint: 'is out of range', expected: `${least} to ${most}` }
    return { value: ms }
  })
}

function milliseconds(text: string): number | undefined {
  if (text.length > 40 || !new RegExp(durationPattern).test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h|d)/g)) sum += Number(amount) * unitMs[unit!]!
  return Math.round(sum)
}

const unitBytes: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** A size such as `32KiB`, `1MiB` or a number of bytes, in bytes. The bounds are sizes too. */
export function size(least: string, most: string): ReturnType<typeof leaf<number>> {
  const [leastBytes, mostBytes] = [bytes(least)!, bytes(most)!]
  const shape = { type: ['string', 'integer'], pattern: '^[0-9]+(\\.[0-9]+)?(B|KiB|MiB|GiB)?$', minimum: leastBytes, maximum: mostBytes }
  return leaf({ ...shape, $comment: `size, ${least} to ${most}` }, (value) => {
    const count = typeof value === 'number' ? value : typeof value === 'string' ? bytes(value) : undefined
    if (count === undefined || !Number.isInteger(count)) return { complaint: 'is not a size', expected: 'e.g. 32KiB, 1MiB, or a number of bytes' }
    if (count < leastBytes || count > mostBytes) return { complaint: 'is out of range', expected: `${least} to ${most}` }
    return { value: count }
  })
}

function bytes(text: string): number | undefined {
  const [, amount, unit] = /^([0-9]{1,15}(?:\.[0-9]{1,9})?)(B|KiB|MiB|GiB)?$/.exec(text) ?? []
  return amount === undefined ? undefined : Number(amount) * unitBytes[unit ?? 'B']!
}

/** A whole number within bounds, both allowed. */
export function integer(least: number, most: number): ReturnType<typeof leaf<number>> {
  return leaf({ type: 'integer', minimum: least, maximum: most, $comment: `${least} to ${most}` }, (value) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return { complaint: 'is not a whole number', expected: `${least} to ${most}` }
    if (value < least || value > most) return { complaint: 'is out of range', expected: `${least} to ${most}` }
    return { value }
  })
}

/** `auto`, or a whole number within bounds. */
export function autoOrInteger(least: number, most: number): ReturnType<typeof leaf<'auto' | number>> {
  const range = { anyOf: [{ const: 'auto' }, { type: 'integer', minimum: least, maximum: most }] }
  const expected = `auto, or ${least} to ${most}`
  return leaf<'auto' | number>({ ...range, $comment: expected }, (value) => {
    if (value === 'auto') return { value }
    const inRange = typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
    if (inRange) return { value }
    return { complaint: typeof value === 'number' ? 'is out of range' : 'is not a number', expected }
  })
}

/** A share above 0, up to 1. */
export function share(): ReturnType<typeof leaf<number>> {
  return leaf({ type: 'number', exclusiveMinimum: 0, maximum: 1, $comment: 'above 0, up to 1' }, (value) =>
    typeof value === 'number' && value > 0 && value <= 1 ? { value } : { complaint: 'is not a share', expected: 'above 0, up to 1' })
}

/** `true` or `false`. */
export function flag(): ReturnType<typeof leaf<boolean>> {
  const expected = 'true or false'
  return leaf({ type: 'boolean', $comment: expected }, (value) => (typeof value === 'boolean' ? { value } : { complaint: 'is not a yes or no', expected }))
}

/** One of a few words. */
export function choice<const W extends string>(...words: readonly W[]): ReturnType<typeof leaf<W>> {
  return leaf<W>({ enum: words, $comment: words.join(', ') }, (value) => {
    const word = words.find((known) => known === value)
    return word === undefined ? { complaint: 'is not known here', expected: words.join(', ') } : { value: word }
  })
}

/** Text that a pattern describes; `what` ("a host") and `expected` tell it in words. */
export function text(pattern: RegExp, what: string, expected: string): ReturnType<typeof leaf<string>> {
  return leaf({ type: 'string', pattern: pattern.source, $comment: expected }, (value) =>
    typeof value === 'string' && pattern.test(value) ? { value } : { complaint: `is not ${what}`, expected })
}

/** The path of a file or directory; a relative one is resolved by the loader. */
export function filePath(expected: string): ReturnType<typeof leaf<string>> {
  return text(/^[^\0]{1,4096}$/, 'a path', expected)
}
