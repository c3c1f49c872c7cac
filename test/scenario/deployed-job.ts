// One job of the scenario: deployed, updated, scaled and promoted by Nomad's API, and waited for without hurry, so that asking disturbs nothing.
import assert from 'node:assert/strict'
import type { NomadClient } from '#test/support/nomad-client.ts'
import { makeJob, ms } from '#test/support/nomad-job.ts'
import type { JobOptions } from '#test/support/nomad-job.ts'
import { until } from '#test/support/until.ts'

export interface Allocation {
  readonly ID: string
  readonly JobVersion: number
  readonly DesiredStatus: string
  readonly ClientStatus: string
  readonly DeploymentStatus: { readonly Healthy: boolean | null; readonly Canary: boolean } | null
}

interface Deployment { readonly ID: string; readonly JobVersion: number; readonly Status: string; readonly StatusDescription: string }
interface Registration { readonly AllocID: string; readonly Address: string; readonly Port: number }

const DEADLINE_MS = 90_000
const EVERY_MS = 100
/** The backend listens so long after its process has started. */
const LISTEN_AFTER_MS = 1000

/** Waits for what the job comes to. */
export const settled = <T>(condition: () => T | Promise<T>, what: string): Promise<Exclude<T, false | undefined>> => until(condition, { deadline: DEADLINE_MS, everyMs: EVERY_MS, what })

export class DeployedJob {
  readonly name: string
  readonly #client: NomadClient
  readonly #options: JobOptions
  /** Of the job as it was last registered or scaled. */
  #version = -1

  /** Two instances with a check every second, `checkMs`, on a backend that listens a second after its start; a task that is killed restarts after a second. */
  constructor(client: NomadClient, name: string, options: JobOptions) {
    this.#client = client
    this.name = name
    this.#options = { count: 2, minHealthyMs: 1000, ...options, group: { RestartPolicy: { Attempts: 3, Delay: ms(1000), Interval: ms(300_000), Mode: 'fail' }, ...options.group } }
  }

  /** Registers the job with a version of its program. */
  async run(version: string): Promise<void> {
    const job = makeJob(this.name, { ...this.#options, env: { START_DELAY: String(LISTEN_AFTER_MS), VERSION: version } })
    await this.#post('/v1/jobs', { Job: job })
    this.#version++
  }

  async scale(count: number): Promise<void> {
    await this.#post(`/v1/job/${this.name}/scale`, { Count: count, Target: { Group: this.name } })
    this.#version++
  }

  /** Promotes the canaries once they are healthy. */
  async promote(): Promise<void> {
    const deployment = (await this.#deployments()).find(({ Status }) => Status === 'running')
    await this.#post(`/v1/deployment/promote/${deployment?.ID}`, { DeploymentID: deployment?.ID, All: true })
  }

  /** Until the newest version of the job is deployed and everything older has ended. */
  async deployed(count: number): Promise<void> {
    await settled(async () => {
      const newest = (await this.#deployments()).find(({ JobVersion }) => JobVersion === this.#version)
      assert.equal(newest?.Status, 'successful', `${newest?.Status}: ${newest?.StatusDescription}; allocations: ${JSON.stringify(await this.allocations())}`)
      return true
    }, `a successful deployment of ${this.name}`)
    await this.running(count)
  }

  /** Until only `count` allocations run, and all others have ended. */
  async running(count: number): Promise<void> {
    await settled(async () => {
      const alive = (await this.allocations()).filter(({ ClientStatus }) => ClientStatus === 'running' || ClientStatus === 'pending')
      return alive.length === count && alive.every(({ DesiredStatus, ClientStatus }) => DesiredStatus === 'run' && ClientStatus === 'running')
    }, `${count} allocations of ${this.name}`)
  }

  /** Until a canary is there and healthy. */
  async canaryHealthy(): Promise<void> {
    await settled(async () => (await this.allocations()).some(({ DeploymentStatus }) => DeploymentStatus?.Canary === true && DeploymentStatus.Healthy === true), `a healthy canary of ${this.name}`)
  }

  /** Tells the instance of an allocation, not through Serai, to fail its check (`/fail`) or to pass it again (`/mend`). */
  async tell(allocation: string, path: '/fail' | '/mend'): Promise<void> {
    const { body } = await this.#client.ask<readonly Registration[]>(`/v1/service/${this.name}`)
    const instance = body.find(({ AllocID }) => AllocID === allocation)
    assert.ok(instance !== undefined, `${allocation} is not registered`)
    assert.ok((await fetch(`http://${instance.Address}:${instance.Port}${path}`)).ok)
  }

  async allocations(): Promise<readonly Allocation[]> {
    const { status, body } = await this.#client.ask<readonly Allocation[]>(`/v1/job/${this.name}/allocations`)
    return status === 200 ? body : []
  }

  async #deployments(): Promise<Deployment[]> {
    const { status, body } = await this.#client.ask<Deployment[]>(`/v1/job/${this.name}/deployments`)
    return status === 200 ? body : []
  }

  async #post(path: string, body: unknown): Promise<void> {
    const answer = await this.#client.ask(path, { method: 'POST', body })
    assert.equal(answer.status, 200, JSON.stringify(answer.body))
  }
}
