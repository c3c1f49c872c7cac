// Where Nomad's API is and what it is asked with: from the config, else from what a Nomad task or the command line's environment shows.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { RegistryAddress } from './http.ts'
import type { TokenOrigin } from './token.ts'

/** What a config may say; everything else is found in the environment. */
export interface NomadSettings {
  /** `http://host:4646`, `https://…` or `unix:///path/api.sock`. */
  readonly address?: string | undefined
  readonly token?: string | undefined
  readonly tokenFile?: string | undefined
  readonly region?: string | undefined
  readonly tls?: RegistryAddress['tls']
}

export interface NomadAddress extends RegistryAddress {
  /** As people write it. */
  readonly name: string
  readonly region: string | undefined
  readonly token: TokenOrigin
}

type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT = 'http://127.0.0.1:4646'

/** The socket of the Task API, where this process is a Nomad task that has one. */
export function taskSocket(env: Environment): string | undefined {
  const told = env['NOMAD_UNIX_ADDR']
  if (told !== undefined && told.startsWith('unix://')) return told.slice('unix://'.length)
  const secrets = env['NOMAD_SECRETS_DIR']
  const socket = secrets === undefined ? undefined : join(secrets, 'api.sock')
  return socket !== undefined && existsSync(socket) ? socket : undefined
}

/** The config goes before the task's socket, that before NOMAD_ADDR and its fellows, those before the local agent. */
export function findNomad(settings: NomadSettings, env: Environment): NomadAddress {
  const socket = settings.address?.startsWith('unix://') === true ? settings.address.slice('unix://'.length)
    : settings.address === undefined ? taskSocket(env) : undefined
  const region = settings.region ?? (env['NOMAD_REGION'] || undefined)
  const token = tokenOf(settings, env)
  if (socket !== undefined) return { origin: 'http://nomad', socketPath: socket, name: `unix://${socket}`, region, token }
  const origin = (settings.address ?? (env['NOMAD_ADDR'] || DEFAULT)).replace(/\/+$/, '')
  const tls = {
    ca: env['NOMAD_CACERT'] || undefined, cert: env['NOMAD_CLIENT_CERT'] || undefined, key: env['NOMAD_CLIENT_KEY'] || undefined,
    serverName: env['NOMAD_TLS_SERVER_NAME'] || undefined, skipVerify: env['NOMAD_SKIP_VERIFY'] === 'true' || env['NOMAD_SKIP_VERIFY'] === '1',
    ...settings.tls,
  }
  return { origin, name: origin, region, token, ...(origin.startsWith('https:') ? { tls } : {}) }
}

/** The file before the variable: what a variable holds cannot rotate. */
function tokenOf({ token, tokenFile }: NomadSettings, env: Environment): TokenOrigin {
  if (token !== undefined) return { token }
  if (tokenFile !== undefined) return { file: tokenFile }
  const secrets = env['NOMAD_SECRETS_DIR']
  const file = secrets === undefined ? undefined : join(secrets, 'nomad_token')
  if (file !== undefined && existsSync(file)) return { file }
  return { token: env['NOMAD_TOKEN'] || undefined }
}
