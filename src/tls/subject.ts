// The subject of a client's certificate as one line of text that no certificate can break out of.

/** Longer ones are cut: some server behind us has a limit too. */
const MAX_LENGTH = 1024

/**
 * `CN=alice,O=Example`, the most specific first (RFC 4514), from what `X509Certificate.subject` says: one `NAME=value` a line. What is
 * not visible ASCII is written as `%` and the hex of its UTF-8 octets, as are `%`, `,` and `+` within values.
 */
export function subjectText(subject: string | undefined): string {
  const parts = (subject ?? '').split('\n').filter((line) => line !== '').map((line) => {
    const at = line.indexOf('=')
    return `${escape(line.slice(0, at))}=${escape(line.slice(at + 1))}`
  })
  return parts.reverse().join(',').slice(0, MAX_LENGTH)
}

const escape = (text: string): string =>
  text.replace(/[^ -~]|[%,+=]/gu, (character) => Array.from(Buffer.from(character, 'utf8'), (octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''))
