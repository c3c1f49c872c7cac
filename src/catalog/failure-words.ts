// Why a connection or a request failed, in words for people.

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused', ECONNRESET: 'connection reset', EHOSTUNREACH: 'no way to the host', ENETUNREACH: 'no way to the network', ENOTFOUND: 'no such name',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'its TLS does not offer h2 (ALPN)',
}

/** Never '', which would be no failure: where all addresses of a name failed, the error that Node makes has a code and no message. */
export function failureWords(error: unknown): string {
  const { code = '', message, reason } = error as NodeJS.ErrnoException & { readonly reason?: unknown }
  const known = words[code]
  if (known !== undefined) return known
  return typeof reason === 'string' && code.startsWith('ERR_SSL_') ? `TLS: ${reason}` : message || code || 'failed'
}
