// A service of HTTP/2 made of frames by hand: it says what no library would, and knows which requests came by which connection.
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { HpackDecoder, staticFields } from '#src/http2/hpack-decoder.ts'
import { readFrames, settings, SETTINGS_ACK, type } from './http2-frames.ts'

export interface FrameService extends AsyncDisposable {
  readonly address: string
  /** `connection: METHOD path`, as they came. */
  readonly requests: readonly string[]
  readonly sockets: readonly Socket[]
}

/** A service that does with each request what `answer` says; `greet` may send other SETTINGS. */
export async function startFrameService(answer: (id: number, socket: Socket, connection: number) => void, greet: (socket: Socket) => void = (socket) => void socket.write(settings())): Promise<FrameService> {
  const sockets: Socket[] = []
  const requests: string[] = []
  const server = createServer((socket) => {
    const connection = sockets.push(socket) - 1
    const decoder = new HpackDecoder(staticFields(() => 0), () => 0, 4096, { fields: 100, bytes: 99_999 })
    let rest: Buffer = Buffer.alloc(0)
    let greeted = false
    socket.on('error', () => undefined)
    greet(socket)
    socket.on('data', (chunk: Buffer) => {
      const { frames, rest: left } = readFrames(Buffer.concat([rest, greeted ? chunk : chunk.subarray(24)]))
      greeted = true
      rest = left
      for (const each of frames) {
        if (each.type === type.SETTINGS && (each.flags & 1) === 0) socket.write(SETTINGS_ACK)
        if (each.type !== type.HEADERS) continue
        const fields = decoder.fields.slice(0, decoder.decode(each.payload, 0, each.payload.length))
        const valueOf = (wanted: string): string => fields.find(({ name }) => name === wanted)?.value ?? ''
        requests.push(`${connection}: ${valueOf(':method')} ${valueOf(':path')}`)
        answer(each.id, socket, connection)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`, requests, sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
