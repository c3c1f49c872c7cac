// How long the registry's own work takes, apart from what jobs ask for.

/** Milliseconds. */
export interface Pace {
  /** From a change of a job to the plan's result. */
  readonly planMs: number
  /** From the plan's result to the registration of group services. */
  readonly registerMs: number
  /** From there to the start of the tasks. */
  readonly startMs: number
  /** Clients send changes of allocations together, this often. */
  readonly clientUpdateMs: number
  /** From the last healthy allocation to the end of a deployment. */
  readonly deploymentMs: number
  /** From the end of an allocation to the start of the one that waited for it. */
  readonly replaceMs: number
}

/** As fast as it goes without changing any order: for tests. */
export const quick: Pace = { planMs: 1, registerMs: 2, startMs: 5, clientUpdateMs: 20, deploymentMs: 50, replaceMs: 5 }

/** As recorded of Nomad 2.0 on one machine (medians). */
export const recorded: Pace = { planMs: 2, registerMs: 5, startMs: 300, clientUpdateMs: 200, deploymentMs: 1250, replaceMs: 32 }
