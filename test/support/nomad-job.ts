// Jobs for tests in Nomad's own JSON: one group with a service whose task is a real process, on the development registry and on a real Nomad alike.
import { fileURLToPath } from 'node:url'
import type { SubmittedJob } from '#src/development/job/canonical.ts'

export interface JobOptions {
  readonly namespace?: string
  readonly type?: 'service' | 'system'
  readonly count?: number
  readonly tags?: readonly string[]
  readonly canaryTags?: readonly string[]
  /** Milliseconds between checks; none: no check. */
  readonly checkMs?: number
  readonly check?: Readonly<Record<string, unknown>>
  /** Keys laid over the group's service. */
  readonly service?: Readonly<Record<string, unknown>>
  /** Keys laid over the group. */
  readonly group?: Readonly<Record<string, unknown>>
  /** A service of the task beside that of the group. */
  readonly taskService?: string
  /** Milliseconds. */
  readonly groupDelayMs?: number
  readonly taskDelayMs?: number
  readonly env?: Readonly<Record<string, string>>
  readonly canaries?: number
  readonly minHealthyMs?: number
  /** No process: `mock_driver`, with the development registry only. */
  readonly mock?: boolean
}

/** Milliseconds in the nanoseconds that jobs state. */
export const ms = (milliseconds: number): number => milliseconds * 1e6

const backend = fileURLToPath(new URL('../fixtures/task-backend.ts', import.meta.url))

/** A job `id` whose group `id` has the service `id` on the port `http`, with the backend of test/fixtures/task-backend.ts. */
export function makeJob(id: string, options: JobOptions = {}): SubmittedJob {
  const { namespace = 'default', type = 'service', count = 1, tags = [], canaryTags, checkMs, check = {}, service = {}, group = {}, taskService, groupDelayMs = 0, taskDelayMs = 0, env = {}, canaries = 0, minHealthyMs = 100, mock = false } = options
  const checks = checkMs === undefined ? [] : [{ Name: 'up', Type: 'http', Path: '/health', Interval: ms(checkMs), Timeout: ms(1000), ...check }]
  const ports = ['http', ...(taskService === undefined ? [] : ['admin'])]
  return {
    ID: id,
    Name: id,
    Namespace: namespace,
    Type: type,
    Datacenters: ['*'],
    TaskGroups: [{
      Name: id,
      Count: count,
      Networks: [{ DynamicPorts: ports.map((Label) => ({ Label })) }],
      Services: [{ Name: id, Provider: 'nomad', PortLabel: 'http', Tags: tags, ...(canaryTags === undefined ? {} : { CanaryTags: canaryTags }), Checks: checks, ...service }],
      ...(groupDelayMs === 0 ? {} : { ShutdownDelay: ms(groupDelayMs) }),
      RestartPolicy: { Attempts: 3, Delay: ms(300), Interval: ms(300_000), Mode: 'fail' },
      Update: { MaxParallel: 1, Canary: canaries, HealthCheck: checkMs === undefined ? 'task_states' : 'checks', MinHealthyTime: ms(minHealthyMs), HealthyDeadline: ms(30_000), ProgressDeadline: ms(60_000) },
      Tasks: [{
        Name: 'server',
        ...(mock ? { Driver: 'mock_driver', Config: {} } : { Driver: 'raw_exec', Config: { command: process.execPath, args: [backend] } }),
        Env: { PORT: ports.map((label) => `\${NOMAD_PORT_${label}}`).join(','), ...env },
        KillTimeout: ms(5000),
        ShutdownDelay: ms(taskDelayMs),
        Resources: { CPU: 20, MemoryMB: 64 },
        ...(taskService === undefined ? {} : { Services: [{ Name: taskService, Provider: 'nomad', PortLabel: 'admin' }] }),
      }],
      ...group,
    }],
  }
}
