// The two ends of a planned flow, for streams of any protocol: writing it as planned, and collecting what comes.
import type { Socket } from 'node:net'
import { until } from '#test/support/until.ts'
import { TLSSocket } from 'node:tls'
import type { Flow, Plan } from './plans.ts'

/** What one side saw of an exchange or a tunnel. */
export interface Seen {
  /** Of the answer; 0: none came. */
  readonly status: number
  /** The service's own, in its answer. */
  readonly serial: string | undefined
  readonly interim: readonly number[]
  readonly octets: Buffer
  readonly trailers: string | undefined
  /** It came to its end in good order. */
  readonly whole: boolean
  /** For messages of an error. */
  readonly why: string
}

export const nothingSeen: Seen = { status: 0, serial: undefined, interim: [], octets: Buffer.alloc(0), trailers: undefined, whole: false, why: 'nothing' }

/** Pauses are part of what is fuzzed with; nobody waits for anything by them. */
export async function pause(ms: number): Promise<void> {
  const end = performance.now() + ms
  await until(() => performance.now() >= end, { everyMs: ms, what: 'a pause to be over' })
}

/** Writes a flow's octets as planned; false: it was given up, by the plan or by the other side. The end is the caller's. */
export async function pour(writable: NodeJS.WritableStream & { readonly destroyed?: boolean }, octets: Buffer, { pieces, pauses, stop }: Flow): Promise<boolean> {
  let at = 0
  for (const [index, size] of pieces.entries()) {
    const ms = pauses[index % pauses.length]!
    if (ms > 0) await pause(ms)
    if (index === stop || writable.destroyed === true) return false
    if (!writable.write(octets.subarray(at, at += size))) await drained(writable)
  }
  return stop === undefined
}

/** Cuts a connection by a reset, where Node can: it has none to offer below TLS, and keeps a socket for ever that is reset behind its FIN. */
export function reset(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** Until it takes more, or never will. */
export function drained(writable: NodeJS.WritableStream & { readonly destroyed?: boolean }): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      writable.off('drain', done).off('close', done).off('error', done)
      resolve()
    }
    writable.on('drain', done).on('close', done).on('error', done)
    if (writable.destroyed === true) done()
  })
}

export interface Taken {
  readonly octets: Buffer
  readonly ended: boolean
  readonly error: string
}

/** Everything that comes until the stream is closed; `received` is told how much there is. */
export function collect(readable: NodeJS.ReadableStream & { readonly destroyed?: boolean }, { slow }: Pick<Plan, 'slow'>, received: (octets: number) => void = () => undefined): Promise<Taken> {
  const parts: Buffer[] = []
  let size = 0
  let ended = false
  let error = ''
  readable.on('data', (part: Buffer) => {
    parts.push(part)
    size += part.length
    received(size)
    if (!slow) return
    readable.pause()
    void pause(1).then(() => readable.resume())
  })
  readable.on('end', () => { ended = true })
  readable.on('error', (thrown: NodeJS.ErrnoException) => { error = thrown.code ?? thrown.message })
  return new Promise((resolve) => readable.once('close', () => resolve({ octets: Buffer.concat(parts), ended, error })))
}
