// Whether an allocation of a deployment is healthy: everything fine for the group's `min_healthy_time`, or not by its deadline.
import type { Cancel, Clock } from '#src/development/clock.ts'
import { toMs } from '#src/development/duration.ts'
import { groupOf } from '#src/development/job/specification.ts'
import type { Allocation } from '#src/development/state/rows.ts'

export class HealthWatch {
  readonly #clock: Clock
  readonly #onVerdict: () => void
  #minimumMs = 0
  #verdict: boolean | undefined
  #judging = false
  #fine = false
  #cancelFine: Cancel | undefined
  #cancelDeadline: Cancel | undefined

  constructor(clock: Clock, onVerdict: () => void) {
    this.#clock = clock
    this.#onVerdict = onVerdict
  }

  /** Undefined until it is reached. */
  get verdict(): boolean | undefined {
    return this.#verdict
  }

  /** Begins anew, as for each version of the job; without a deployment (or a migration) nothing is judged. */
  judge({ job, group, deploymentId, previous }: Allocation): void {
    this.stop()
    this.#verdict = undefined
    this.#judging = deploymentId !== '' || previous !== ''
    if (!this.#judging) return
    const { Update, Migrate } = groupOf(job, group)
    const { MinHealthyTime, HealthyDeadline } = deploymentId === '' ? Migrate as typeof Migrate & typeof Update : Update
    this.#minimumMs = toMs(MinHealthyTime)
    this.#cancelDeadline = this.#clock.after(toMs(HealthyDeadline), () => { this.#decide(false) })
    const fine = this.#fine
    this.#fine = false
    this.observe(fine)
  }

  /** Tells whether tasks and checks are fine now. */
  observe(fine: boolean): void {
    if (fine === this.#fine) return
    this.#fine = fine
    this.#cancelFine?.()
    if (fine && this.#judging && this.#verdict === undefined) this.#cancelFine = this.#clock.after(this.#minimumMs, () => { this.#decide(true) })
  }

  /** Its tasks have failed for good. */
  fail(): void {
    if (this.#judging) this.#decide(false)
    this.stop()
  }

  stop(): void {
    this.#cancelFine?.()
    this.#cancelDeadline?.()
  }

  #decide(healthy: boolean): void {
    if (this.#verdict !== undefined) return
    this.#verdict = healthy
    this.stop()
    this.#onVerdict()
  }
}
