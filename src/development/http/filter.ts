// Nomad's filter expressions, as far as lists are filtered by them: ==, !=, in, contains, is empty, and, or, not, parentheses.

/** Whether an element of the list stays. Throws FilterError. */
export type Filter = (element: Readonly<Record<string, unknown>>) => boolean

/** What is wrong with the expression or its selector. */
export class FilterError extends Error {}

type Token = { readonly kind: 'word' | 'text' | 'sign'; readonly value: string; readonly at: number }

/** Reads an expression; an empty one keeps everything. */
export function parseFilter(expression: string): Filter {
  if (expression.trim() === '') return () => true
  return new Parser(expression).parse()
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #length: number
  #next = 0

  constructor(expression: string) {
    this.#length = expression.length
    this.#tokens = [...expression.matchAll(/"((?:[^"\\]|\\.)*)"|`([^`]*)`|([A-Za-z_][\w.]*)|(==|!=|[()])|(\S)/g)].map((match) => {
      const [, quoted, raw, word, sign] = match
      if (quoted !== undefined || raw !== undefined) return { kind: 'text', value: quoted?.replace(/\\(.)/g, '$1') ?? raw ?? '', at: match.index }
      if (word !== undefined) return { kind: 'word', value: word, at: match.index }
      if (sign !== undefined) return { kind: 'sign', value: sign, at: match.index }
      throw syntax(match.index)
    })
  }

  parse(): Filter {
    const filter = this.#or()
    if (this.#next < this.#tokens.length) throw syntax(this.#at())
    return filter
  }

  #or(): Filter {
    const left = this.#and()
    if (!this.#take('or')) return left
    const right = this.#or()
    return (element) => left(element) || right(element)
  }

  #and(): Filter {
    const left = this.#not()
    if (!this.#take('and')) return left
    const right = this.#and()
    return (element) => left(element) && right(element)
  }

  #not(): Filter {
    if (this.#take('not')) {
      const inner = this.#not()
      return (element) => !inner(element)
    }
    if (this.#take('(')) {
      const inner = this.#or()
      if (!this.#take(')')) throw syntax(this.#at())
      return inner
    }
    return this.#match()
  }

  #match(): Filter {
    const first = this.#token()
    if (first.kind !== 'word') {
      // "value" in Selector
      const negated = this.#take('not')
      if (!this.#take('in')) throw syntax(this.#at())
      const selector = this.#token().value
      return (element) => contains(select(element, selector), first.value) !== negated
    }
    const selector = first.value
    if (this.#take('==')) return this.#compare(selector, (value, wanted) => String(value) === wanted)
    if (this.#take('!=')) return this.#compare(selector, (value, wanted) => String(value) !== wanted)
    if (this.#take('contains')) return this.#compare(selector, contains)
    if (this.#take('is')) {
      const negated = this.#take('not')
      if (!this.#take('empty')) throw syntax(this.#at())
      return (element) => isEmpty(select(element, selector)) !== negated
    }
    if (this.#take('not')) {
      if (!this.#take('contains')) throw syntax(this.#at())
      return this.#compare(selector, (value, wanted) => !contains(value, wanted))
    }
    throw syntax(this.#at())
  }

  #compare(selector: string, test: (value: unknown, wanted: string) => boolean): Filter {
    const { value: wanted } = this.#token()
    return (element) => test(select(element, selector), wanted)
  }

  #token(): Token {
    const token = this.#tokens[this.#next++]
    if (token === undefined) throw syntax(this.#length)
    return token
  }

  #take(value: string): boolean {
    const token = this.#tokens[this.#next]
    if (token === undefined || token.kind === 'text' || token.value !== value) return false
    this.#next++
    return true
  }

  #at(): number {
    return this.#tokens[this.#next]?.at ?? this.#length
  }
}

function select(element: Readonly<Record<string, unknown>>, selector: string): unknown {
  let value: unknown = element
  for (const part of selector.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined
    if (!(part in value)) throw new FilterError(`failed to read result page: error finding value in datum: /${selector.replaceAll('.', '/')} at part 0: couldn't find key: struct field with name ${JSON.stringify(part)}`)
    value = (value as Readonly<Record<string, unknown>>)[part]
  }
  return value
}

const contains = (value: unknown, wanted: string): boolean => (Array.isArray(value) ? value.includes(wanted) : (typeof value === 'string' && value.includes(wanted)))
const isEmpty = (value: unknown): boolean => value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)

const syntax = (at: number): FilterError =>
  new FilterError(`failed to create result paginator: failed to read filter expression: 1:${at + 1} (${at}): no match found, expected: [ \\t\\r\\n]`)
