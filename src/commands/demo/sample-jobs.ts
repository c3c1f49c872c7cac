// The demo's jobs, in Nomad's JSON: what a team would write, with tags for Serai.
import type { SubmittedJob } from '#src/development/job/canonical.ts'

export type SampleName = 'web' | 'api' | 'shop' | 'new'

export interface Sample {
  readonly name: SampleName
  readonly count: number
  /** Raised by each deployment. */
  readonly version: number
}

/** Where each is reached. */
export const places: Readonly<Record<SampleName, string>> = { web: 'a.example.org', api: 'a.example.org/api', shop: 'shop.example.org', new: 'new.example.org' }

const tags: Readonly<Record<SampleName, readonly string[]>> = {
  web: ['serai.host=a.example.org, a.localhost'],
  api: ['serai.host=a.example.org, a.localhost', 'serai.path=/api'],
  shop: ['serai.host=shop.example.org, shop.localhost'],
  new: ['serai.host=new.example.org, new.localhost'],
}

const SECOND = 1e9

/** The job of a sample. Its tasks register before they listen, are checked every second, and go on serving for a second after they were deregistered. */
export function sampleJob({ name, count, version }: Sample): SubmittedJob {
  const canary = name === 'shop' ? { CanaryTags: [...tags[name], 'serai.weight=10'] } : {}
  return {
    ID: name,
    TaskGroups: [{
      Name: name,
      Count: count,
      ShutdownDelay: SECOND,
      Networks: [{ DynamicPorts: [{ Label: 'http' }] }],
      Services: [{ Name: name, Provider: 'nomad', PortLabel: 'http', Tags: tags[name], ...canary, Checks: [{ Name: 'up', Type: 'http', Path: '/health', Interval: SECOND, Timeout: SECOND }] }],
      RestartPolicy: { Attempts: 10, Delay: SECOND, Interval: 60 * SECOND, Mode: 'fail' },
      Update: { MaxParallel: 1, MinHealthyTime: 2 * SECOND, Canary: name === 'shop' ? 1 : 0 },
      Tasks: [{ Name: 'server', Driver: 'sample', Config: {}, Env: { VERSION: `v${version}` } }],
    }],
  }
}
