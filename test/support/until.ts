// Waiting without sleeping: a deadline on a promise, and a condition that is polled until it holds.

/** How long a test waits for anything before it fails, in milliseconds. */
export const DEADLINE_MS = 5000

/** The promise's value, or an error that says what was awaited when `deadlineMs` pass first. */
export async function within<T>(promise: Promise<T>, deadlineMs: number, what: () => string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => { late.reject(new Error(`${deadlineMs} ms passed without ${what()}`)) }, deadlineMs)
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Polls `condition` every few milliseconds and returns its first value that is neither false nor undefined; what it throws counts as "not yet". */
export async function until<T>(
  condition: () => T | Promise<T>,
  { deadline = DEADLINE_MS, everyMs = 5, what }: { readonly deadline?: number; readonly everyMs?: number; readonly what: string },
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + deadline
  let last: unknown
  do {
    try {
      last = await condition()
      if (last !== false && last !== undefined) return last as Exclude<T, false | undefined>
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  } while (performance.now() < end)
  const seen = last instanceof Error ? `; last error: ${last.message}` : ''
  throw new Error(`${deadline} ms passed without: ${what}${seen}`)
}
