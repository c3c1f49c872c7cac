// A property: something that holds for any input of a seed.

export interface Property {
  readonly name: string
  /** It costs so many times as much as the others, and gets as many times fewer runs. */
  readonly dearness?: number
  /** Runs it on inputs of this seed; throws what fast-check says, seed and path included. */
  check(seed: number, runs: number): void
}

/** How many runs it gets where others get `runs`. */
export const runsOf = ({ dearness = 1 }: Property, runs: number): number => Math.ceil(runs / dearness)
