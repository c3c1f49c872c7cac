// When an answer to a list may be believed: DESIGN section 6.2 as one pure function.

/** What was believed last of this list. */
export interface LastList {
  /** 0: nothing was believed yet. */
  readonly index: number
  readonly names: number
}

export interface ListAnswer {
  readonly index: number
  readonly knownLeader: boolean
  readonly names: number
}

/**
 * `apply` it; ask `again`, plainly and of the leader, before it may be used; or it is `hidden`: the token may read none of it.
 * `again` on an answer that was itself asked again: no server knows better for now.
 */
export type ListVerdict = 'apply' | 'again' | 'hidden'

/** `plain`: it was read without an index and not from any server. */
export function judgeList(last: LastList, answer: ListAnswer, plain: boolean): ListVerdict {
  // A server that is coming back answers 200 with old or empty content (recorded: 08-restart-restore).
  if (!answer.knownLeader) return 'again'
  // Only a list of all namespaces of which none is readable has no index.
  if (answer.index === 0) return answer.names === 0 ? 'hidden' : 'again'
  if (plain) return 'apply'
  // A follower that lags, or a restore: the leader knows.
  if (answer.index < last.index) return 'again'
  // All services gone at once is rare enough to be asked for twice.
  if (answer.names === 0 && last.names > 0) return 'again'
  return 'apply'
}
