// Serai with a TLS listener, certificates of an authority of the test's own, and clients for it.
import { once } from 'node:events'
import tls from 'node:tls'
import { makeAuthority, type Authority, type Certificate } from './certificates.ts'
import { Client } from './client.ts'
import { makeFolder, type Folder } from './folder.ts'
import { startSerai, type Serai, type Services } from './serai.ts'
import { DEADLINE_MS, within } from './until.ts'

export interface HttpsOptions {
  readonly services?: Services
  /** By file name; the first is for a.example.org unless it is given. */
  readonly certificates?: Readonly<Record<string, Certificate>>
  /** Keys of `tls` beside the certificates, and which file is the default. */
  readonly tls?: Readonly<Record<string, unknown>>
  readonly default?: string
  readonly listeners?: Readonly<Record<string, unknown>>
  readonly config?: Readonly<Record<string, unknown>>
}

export interface Https extends AsyncDisposable {
  readonly serai: Serai
  readonly port: number
  /** The folder of the certificates: `NAME.pem` and `NAME.key`. */
  readonly folder: Folder
  /** Replaces a certificate, key first, as a careful operator does. */
  put(name: string, certificate: Certificate): Promise<void>
}

export const authority: Authority = makeAuthority()

/** Starts it; `certificates` stand in a folder of their own. */
export async function startHttps({ services = [], certificates = { a: authority.issue(['a.example.org']) }, tls: given = {}, default: byDefault, listeners = {}, config = {} }: HttpsOptions): Promise<Https> {
  await using cleanUp = new AsyncDisposableStack()
  const folder = cleanUp.use(await makeFolder())
  await folder.write('ca.pem', authority.ca)
  const put = async (name: string, { cert, key }: Certificate): Promise<void> => {
    await folder.write(`${name}.key`, key, 0o600)
    await folder.write(`${name}.pem`, cert)
  }
  for (const [name, certificate] of Object.entries(certificates)) await put(name, certificate)
  const serai = cleanUp.use(await startSerai({
    services,
    config: {
      workers: 1,
      listeners: { http: { address: '127.0.0.1:0' }, https: { address: '127.0.0.1:0', tls: true }, ...listeners },
      log: { level: 'debug' },
      ...config,
      tls: { certificates: Object.keys(certificates).map((name) => ({ cert: folder.file(`${name}.pem`), key: folder.file(`${name}.key`), ...(name === byDefault && { default: true }) })), ...given },
    },
  }))
  const running = cleanUp.move()
  return {
    serai, folder, put,
    port: Number(serai.listeners['https']?.split(':').at(-1)),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

export interface TlsClient extends Client {
  readonly socket: tls.TLSSocket
}

/** A client that trusts only our authority; rejects when the handshake fails. */
export async function connectTls(port: number, options: tls.ConnectionOptions = {}): Promise<TlsClient> {
  const socket = tls.connect({ host: '127.0.0.1', port, ca: authority.ca, servername: 'a.example.org', ...options })
  await within(once(socket, 'secureConnect'), DEADLINE_MS, () => 'a TLS handshake')
  return new Client(socket, DEADLINE_MS, true) as TlsClient
}
