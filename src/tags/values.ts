// Readers of single tag values: text in, a value or the reason why it is none out.

/** A value, or what was expected instead. */
export type Parsed<T> = { readonly value: T } | { readonly reason: string }
export type Parse<T> = (text: string) => Parsed<T>

/** What is said of keys and values that DESIGN section 7 knows and this version does not. */
export const NOT_BUILT = 'known, but not built yet'

const MAX_DURATION_MS = 24 * 3_600_000
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `250ms`, `10s`, `5m`, `1h` in milliseconds, up to a day; `0` only where it means "no limit". */
export const duration = (zero: 'no limit' | 'refused'): Parse<number> => (text) => {
  const parts = /^(\d{1,9})(ms|s|m|h)$/i.exec(text)
  const ms = text === '0' ? 0 : Number(parts?.[1] ?? Number.NaN) * (unitMs[parts?.[2]?.toLowerCase() ?? ''] ?? Number.NaN)
  if (ms >= (zero === 'refused' ? 1 : 0) && ms <= MAX_DURATION_MS) return { value: ms }
  return { reason: `expected a duration such as 250ms, 10s or 5m, at most 24h${zero === 'no limit' ? ', or 0 for no limit' : ''}` }
}

/** At least `leastMs`. */
export const durationFrom = (leastMs: number): Parse<number> => (text) => {
  const parsed = duration('refused')(text)
  return 'value' in parsed && parsed.value < leastMs ? { reason: `expected a duration of at least ${leastMs / 1000}s` } : parsed
}

/** `10%`, from 0 to 100, with at most two decimals. */
export const percentage: Parse<number> = (text) => {
  const value = /^\d{1,3}(\.\d{1,2})?\s*%$/.test(text) ? Number.parseFloat(text) : Number.NaN
  return value >= 0 && value <= 100 ? { value } : { reason: 'expected a percentage from 0% to 100%, e.g. 10%' }
}

/** What a request line may hold, with a query if need be. */
export const probePath: Parse<string> = (text) => (/^\/[!-~]{0,1000}$/.test(text) ? { value: text } : { reason: 'expected a path that begins with /, in visible ASCII characters' })

/** As `package.Service`; empty is refused: a variable that was not filled in must not ask for the whole server. */
export const probeService: Parse<string> = (text) => (/^[!-~]{1,200}$/.test(text) ? { value: text } : { reason: 'expected the name of a gRPC service, such as shop.Cart' })

export const probeMethod: Parse<string> = oneOfExactly('GET', 'HEAD', 'OPTIONS')

function oneOfExactly(...words: readonly string[]): Parse<string> {
  return (text) => (words.includes(text.toUpperCase()) ? { value: text.toUpperCase() } : { reason: `expected ${words.join(', ')}` })
}

/** `200` or `200-399`, as `200-200` and `200-399`. */
export const statusRange: Parse<string> = (text) => {
  const [, from, to = from] = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(text) ?? []
  return from !== undefined && to !== undefined && from <= to ? { value: `${from}-${to}` } : { reason: 'expected statuses such as 200 or 200-399' }
}

/** A whole number within bounds, both included. */
export const integer = (least: number, most: number): Parse<number> => (text) => {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  return value >= least && value <= most ? { value } : { reason: `expected a whole number from ${least} to ${most}` }
}

export const boolean: Parse<boolean> = (text) => {
  const word = text.toLowerCase()
  return word === 'true' || word === 'false' ? { value: word === 'true' } : { reason: 'expected true or false' }
}

/** One of the words, in any case; `later` are those that will come. */
export const oneOf = <Word extends string>(words: readonly Word[], later: readonly string[] = []): Parse<Word> => (text) => {
  const word = text.toLowerCase()
  const value = words.find((each) => each === word)
  if (value !== undefined) return { value }
  return { reason: later.includes(word) ? `${word} is ${NOT_BUILT}` : `expected ${[...words, ...later].join(', ')}` }
}

/** A comma list as a sorted set; one bad item spoils it. */
export const listOf = <Item extends string | number>(parse: Parse<Item>): Parse<readonly Item[]> => (text) => {
  const items = new Set<Item>()
  for (const part of text.split(',')) {
    const parsed = parse(part.trim())
    if ('reason' in parsed) return parsed
    items.add(parsed.value)
  }
  return { value: [...items].sort((a, b) => (a < b ? -1 : 1)) }
}

/** A protocol name for `Upgrade`, lower case. Another HTTP is refused: its requests would pass uncounted and unchecked. */
export const upgradeName: Parse<string> = (text) => {
  const name = text.toLowerCase()
  if (!/^[!#$%&'*+.^`|~\w-]+(\/[!#$%&'*+.^`|~\w-]+)?$/.test(name)) return { reason: 'expected protocol names such as websocket' }
  return /^(h2c?|h3|https?)(\/|$)/.test(name) ? { reason: `${name} cannot be let through as an upgrade` } : { value: name }
}

const hashForm = /^hash:(?:(ip|path)|(header|cookie):([!#$%&'*+.^`|~\w-]+))$/i

/** `p2c`, `rr`, `least`, `hash:ip`, `hash:path`, `hash:header:<Name>`, `hash:cookie:<name>`. */
export const balancePolicy: Parse<'p2c' | 'rr' | 'least' | `hash:${string}`> = (text) => {
  const [, own, kind, name] = hashForm.exec(text) ?? []
  if (own !== undefined) return { value: `hash:${own.toLowerCase()}` }
  if (kind !== undefined && name !== undefined) {
    return { value: kind.toLowerCase() === 'header' ? `hash:header:${name.toLowerCase()}` : `hash:cookie:${name}` }
  }
  const plain = oneOf(['p2c', 'rr', 'least'])(text)
  return 'value' in plain ? plain : { reason: 'expected p2c, rr, least, hash:ip, hash:path, hash:header:<Name> or hash:cookie:<name>' }
}
