// A TLS handshake with a client whose ClientHello was read already: OpenSSL gets it, over the native socket, and says how it ended.
import type { X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import { SecureSocket } from '#src/io/secure-socket.ts'
import type { StreamHandle } from '#src/io/stream-binding.ts'
import type { HandshakeFailureReason } from '#src/observe/counters.ts'
import type { Identity } from '#src/tls/identities.ts'
import { ALPN_PROTOCOLS } from './protocols.ts'

export interface Handshake {
  readonly context: SecureContext
  readonly identity: Identity
  /** Of what the client sent, from its ClientHello on. */
  readonly first: Buffer
  /** What the socket reads into. */
  readonly into: Uint8Array
  /** Called once, unless `failed` is: the socket is the caller's. */
  done(socket: SecureSocket, client: X509Certificate | undefined): void
  /** Called once, unless `done` is: the socket is no more. */
  failed(reason: HandshakeFailureReason, detail: string): void
}

/** Begins the handshake on a connection that nobody else reads; destroying the socket that is returned ends it. */
export function shakeHands(connection: StreamHandle, { context, identity, first, into, done, failed }: Handshake): SecureSocket {
  const { policy } = identity
  const socket = SecureSocket.over(connection, into, {
    secureContext: context,
    ALPNProtocols: [...ALPN_PROTOCOLS],
    requestCert: policy !== null,
    rejectUnauthorized: policy?.mode === 'require',
  })
  let reason: HandshakeFailureReason = 'client_gone'
  let detail = ''
  const onError = (error: NodeJS.ErrnoException): void => {
    reason = reasonOf(error)
    detail = error.code ?? error.message
  }
  const onClose = (): void => failed(reason, detail)
  const onEnd = (): void => void socket.destroy() // half a handshake is none
  socket.on('error', onError).on('close', onClose).on('end', onEnd)
  socket.once('secure', () => {
    const client = policy === null ? undefined : socket.getPeerX509Certificate()
    if (client !== undefined || policy?.mode === 'require') {
      const wrong = verifyError(socket)
      if (wrong !== undefined) {
        onError(Object.assign(wrong, { code: `client certificate: ${wrong.code ?? wrong.message}` }))
        socket.destroy()
        return
      }
    }
    socket.off('close', onClose).off('end', onEnd)
    // Node keeps errors after the handshake to its own server, which this socket has not: what OpenSSL cannot read ends it.
    socket.on('_tlsError', (error: Error) => socket.destroy(error))
    done(socket, client)
  })
  socket.receive(first)
  return socket
}

/** What OpenSSL found wrong with the client's certificate; tls.Server asks it the same way. */
function verifyError(socket: SecureSocket): NodeJS.ErrnoException | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle: { verifyError(): NodeJS.ErrnoException | null | undefined } | null }
  return handle === null ? new Error('gone') : (handle.verifyError() ?? undefined)
}

/** By OpenSSL's own codes. Alerts first: the client names what it sends, and might name one of ours. */
function reasonOf({ code = '', message }: NodeJS.ErrnoException): HandshakeFailureReason {
  if (code.includes('ALERT') || /\balert\b/.test(message)) return 'client_gone'
  if (code.startsWith('client certificate') || /PEER_DID_NOT_RETURN_A_CERTIFICATE|CERTIFICATE_(REQUIRED|VERIFY_FAILED)/.test(code)) return 'client_certificate'
  if (/UNSUPPORTED_PROTOCOL|NO_SHARED_CIPHER|NO_SUITABLE|NO_APPLICATION_PROTOCOL|VERSION_TOO_LOW|INAPPROPRIATE_FALLBACK/.test(code)) return 'no_common_terms'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'client_gone'
  return 'other'
}
