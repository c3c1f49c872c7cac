// The demo's Nomad: the development registry with the sample jobs, and what can be done to them.
import { recorded } from '#src/development/pace.ts'
import { startRegistry } from '#src/development/registry.ts'
import type { Registry } from '#src/development/registry.ts'
import type { Allocation } from '#src/development/state/rows.ts'
import { sampleDriver } from './sample-driver.ts'
import { sampleJob } from './sample-jobs.ts'
import type { Sample, SampleName } from './sample-jobs.ts'

const first: readonly Sample[] = [{ name: 'web', count: 2, version: 1 }, { name: 'api', count: 2, version: 1 }, { name: 'shop', count: 2, version: 1 }]

export class SampleCluster implements AsyncDisposable {
  readonly #registry: Registry
  readonly #samples = new Map<SampleName, Sample>(first.map((sample) => [sample.name, sample]))

  private constructor(registry: Registry) {
    this.#registry = registry
  }

  static async start(): Promise<SampleCluster> {
    const cluster = new SampleCluster(await startRegistry({ drivers: { sample: sampleDriver }, pace: recorded }))
    for (const sample of first) cluster.#registry.run(sampleJob(sample))
    return cluster
  }

  /** `host:port` of its API. */
  get address(): string {
    return this.#registry.address
  }

  /** Whether all instances that were asked for run. */
  get complete(): boolean {
    return [...this.#samples.values()].every(({ name, count }) => this.running(name).length === count)
  }

  /** What runs, by job, as `web[0] v1 (pid 12)`. */
  running(name: SampleName): readonly { readonly instance: string; readonly version: string; readonly pid: number }[] {
    return this.#allocations(name).filter(({ client, desired }) => client === 'running' && desired === 'run').map(({ id, slot, job }) => ({
      instance: `${name}[${slot}]`,
      version: job.TaskGroups[0]?.Tasks[0]?.Env?.['VERSION'] ?? '',
      pid: this.#registry.pids(id)[0] ?? 0,
    }))
  }

  /** A new version: of `shop` as a canary beside the old one, else one instance after another. What is answered says what happens. Throws Refused. */
  deploy(name: SampleName): string {
    const sample = this.#change(name, ({ version, ...rest }) => ({ ...rest, version: version + 1 }))
    const how = name === 'shop' ? 'one canary with a tenth of an instance\'s share; p promotes it' : 'one instance after the other'
    return `version ${sample.version} of ${name} is being deployed: ${how}`
  }

  promote(): string {
    this.#registry.promote('shop')
    return 'the canary of shop is promoted: same instance, the tags of the others; these are replaced'
  }

  scale(name: SampleName, by: number): string {
    const count = Math.max(1, (this.#samples.get(name)?.count ?? 1) + by)
    this.#registry.scale(name, count)
    this.#samples.set(name, { name, version: 1, ...this.#samples.get(name), count })
    return `${name} is scaled to ${count}`
  }

  /** Stops a job, or starts it again. */
  toggle(name: SampleName): string {
    const running = this.#allocations(name).some(({ desired }) => desired === 'run')
    if (running) this.#registry.stop(name)
    else this.#change(name, (sample) => sample)
    return running ? `${name} is being stopped: out of the catalog at once, its tasks end a second later` : `${name} is being started`
  }

  /** Kills the process of an instance, which then restarts after a second. */
  kill(name: SampleName): string {
    const victim = this.running(name)[0]
    if (victim === undefined || victim.pid === 0) return `no instance of ${name} runs`
    process.kill(victim.pid, 'SIGKILL')
    return `${victim.instance} (pid ${victim.pid}) was killed: it stays registered, and restarts after a second`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry[Symbol.asyncDispose]()
  }

  #change(name: SampleName, next: (sample: Sample) => Sample): Sample {
    const sample = next(this.#samples.get(name) ?? { name, count: 2, version: 1 })
    this.#registry.run(sampleJob(sample))
    this.#samples.set(name, sample)
    return sample
  }

  #allocations(name: SampleName): readonly Allocation[] {
    return this.#registry.allocations(name)
  }
}
