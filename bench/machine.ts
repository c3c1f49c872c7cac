// Where and with what a bench ran: without it the numbers mean nothing.
import { cpus, release, totalmem } from 'node:os'
import { versionOf } from './programs.ts'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly kernel: string
  readonly memoryMb: number
  readonly versions: Readonly<Record<string, string>>
}

export function describeMachine(): Machine {
  const programs = (['nginx', 'haproxy', 'caddy', 'wrk'] as const).flatMap((name): [string, string][] => {
    const version = versionOf(name)
    return version === undefined ? [] : [[name, version]]
  })
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    kernel: release(),
    memoryMb: Math.round(totalmem() / 2 ** 20),
    versions: { node: process.versions.node, ...Object.fromEntries(programs) },
  }
}
