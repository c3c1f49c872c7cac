// The subject of a client's certificate as one line of text that no certificate can break out of.

/** Longer ones are cut: some server behind us has a limit too. */
const MAX_LENGTH = 1024

/**
 * `CN=alice,O=Example`, the most specific first (RFC 4514), from what `X509Certificate.subject` says: one `NAME=value` a line, with what
 * is special in a name escaped by a backslash. What is not visible ASCII is written as `%` and the hex of its UTF-8 octets, as is `%` itself.
 */
export function subjectText(subject: string | undefined): string {
  const parts = (subject ?? '').split('\n').filter((line) => line !== '')
  return parts.reverse().join(',').replace(/[^ -~]|%/gu, percent).slice(0, MAX_LENGTH)
}

const percent = (character: string): string =>
  Array.from(Buffer.from(character, 'utf8'), (octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join('')
