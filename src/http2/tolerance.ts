// What a session puts up with from its peer before it is a flood: frames that move nothing, streams that come to nothing, DATA in crumbs.
import { withFrames, withResets, withTinyData, type Patience } from './patience.ts'

/** A stream that was open as long as this took its place among those at once: that its client gives it up is no trick (deadlines of gRPC). */
const GIVEN_TIME_MS = 100
const LATE_RESET = 0.1
/** A stream that ends well makes up for a part of one that does not. */
const GOOD_END = 0.25

export class Tolerance {
  readonly #server: boolean
  readonly #frames: Patience
  readonly #resets: Patience
  readonly #tiny: Patience

  /** `server`: the peer is a client, which may be anybody. */
  constructor(server: boolean, now: () => number) {
    this.#server = server
    this.#frames = withFrames(now)
    this.#resets = withResets(now)
    this.#tiny = withTinyData(now)
  }

  /** A frame that moves nothing; false when it was one too many, as for all of these. */
  frame(cost: number): boolean {
    return this.#frames.spend(cost)
  }

  /** A stream came to nothing by the peer's doing. */
  lostStream(): boolean {
    return this.#resets.spend(1)
  }

  /** The peer has reset a stream that was open for so long. */
  reset(openMs: number): boolean {
    return !this.#server || this.#resets.spend(openMs >= GIVEN_TIME_MS ? LATE_RESET : 1)
  }

  /** DATA that is more frame than payload; a service may. */
  tinyData(): boolean {
    return !this.#server || this.#tiny.spend(1)
  }

  /** Work that is useful was done. */
  worked(gain: number): void {
    this.#frames.earn(gain)
  }

  /** A stream has ended in good order. */
  finished(): void {
    this.#frames.earn(4)
    this.#resets.earn(GOOD_END)
  }
}
