// Blocking queries: answer at once if the index has risen, else wait for a change that is watched, and at the end of the wait say what was last seen.
import type { Answer } from './answer.ts'
import { readWait } from './request.ts'
import type { ApiRequest } from './request.ts'

/** The wait ends up to a sixteenth of itself later. */
const JITTER = 1 / 16

export interface Query {
  /** What is watched: keys of the store's watches. */
  readonly watch: readonly string[]
  /** The answer now, with the index of the whole table in its meta. Made again at each wake; its body only when it is sent. */
  readonly index: () => number
  readonly answer: () => Answer
}

/** Runs the query as Nomad's `blockingRPC` does. The watch is narrower than the index: a wake proves no change, and an index may be older than the table's. */
export async function blocking(request: ApiRequest, { watch, index, answer }: Query): Promise<Answer> {
  const wait = readWait(request.query)
  if ('status' in wait) return wait
  if (wait.index === 0) return answer()
  const { clock, watches } = request.cluster.store
  const until = clock.now() + wait.waitMs * (1 + request.cluster.random() * JITTER)
  for (;;) {
    if (index() > wait.index) return answer()
    const seen = index()
    const woken = Promise.withResolvers<boolean>()
    const releases = watch.map((key) => watches.add(key, () => { woken.resolve(true) }))
    releases.push(clock.after(until - clock.now(), () => { woken.resolve(false) }))
    const gone = (): void => { woken.resolve(false) }
    request.signal.addEventListener('abort', gone, { once: true })
    const changed = await woken.promise
    request.signal.removeEventListener('abort', gone)
    for (const release of releases) release()
    if (!changed) {
      const last = answer()
      // Nothing that is watched changed: the index is the one that was seen before the wait.
      return last.meta === undefined ? last : { ...last, meta: { ...last.meta, index: seen } }
    }
  }
}
