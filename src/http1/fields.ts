// Header and trailer lines: the strict scan that both kinds of message share (RFC 9112 section 5, RFC 9110 section 5).

/** Characters of a token (RFC 9110 5.6.2): names, methods. 1: letters, digits and `-`; 2: the others, which some servers read as `-`. */
export const tokenChar = new Uint8Array(256)
for (const char of '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz') tokenChar[char.charCodeAt(0)] = 1
for (const char of "!#$%&'*+.^_`|~") tokenChar[char.charCodeAt(0)] = 2

/** Characters of a field value (RFC 9110 5.5): HTAB, SP, visible ASCII, obs-text. */
const valueChar = new Uint8Array(256).fill(1, 0x20)
valueChar[0x09] = 1
valueChar[0x7f] = 0

const COLON = 0x3a
const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const TAB = 0x09

/** Why a line is refused; '' while all is well. */
export type FieldFault = '' | 'folded line' | 'bad field name' | 'bad field value' | 'bare CR' | 'too many fields'

/**
 * Walks over the lines of `text` (decoded as latin1), which is a sequence of `name: value CRLF`.
 * After `next()` returned true the positions of one field stand in the public members.
 */
export class FieldScanner {
  readonly text: string
  /** Start of the line, which is that of its name. */
  lineStart = 0
  nameEnd = 0
  /** The value without the white space around it. */
  valueStart = 0
  valueEnd = 0
  /** Start of the next line. */
  lineEnd: number
  /** The name has an underscore in it, or another character that some servers read as `-`. */
  unusual = false
  fault: FieldFault = ''
  #left: number

  constructor(text: string, at: number, maxFields: number) {
    this.text = text
    this.lineEnd = at
    this.#left = maxFields
  }

  /** Goes to the next field. False at the end, or at a fault. */
  next(): boolean {
    const text = this.text
    let at = this.lineEnd
    if (at >= text.length) return false
    if (this.#left-- <= 0) return this.#refuse('too many fields')
    this.lineStart = at
    this.unusual = false
    let code = text.charCodeAt(at)
    if (code === SPACE || code === TAB) return this.#refuse('folded line')
    while (code !== COLON) {
      const kind = tokenChar[code]
      if (kind !== 1) {
        if (kind !== 2) return this.#refuse('bad field name')
        this.unusual = true
      }
      code = text.charCodeAt(++at)
    }
    if (at === this.lineStart) return this.#refuse('bad field name')
    this.nameEnd = at
    code = text.charCodeAt(++at)
    while (code === SPACE || code === TAB) code = text.charCodeAt(++at)
    this.valueStart = at
    while (valueChar[code] === 1) code = text.charCodeAt(++at)
    if (code !== CR) return this.#refuse('bad field value')
    if (text.charCodeAt(at + 1) !== LF) return this.#refuse('bare CR')
    this.lineEnd = at + 2
    let before = text.charCodeAt(at - 1)
    while (at > this.valueStart && (before === SPACE || before === TAB)) before = text.charCodeAt(--at - 1)
    this.valueEnd = at
    return true
  }

  /** The field's name in lower case. */
  name(): string {
    return this.text.slice(this.lineStart, this.nameEnd).toLowerCase()
  }

  value(): string {
    return this.text.slice(this.valueStart, this.valueEnd)
  }

  #refuse(fault: FieldFault): false {
    this.fault = fault
    return false
  }
}

/** The values of a field in a block of well-formed lines, joined with commas (RFC 9110 5.3); undefined when it is not there. */
export function fieldValue(block: string, lowerName: string): string | undefined {
  const { length } = lowerName
  const first = lowerName.charCodeAt(0)
  let found: string | undefined
  for (let at = 0, next = 0; at < block.length; at = next) {
    const end = block.indexOf('\r\n', at)
    if (end < 0) break
    next = end + 2
    // Most other names are told apart by where they end and how they begin.
    if (block.charCodeAt(at + length) !== COLON || (block.charCodeAt(at) | 0x20) !== (first | 0x20) || block.slice(at, at + length).toLowerCase() !== lowerName) continue
    const value = trimmed(block, at + length + 1, end)
    found = found === undefined ? value : `${found}, ${value}`
  }
  return found
}

/** The value between, without the spaces and tabs around it; other octets that JavaScript takes for white space are a part of it. */
export function trimmed(text: string, from: number, to: number): string {
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB

/** The block without the lines whose lower-case names are in `names`. */
export function withoutFields(block: string, names: ReadonlySet<string>): string {
  const scanner = new FieldScanner(block, 0, Number.MAX_SAFE_INTEGER)
  let kept = ''
  while (scanner.next()) if (!names.has(scanner.name())) kept += block.slice(scanner.lineStart, scanner.lineEnd)
  return kept
}

/**
 * Tells known names apart by length and first letter before anything is compared.
 * `classify` returns the number given to the name in `known`, or 0.
 */
export function createClassifier(known: Readonly<Record<string, number>>): (text: string, from: number, to: number) => number {
  const byLength: { readonly name: string; readonly first: number; readonly kind: number }[][] = []
  for (const [name, kind] of Object.entries(known)) (byLength[name.length] ??= []).push({ name, first: name.charCodeAt(0), kind })
  const longest = byLength.length
  return (text, from, to) => {
    const length = to - from
    if (length >= longest) return 0
    const candidates = byLength[length]
    if (candidates === undefined) return 0
    const first = text.charCodeAt(from) | 0x20
    for (const candidate of candidates) {
      if (candidate.first === first && text.slice(from, to).toLowerCase() === candidate.name) return candidate.kind
    }
    return 0
  }
}

const unusualInName = /[^a-z0-9-]/

/** What servers that take `-`, `_` and often all that is no letter for one and the same (CGI, WSGI, Rack) read a lower-case name as, with `-` for all of these. */
export const readsAs = (name: string): string => (unusualInName.test(name) ? name.replace(/[^a-z0-9]/g, '-') : name)

/** Decimal digits only (RFC 9110 8.6), at most 15 of them, or -1. */
export function parseLength(text: string): number {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : -1
}

/** The members of a comma list, trimmed and in lower case, without empty ones. */
export function listMembers(value: string): readonly string[] {
  return value === 'keep-alive' ? keepAlive : value.toLowerCase().split(',').map((member) => member.trim()).filter((member) => member !== '')
}

/** What nearly every `Connection` says: taken apart once. */
const keepAlive: readonly string[] = ['keep-alive']
