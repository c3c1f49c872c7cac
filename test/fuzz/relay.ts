// A piece of network between a client and Serai: it passes on octets in pieces cut anywhere, and ends where it is told to.
import { connect, createServer, type Socket } from 'node:net'
import { drained, reset } from './flow.ts'
import { listen } from './strict-backend.ts'

export interface RelayOptions {
  /** Sizes of the pieces, in turn. */
  readonly cuts: readonly number[]
  /** Once, when so many octets came from the client of a connection: what then happens to the side of Serai. */
  readonly kill?: { readonly after: number; readonly act: (toSerai: Socket) => void } | undefined
}

export interface Relay extends AsyncDisposable {
  readonly port: number
  /** Connections to Serai that are open. */
  readonly open: number
}

/** Starts it on a free port, in front of `port` of 127.0.0.1. */
export async function startRelay(port: number, { cuts, kill }: RelayOptions): Promise<Relay> {
  let open = 0
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const serai = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    open++
    serai.on('close', () => { open-- })
    let fromClient = 0
    void pass(client, serai, cuts, (size) => {
      const before = fromClient
      fromClient += size
      if (kill !== undefined && before <= kill.after && fromClient > kill.after) kill.act(serai)
    })
    void pass(serai, client, cuts, () => undefined)
  })
  const { address, ...rest } = await listen(server)
  return { port: Number(address.split(':')[1]), get open() { return open }, [Symbol.asyncDispose]: rest[Symbol.asyncDispose] }
}

/** Passes on what comes, an end as an end and a reset as a reset; `passed` is told of each piece. */
async function pass(from: Socket, to: Socket, cuts: readonly number[], passed: (size: number) => void): Promise<void> {
  let ended = false
  from.on('error', () => reset(to))
  to.on('close', () => { if (!ended) reset(from) }) // it has gone before all was said
  let turn = 0
  try {
    for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length;) {
        const piece = chunk.subarray(at, at + cuts[turn++ % cuts.length]!)
        at += piece.length
        if (to.destroyed || to.writableEnded) return
        if (!to.write(piece)) await drained(to)
        passed(piece.length)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    ended = true
    if (!to.destroyed) to.end()
  } catch {
    reset(to)
  }
}
