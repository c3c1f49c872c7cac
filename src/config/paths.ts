// Which keys hold paths of files, and what those are relative to.
import { resolve } from 'node:path'
import type { Config } from './schema.ts'

const keys: readonly string[] = ['admin.tokenFile', 'catalogs.file.path', 'catalogs.nomad.tokenFile', 'catalogs.nomad.tls.ca', 'catalogs.nomad.tls.cert', 'catalogs.nomad.tls.key', 'upstream.ca', 'state.path', 'log.access.target']
/** What `log.access.target` may hold instead of a path. */
const words: readonly string[] = ['stdout', 'off']

/** Whether the value of this key is the path of a file. */
export const isFilePath = (path: readonly string[], value: string): boolean => keys.includes(path.join('.')) && !(path[0] === 'log' && words.includes(value))

/** The config with every path absolute; relative ones start at `directory`. */
export function resolvePaths(config: Config, directory: string): Config {
  const { admin, tls, catalogs, upstream, state, log } = config
  const absolute = (path: string): string => resolve(directory, path)
  const { target } = log.access
  return {
    ...config,
    admin: { ...admin, ...(admin.tokenFile !== undefined && { tokenFile: absolute(admin.tokenFile) }) },
    tls: {
      ...tls,
      certificates: tls.certificates.map(({ cert, key, ...rest }) => ({ ...rest, cert: absolute(cert), ...(key !== undefined && { key: absolute(key) }) })),
      clients: tls.clients.map((clients) => ({ ...clients, ca: absolute(clients.ca) })),
    },
    catalogs: {
      ...catalogs,
      ...(catalogs.file && { file: { path: absolute(catalogs.file.path) } }),
      ...(catalogs.nomad && { nomad: withPaths(catalogs.nomad, absolute) }),
    },
    upstream: { ...upstream, ...(upstream.ca !== undefined && { ca: absolute(upstream.ca) }) },
    state: { ...state, path: absolute(state.path) },
    log: { ...log, access: { ...log.access, target: words.includes(target) ? target : absolute(target) } },
  }
}

type Nomad = NonNullable<Config['catalogs']['nomad']>

function withPaths(nomad: Nomad, absolute: (path: string) => string): Nomad {
  const { tokenFile, tls } = nomad
  const { ca, cert, key } = tls ?? {}
  return {
    ...nomad,
    ...(tokenFile !== undefined && { tokenFile: absolute(tokenFile) }),
    ...(tls !== undefined && {
      tls: { ...tls, ...(ca !== undefined && { ca: absolute(ca) }), ...(cert !== undefined && { cert: absolute(cert) }), ...(key !== undefined && { key: absolute(key) }) },
    }),
  }
}
