// A client that speaks HTTP/2 frame by frame over a real socket, for tests of what no library would send.
import { once } from 'node:events'
import net from 'node:net'
import { HpackDecoder, staticFields } from '#src/http2/hpack-decoder.ts'
import { frame, PREFACE, readFrames, settings, type, type Frame } from './http2-frames.ts'
import { until } from './until.ts'

const kindOf = (): number => 0
const fields = staticFields(kindOf)

export interface RawHttp2 extends AsyncDisposable {
  /** Frames that came, heads decoded in `heads`. */
  readonly frames: readonly Frame[]
  /** The fields of each header block by stream, in order. */
  readonly heads: ReadonlyMap<number, readonly Readonly<Record<string, string>>[]>
  /** The connection is over; '' or the socket's error. */
  readonly closed: string | undefined
  readonly socket: net.Socket
  send(...octets: readonly Buffer[]): void
  /** The error code of GOAWAY, when one has come and the connection is over. */
  ended(): Promise<number>
  /** The code of RST_STREAM, or -1 when the stream has ended in good order. */
  over(id: number): Promise<number>
}

/** Connects, greets and acknowledges. `quiet`: sends nothing at all. */
export async function connectHttp2(port: number, { quiet = false, greeting = [settings()] }: { readonly quiet?: boolean; readonly greeting?: readonly Buffer[] } = {}): Promise<RawHttp2> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const frames: Frame[] = []
  const heads = new Map<number, Record<string, string>[]>()
  const decoder = new HpackDecoder(fields, kindOf, 4096, { fields: 1000, bytes: 1_000_000 })
  let rest: Buffer = Buffer.alloc(0)
  let closed: string | undefined
  let error = ''
  socket.on('error', (thrown: NodeJS.ErrnoException) => { error = thrown.code ?? '' })
  socket.on('close', () => { closed = error })
  socket.on('data', (chunk: Buffer) => {
    const read = readFrames(Buffer.concat([rest, chunk]))
    rest = read.rest
    for (const each of read.frames) {
      frames.push(each)
      if (each.type === type.SETTINGS && (each.flags & 1) === 0 && !socket.destroyed) socket.write(frame('SETTINGS', 1, 0))
      if (each.type !== type.HEADERS) continue
      const count = decoder.decode(each.payload, 0, each.payload.length)
      heads.set(each.id, [...(heads.get(each.id) ?? []), Object.fromEntries(decoder.fields.slice(0, count).map(({ name, value }) => [name, value]))])
    }
  })
  if (!quiet) socket.write(Buffer.concat([Buffer.from(PREFACE), ...greeting]))
  return {
    frames, heads, socket,
    get closed() { return closed },
    send(...octets) {
      if (!socket.destroyed) socket.write(Buffer.concat(octets))
    },
    async ended() {
      await until(() => closed !== undefined, { what: 'the connection to end' })
      return frames.findLast((each) => each.type === type.GOAWAY)?.payload.readUInt32BE(4) ?? -1
    },
    over: (id) => until(() => {
      const last = frames.find((each) => each.id === id && (each.type === type.RST_STREAM || (each.flags & 1) !== 0 && each.type <= 1))
      return last === undefined ? undefined : last.type === type.RST_STREAM ? last.payload.readUInt32BE(0) : -1
    }, { what: `stream ${id} to end` }),
    async [Symbol.asyncDispose]() {
      socket.destroy()
      if (closed === undefined) await new Promise((resolve) => socket.once('close', resolve)) // an error that comes first is no failure
    },
  }
}
