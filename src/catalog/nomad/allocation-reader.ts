// Finds out what jobs define for their allocations: one by one as they come, from the list when many are asked for, each job version once.
import type { Clock } from '#src/registry/clock.ts'
import type { NomadFailure } from '#src/registry/nomad-answer.ts'
import type { NomadClient } from '#src/registry/nomad-client.ts'
import { readStatus } from './allocation-status.ts'
import type { AllocationStatus } from './allocation-status.ts'
import { readAllocation, readStub } from './check-definition.ts'
import type { Allocation, JobDefinition } from './check-definition.ts'
import { RateWindow } from './rate-window.ts'

export interface AllocationFacts {
  readonly allocation: Allocation
  /** Undefined: not read, since Nomad has judged the allocation healthy already. */
  readonly definition: JobDefinition | undefined
}

export type AllocationResult = ({ readonly ok: true } & AllocationFacts) | NomadFailure

/** From so many on, one list is cheaper than their reads. */
const MANY = 10
const PAGE = 1000
const AT_ONCE = 4
/** Reads in any second, once the program has started. */
const PER_SECOND = 10
const MAX_DEFINITIONS = 10_000

export class AllocationReader {
  readonly #client: NomadClient
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #window = new RateWindow(PER_SECOND)
  readonly #asked = new Map<string, { readonly namespace: string; readonly done: ((result: AllocationResult) => void)[] }>()
  /** Stubs of the list that their definition is still wanted for. */
  readonly #stubs = new Map<string, Allocation>()
  readonly #definitions = new Map<string, JobDefinition>()
  /** Job versions of which an allocation is being read: the others wait for it. */
  readonly #reading = new Map<string, Promise<unknown>>()
  #working = 0
  #listing: Promise<void> | undefined
  /** While it is true reads are bounded by answers alone. */
  starting = true

  constructor(client: NomadClient, clock: Clock, signal: AbortSignal) {
    this.#client = client
    this.#clock = clock
    this.#signal = signal
  }

  /** As `find`, and what its job defines in any case. */
  define(id: string, namespace: string): Promise<AllocationResult> {
    return this.#read(id, namespace)
  }

  /** The state of all allocations of a namespace (`*`: of all), by pages; ends early when one cannot be read. */
  async statuses(namespace: string, take: (status: AllocationStatus) => void): Promise<void> {
    for await (const stub of this.#pages(namespace)) {
      const status = readStatus(stub)
      if (status !== undefined) take(status)
    }
  }

  /** Somebody waits for it. */
  get isReading(): boolean {
    return this.#asked.size > 0 || this.#working > 0
  }

  /** Never rejects; resolves with a failure when the signal aborts. */
  find(id: string, namespace: string): Promise<AllocationResult> {
    return new Promise((resolve) => {
      const asked = this.#asked.get(id)
      if (asked === undefined) this.#asked.set(id, { namespace, done: [resolve] })
      else asked.done.push(resolve)
      // In the next turn, so that what is asked for together is seen together.
      setImmediate(() => { this.#work() })
    })
  }

  #work(): void {
    if (this.#asked.size > MANY && this.#listing === undefined) this.#listing = this.#list().finally(() => setTimeout(() => { this.#listing = undefined }, LIST_REST_MS).unref())
    while (this.#working < AT_ONCE) {
      this.#working++
      void this.#readNext().then((more) => {
        this.#working--
        if (more) this.#work()
      })
      if (this.#working >= this.#asked.size) return
    }
  }

  /** False: nothing was left to do. */
  async #readNext(): Promise<boolean> {
    if (this.#listing !== undefined) await this.#listing
    const next = this.#asked.entries().next().value
    if (next === undefined) return false
    const [id, { namespace, done }] = next
    this.#asked.delete(id)
    const result = await this.#read(id, namespace)
    for (const resolve of done) resolve(result)
    return this.#asked.size > 0
  }

  async #read(id: string, namespace: string): Promise<AllocationResult> {
    const stub = this.#stubs.get(id)
    if (stub === undefined) return await this.#ask(id, namespace)
    this.#stubs.delete(id)
    const version = versionKey(stub.namespace, stub.job, stub.jobVersion)
    await this.#reading.get(version)
    const known = this.#definitions.get(version)
    if (known !== undefined) return { ok: true, allocation: stub, definition: known }
    const asking = this.#ask(id, namespace).finally(() => { this.#reading.delete(version) })
    this.#reading.set(version, asking)
    return await asking
  }

  async #ask(id: string, namespace: string): Promise<AllocationResult> {
    await this.#turn()
    const result = await this.#client.get({ call: 'allocation', path: `/v1/allocation/${encodeURIComponent(id)}`, query: { namespace }, stale: true }, this.#signal)
    if (!result.ok) return result
    const read = readAllocation(result.body)
    if (read === undefined) return { ok: false, kind: 'garbage', reason: `/v1/allocation/${id}: that is not an allocation with its job` }
    this.#remember(read.definition)
    return { ok: true, ...read }
  }

  async #turn(): Promise<void> {
    for (let ms; !this.#signal.aborted && !this.starting && (ms = this.#window.waitMs(this.#clock.now())) > 0;) await this.#clock.wait(ms, this.#signal)
    this.#window.note(this.#clock.now())
  }

  #remember(definition: JobDefinition): void {
    if (this.#definitions.size >= MAX_DEFINITIONS) this.#definitions.delete(this.#definitions.keys().next().value ?? '')
    this.#definitions.set(versionKey(definition.namespace, definition.job, definition.version), definition)
  }

  /** Resolves what it can of what is asked for; the rest is read one by one. */
  async #list(): Promise<void> {
    const namespaces = new Set(Array.from(this.#asked.values(), ({ namespace }) => namespace))
    for (const namespace of namespaces) for await (const each of this.#pages(namespace)) this.#take(readStub(each))
  }

  async *#pages(namespace: string): AsyncGenerator<unknown, void, undefined> {
    for (let token = ''; !this.#signal.aborted;) {
      const query = { namespace, per_page: PAGE, task_states: 'false', ...(token === '' ? {} : { next_token: token }) }
      const result = await this.#client.get({ call: 'allocations', path: '/v1/allocations', query, stale: true }, this.#signal)
      if (!result.ok || !Array.isArray(result.body)) return
      yield* result.body as unknown[]
      token = result.nextToken
      if (token === '') return
    }
  }

  #take(stub: Allocation | undefined): void {
    const asked = stub === undefined ? undefined : this.#asked.get(stub.id)
    if (stub === undefined || asked === undefined) return
    const definition = this.#definitions.get(versionKey(stub.namespace, stub.job, stub.jobVersion))
    // What Nomad has judged healthy in a deployment has passed its checks: of thousands of running instances no job needs to be read.
    if (definition === undefined && stub.status.healthy !== true) {
      this.#stubs.set(stub.id, stub)
      return
    }
    this.#asked.delete(stub.id)
    for (const resolve of asked.done) resolve({ ok: true, allocation: stub, definition })
  }
}

/** Between two lists. */
const LIST_REST_MS = 10_000

const versionKey = (namespace: string, job: string, version: number): string => `${namespace}/${job}/${version}`
