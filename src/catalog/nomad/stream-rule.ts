// How Nomad's event stream is to be taken: granted, refused (200, then silence), dead, or with a gap. Pure.

/** A granted stream says `{}` within 30 ms; one that is refused says nothing (fixtures, finding 28). */
export const FIRST_LINE_MS = 5000
/** A heartbeat comes every 30 s. */
export const SILENCE_MS = 45_000
/** How long the replay of what came last may take after a stream has begun. */
export const REPLAY_MS = 2000

/** How a stream ended. `refused`: it never said a word. */
export type StreamEnd = 'refused' | 'silent' | 'ended'

export const endOfSilence = (lines: number): StreamEnd => (lines === 0 ? 'refused' : 'silent')

/**
 * Whether a stream that was asked to begin at `from` (the index of the last event seen) may have left events out: it would have begun with
 * just that one. `first` is the index of its first event, undefined if none came in time.
 */
export function hasGap(from: number | undefined, first: number | undefined): boolean {
  return from === undefined || first !== from
}
