// Wires over real sockets, of both kinds: dialled as to an upstream, and accepted as from a client. One suite is for both.
import { once } from 'node:events'
import net from 'node:net'
import { Wire, type TcpHandle, type WireContext, type WireOwner } from '#src/io/wire.ts'

export const wireKinds = ['dialled', 'accepted'] as const
export type WireKind = (typeof wireKinds)[number]

export interface OpenWire {
  readonly wire: Wire
  /** The other end. */
  readonly peer: net.Socket
}

export interface Wires extends AsyncDisposable {
  open(kind: WireKind, context: WireContext, owner: WireOwner): Promise<OpenWire>
}

/** Opens wires; in the end all that was opened is closed. */
export async function startWires(): Promise<Wires> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  const bare = net.createServer().listen(0, '127.0.0.1')
  await Promise.all([once(server, 'listening'), once(bare, 'listening')])
  const handles: ((handle: TcpHandle) => void)[] = []
  const { _handle: bound } = bare as unknown as { readonly _handle: { onconnection: (error: number, handle: TcpHandle) => void } }
  bound.onconnection = (_error, handle) => handles.shift()?.(handle)
  const portOf = (listening: net.Server): number => (listening.address() as net.AddressInfo).port
  const opened: OpenWire[] = []
  const dial = async (context: WireContext, owner: WireOwner): Promise<OpenWire> => {
    const connected = Promise.withResolvers<void>()
    const accepted = once(server, 'connection')
    const wire = Wire.connect(context, owner, { ready: 'connect', open: () => net.connect({ port: portOf(server), host: '127.0.0.1', allowHalfOpen: true }) }, connected.resolve)
    await connected.promise
    const [peer] = (await accepted) as [net.Socket]
    return { wire, peer }
  }
  const accept = async (context: WireContext, owner: WireOwner): Promise<OpenWire> => {
    const handle = new Promise<TcpHandle>((resolve) => handles.push(resolve))
    const peer = net.connect({ port: portOf(bare), host: '127.0.0.1', allowHalfOpen: true })
    await once(peer, 'connect')
    const wire = Wire.accept(context, owner, await handle)
    wire.start()
    return { wire, peer }
  }
  return {
    async open(kind, context, owner) {
      const open = await (kind === 'dialled' ? dial : accept)(context, owner)
      open.peer.on('error', () => undefined)
      opened.push(open)
      return open
    },
    async [Symbol.asyncDispose]() {
      for (const { wire, peer } of opened) {
        wire.destroy()
        peer.destroy()
      }
      await Promise.all([server, bare].map(async (each) => {
        each.close()
        await once(each, 'close')
      }))
    },
  }
}
