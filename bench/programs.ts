// The programs that a bench uses where they are installed, and their versions.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** How each program says its version. */
const versionArguments = {
  nginx: ['-v'], haproxy: ['-v'], caddy: ['version'], wrk: ['-v'], taskset: ['--version'], h2load: ['--version'], openssl: ['version'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Program = keyof typeof versionArguments

/** Its path, looked for in PATH and the folders of system daemons; undefined when it is not installed. */
export function findProgram(name: Program): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** The first version number that it prints; undefined when it is not installed. */
export function versionOf(name: Program): string | undefined {
  const path = findProgram(name)
  if (path === undefined) return undefined
  const { stdout, stderr } = spawnSync(path, versionArguments[name], { encoding: 'utf8' })
  return /[0-9]+(?:\.[0-9]+)+/.exec(stdout + stderr)?.[0] ?? 'unknown'
}
