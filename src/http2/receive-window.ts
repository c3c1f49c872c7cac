// What a peer may send on all streams of a connection together: given back as octets are used, and lent while they are not (RFC 9113 section 6.9).
import { Roster, type Member } from '#src/io/roster.ts'

/** Octets that a peer may have on their way to us, or with us and not used yet, where nothing is lent to it. */
export const CONNECTION_WINDOW = 1024 * 1024
/** With less than this, a peer's other streams may soon have to wait. */
const LOW = CONNECTION_WINDOW / 2
/** Window is given back in steps, unless it runs out. */
const STEP = CONNECTION_WINDOW / 4

/**
 * Window that connections are given for octets that are not used yet, so much in all. It bounds what they keep together beyond
 * a window of each; what a stream keeps is bounded by its own.
 */
export class WindowLoans {
  #left: number
  /** They were lent less than they need. */
  readonly #short = new Roster<ReceiveWindow>()
  #turn = 0

  /** `most` octets; infinity, where nothing but the streams' windows has to bound what they keep. */
  constructor(most: number) {
    this.#left = most
  }

  /** Lends as much of `wanted` as there is. */
  lend(wanted: number): number {
    const loan = Math.min(wanted, this.#left)
    this.#left -= loan
    return loan
  }

  repay(size: number): void {
    this.#left += size
  }

  /** Whether this window is `short`: then it is offered what comes back. */
  note(window: ReceiveWindow, short: boolean): void {
    if (short === window.place >= 0) return
    if (short) this.#short.add(window)
    else this.#short.delete(window)
  }

  /** Those that are short get what has come back, each in its turn. */
  offer(): void {
    while (this.#left > 0 && this.#short.size > 0) this.#short.inTurn(this.#turn++).refill()
  }
}

export class ReceiveWindow implements Member {
  place = -1
  readonly #loans: WindowLoans
  readonly #update: (increment: number) => void
  /** What the peer may still send. */
  #left = CONNECTION_WINDOW
  /** What it will be given next. */
  #owed = 0
  /** What it was given, or is owed, for octets that are not used yet. */
  #lent = 0
  #over = false

  /** `update` tells the peer of more window. */
  constructor(loans: WindowLoans, update: (increment: number) => void) {
    this.#loans = loans
    this.#update = update
  }

  /** The peer has hardly any left. */
  get exhausted(): boolean {
    return this.#left < CONNECTION_WINDOW / 16
  }

  /** The peer sends so much; false when it is more than it may. */
  take(size: number): boolean {
    this.#left -= size
    if (this.#left + this.#owed < LOW && this.#left >= 0) this.refill()
    return this.#left >= 0
  }

  /** Octets were used: what was lent for them is free again, or the peer may send as many more. */
  give(size: number): void {
    const repaid = Math.min(this.#lent, size)
    this.#owed += size - repaid
    this.#repay(repaid)
    this.refill()
    if (repaid > 0) this.#loans.offer()
  }

  /** Lends what the peer is short of, as far as there is something to lend, and gives what is owed. */
  refill(): void {
    if (this.#over) return
    let missing = 0
    if (this.#left + this.#owed < LOW) {
      missing = CONNECTION_WINDOW - this.#left - this.#owed
      const loan = this.#loans.lend(missing)
      this.#lent += loan
      this.#owed += loan
      missing -= loan
    }
    this.#loans.note(this, missing > 0)
    // Near its end in any steps: a whole one may never come together while other octets wait.
    if (this.#owed < STEP && this.#owed <= this.#left) return
    this.#left += this.#owed
    this.#update(this.#owed)
    this.#owed = 0
  }

  /** Nothing more comes. */
  end(): void {
    this.#over = true
    this.#loans.note(this, false)
    this.#repay(this.#lent)
    this.#loans.offer()
  }

  #repay(size: number): void {
    this.#lent -= size
    this.#loans.repay(size)
  }
}
