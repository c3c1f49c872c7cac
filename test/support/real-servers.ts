// Which real programs are installed that tests and benches measure against, and what to do where one is missing.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { TestContext } from 'node:test'

/** Debian's package of each program: in CI none of them may be missing, because .ci/run installs them. */
const debianPackages = { chromium: 'chromium', curl: 'curl', nginx: 'nginx', openssl: 'openssl', wrk: 'wrk' } as const
/** Used where they are installed; nothing fails without them. */
const others = ['haproxy', 'caddy', 'h2load', 'nomad', 'consul'] as const

export type RealServer = keyof typeof debianPackages | (typeof others)[number]

const isDebian = (name: string): name is keyof typeof debianPackages => name in debianPackages

/** The path of a program, looked for in PATH and the folders of system daemons; undefined when it is missing. */
export function realServer(name: RealServer): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** The path of a program that a test needs. Where it is missing the test is skipped with one line and gets undefined; in CI (Debian's packages) it fails. */
export function needs(t: TestContext, name: RealServer): string | undefined {
  const path = realServer(name)
  if (path !== undefined) return path
  if (process.env['CI'] === 'true' && isDebian(name)) throw new Error(`${name} is missing: .ci/run must install Debian's package ${debianPackages[name]}`)
  t.skip(`${name} is not installed${isDebian(name) ? ` (apt-get install ${debianPackages[name]})` : ''}`)
  return undefined
}

/** One line that says which real programs are present or missing. */
export function describeRealServers(): string {
  const names = [...Object.keys(debianPackages) as RealServer[], ...others]
  const missing = names.filter((name) => realServer(name) === undefined)
  const present = names.filter((name) => !missing.includes(name))
  return `real servers: ${present.join(' ') || 'none'}${missing.length > 0 ? `; missing: ${missing.join(' ')}` : ''}`
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
