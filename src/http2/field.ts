// One header field as HPACK tables keep it, with what the readers of heads need of it made once, when it enters a table.

/** What a field is to the reader of a head: kinds of one direction, by lower-case name. Numbers below 0 are those of this file. */
export type KindOf = (name: string) => number

/** The field must not be there at all: its name or value is malformed, or it belongs to HTTP/1.1 connections (RFC 9113 8.2). */
export const BAD = -1

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const pseudo = /^:[a-z]+$/
/** HTAB, SP, visible ASCII and obs-text, without white space at its ends (RFC 9113 8.2.1). */
const clean = /^(?![ \t])[\t\x20-\x7e\x80-\xff]*(?<![ \t])$/

export class Field {
  /** Lower case, as it was sent. */
  readonly name: string
  /** latin1. */
  readonly value: string
  readonly kind: number
  /** The kind that its name alone makes it: that of every field by this name, whatever the value. */
  readonly nameKind: number
  /** RFC 7541 4.1: octets of name and value, and 32. */
  readonly size: number
  /** `name: value` with its CRLF, as HTTP/1.1 writes it. */
  readonly line: string

  /** `named`: a field by the same name, which need not be looked at again. */
  constructor(name: string, value: string, kindOf: KindOf, named?: Field) {
    this.name = name
    this.value = value
    this.nameKind = named !== undefined ? named.nameKind : token.test(name) || pseudo.test(name) ? kindOf(name) : BAD
    this.kind = clean.test(value) ? this.nameKind : BAD
    this.size = name.length + value.length + 32
    this.line = this.kind === BAD ? '' : `${name}: ${value}\r\n`
  }
}
