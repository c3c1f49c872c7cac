// One connection of a worker over real sockets: back-pressure, exact counts of what waits, and an end to everything.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { BODY_BYTES, ReadBuffers } from '#src/io/read-buffer.ts'
import { Wire, type WireOwner } from '#src/io/wire.ts'
import { settled } from '#test/support/settled.ts'
import { until } from '#test/support/until.ts'
import { startWires, wireKinds, type OpenWire, type WireKind } from '#test/support/wires.ts'

class Owner implements WireOwner {
  received = 0
  ended = 0
  flushes = 0
  closed: string | undefined
  read: (bytes: Buffer, from: number, to: number) => void = () => undefined
  onRead(bytes: Buffer, from: number, to: number): void {
    this.received += to - from
    this.read(bytes, from, to)
  }
  onEnd(): void {
    this.ended++
  }
  onFlush(): void {
    this.flushes++
  }
  onClose(error: string): void {
    assert.equal(this.closed, undefined, 'closed twice')
    this.closed = error
  }
}

/** Wires of a kind; `held` is the gauge of body octets, `mistakes` what reached the boundary. */
async function startArena(kind: WireKind): Promise<AsyncDisposable & {
  readonly mistakes: unknown[]
  readonly held: number
  open(owner: Owner): Promise<OpenWire>
}> {
  const wires = await startWires()
  const mistakes: unknown[] = []
  let held = 0
  const context = { buffers: new ReadBuffers((change) => (held += change)), boundaryError: (error: unknown) => void mistakes.push(error) }
  return {
    mistakes,
    get held() { return held },
    open: (owner) => wires.open(kind, context, owner),
    [Symbol.asyncDispose]: () => wires[Symbol.asyncDispose](),
  }
}

for (const kind of wireKinds) {
  test(`${kind}: a reset is seen as one`, async () => {
    await using arena = await startArena(kind)
    const owner = new Owner()
    const { wire, peer } = await arena.open(owner)
    peer.resume()
    wire.reset()
    const [error] = await once(peer, 'error') as [NodeJS.ErrnoException]
    assert.equal(error.code, 'ECONNRESET')
    await until(() => owner.closed === '', { what: 'onClose' })
  })

  test(`${kind}: a reset after our FIN lets go of the connection too`, async () => {
    await using arena = await startArena(kind)
    const owner = new Owner()
    const { wire, peer } = await arena.open(owner)
    peer.resume()
    wire.end()
    await once(peer, 'end')
    wire.reset()
    await until(() => owner.closed !== undefined, { what: 'onClose' })
    await until(() => arena.mistakes.length === 0 && wire.gone, { what: 'the wire being gone' })
  })

  test(`${kind}: what the kernel refuses is known at once: nobody can have acted on it`, async () => {
    await using arena = await startArena(kind)
    const owner = new Owner()
    const { wire, peer } = await arena.open(owner)
    assert.equal(wire.refused, false)
    peer.resetAndDestroy()
    const due = performance.now() + 50
    while (performance.now() < due) { /* the loop must not see the reset before the write does */ }
    wire.writeText('POST / HTTP/1.1\r\n\r\n')
    assert.equal(wire.refused, true)
    await until(() => owner.closed !== undefined, { what: 'onClose' })
  })

  test(`${kind}: what the kernel took is not refused, though the peer has gone`, async () => {
    await using arena = await startArena(kind)
    const { wire, peer } = await arena.open(new Owner())
    peer.end()
    wire.writeText('POST / HTTP/1.1\r\n\r\n')
    assert.equal(wire.refused, false)
  })

  test(`${kind}: small pieces for a peer that does not read are gathered, counted, and come in their order`, async () => {
    await using arena = await startArena(kind)
    const target = new Owner()
    const source = new Owner()
    const { wire, peer } = await arena.open(target)
    const from = await arena.open(source)
    peer.pause()
    while (wire.flushed) wire.writeBuffer(Buffer.alloc(256 * 1024, '-'))
    const before = arena.held
    const requests = process.getActiveResourcesInfo().filter((each) => each === 'WriteWrap').length
    const COUNT = 20_000
    for (let at = 0; at < COUNT; at++) wire.pass('', Buffer.from(`${at % 10}`), 0, 1, from.wire)
    assert.ok(arena.held - before >= COUNT && arena.held - before <= 8 * COUNT, `${arena.held - before} octets are counted`)
    assert.ok(process.getActiveResourcesInfo().filter((each) => each === 'WriteWrap').length - requests <= 1, 'a write each')
    wire.writeText('|')
    wire.pass('', Buffer.from('end'), 0, 3, from.wire)
    wire.end()
    const read: Buffer[] = []
    peer.on('data', (chunk: Buffer) => read.push(chunk))
    peer.resume()
    await once(peer, 'end')
    const text = Buffer.concat(read).toString('latin1')
    assert.equal(text.slice(text.lastIndexOf('-') + 1), `${'0123456789'.repeat(COUNT / 10)}|end`)
    peer.end()
    await until(() => target.closed !== undefined && arena.held === before, { what: 'nothing to be counted any more' })
  })

  for (const long of [false, true]) {
    test(`${kind}: a slow reader stops its source, ${long ? 'with a buffer of its own' : 'with copies'}; what waits is counted, and nothing is left when it has read`, async (t) => {
      await using arena = await startArena(kind)
      const target = new Owner()
      const source = new Owner()
      const to = await arena.open(target)
      const from = await arena.open(source)
      source.read = (bytes, begin, end) => to.wire.pass('', bytes, begin, end, from.wire)
      if (long) from.wire.readLongBody()
      const PIECE = Buffer.alloc(1024 * 1024, 'x')
      let sent = 0
      const pump = (): void => {
        while (sent < 64) if (sent++, !from.peer.write(PIECE)) return void from.peer.once('drain', pump)
      }
      pump()
      await settled(() => source.received, 'the source')
      assert.ok(source.received < 64 * PIECE.length, 'nothing held the source back')
      assert.ok(from.wire.held)
      t.diagnostic(`read ${source.received} of ${64 * PIECE.length} octets, ${arena.held} of them wait`)
      assert.ok(arena.held > 0 && arena.held <= BODY_BYTES)
      let got = 0
      to.peer.on('data', (chunk: Buffer) => (got += chunk.length))
      await until(() => got === 64 * PIECE.length, { what: 'all of it' })
      assert.equal(from.wire.held, false)
      from.wire.endBody(to.wire)
      assert.equal(arena.held, 0)
    })

    test(`${kind}: a reader that goes away leaves nothing counted and its source free, ${long ? 'with a buffer of its own' : 'with copies'}`, async () => {
      await using arena = await startArena(kind)
      const target = new Owner()
      const to = await arena.open(target)
      const source = new Owner()
      const from = await arena.open(source)
      source.read = (bytes, begin, end) => to.wire.pass('', bytes, begin, end, from.wire)
      if (long) from.wire.readLongBody()
      for (let piece = 0; piece < 32; piece++) from.peer.write(Buffer.alloc(1024 * 1024, 'x'))
      await until(() => from.wire.held, { what: 'the source being held' })
      await settled(() => source.received, 'the source')
      to.peer.resetAndDestroy()
      await until(() => target.closed !== undefined, { what: 'the end of the reader' })
      assert.equal(from.wire.held, false)
      from.wire.endBody(to.wire)
      assert.equal(arena.held, 0)
      from.wire.destroy()
      await until(() => source.closed !== undefined, { what: 'the end of the source' })
      assert.equal(arena.held, 0)
    })
  }

  for (const first of ['we', 'they']) {
    test(`${kind}: when both sides have sent their FIN, ${first} first, the connection is over`, async () => {
      await using arena = await startArena(kind)
      const owner = new Owner()
      const { wire, peer } = await arena.open(owner)
      peer.resume()
      if (first === 'we') wire.end()
      else peer.end()
      await until(() => first === 'we' ? peer.readableEnded : owner.ended === 1, { what: 'the first FIN' })
      assert.equal(owner.closed, undefined)
      if (first === 'we') peer.end()
      else wire.end()
      await until(() => owner.closed === '', { what: 'onClose' })
    })
  }

  test(`${kind}: starting what has started changes nothing, in a callback or outside`, async () => {
    await using arena = await startArena(kind)
    const owner = new Owner()
    const { wire, peer } = await arena.open(owner)
    wire.start()
    owner.read = () => wire.start()
    peer.write('x')
    await until(() => owner.received === 1, { what: 'the first octet' })
    peer.write('y')
    await until(() => owner.received === 2, { what: 'the second octet' })
    assert.equal(wire.gone, false)
  })

  test(`${kind}: a mistake in a callback ends that connection, and no other`, async () => {
    await using arena = await startArena(kind)
    const bad = new Owner()
    bad.read = () => { throw new Error('mine') }
    const fine = new Owner()
    const one = await arena.open(bad)
    const two = await arena.open(fine)
    one.peer.write('x')
    two.peer.write('x')
    await until(() => bad.closed !== undefined && fine.received === 1, { what: 'the end of one' })
    assert.equal((arena.mistakes as Error[])[0]?.message, 'mine')
    assert.equal(two.wire.gone, false)
    two.wire.destroy()
  })
}

test('a connection that cannot be opened is closed with the code of the error', async () => {
  const mistakes: unknown[] = []
  const owner = new Owner()
  const context = { buffers: new ReadBuffers(() => undefined), boundaryError: (error: unknown) => void mistakes.push(error) }
  Wire.connect(context, owner, { ready: 'connect', open: () => net.connect({ port: 1, host: '127.0.0.1' }) }, () => assert.fail('connected'))
  await until(() => owner.closed === 'ECONNREFUSED', { what: 'onClose' })
})

test('what is written before there is a connection is counted, and comes first and in its order once there is', async () => {
  await using server = await startListening()
  let held = 0
  const owner = new Owner()
  const context = { buffers: new ReadBuffers((change) => (held += change)), boundaryError: assert.fail }
  const wire = Wire.connect(context, owner, { ready: 'connect', open: () => net.connect({ port: server.port, host: '127.0.0.1' }) }, () => wire.writeText('then'))
  wire.writeBuffer(Buffer.from('one,'))
  wire.writeText('two,')
  assert.equal(wire.flushed, false)
  assert.ok(held > 0)
  const [peer] = await once(server, 'connection') as [net.Socket]
  let got = ''
  peer.on('data', (chunk: Buffer) => (got += chunk.toString()))
  await until(() => got === 'one,two,then', { what: 'all of it' })
  assert.ok(owner.flushes > 0, 'whoever waited for the first write goes on')
  assert.equal(held, 0)
  wire.destroy()
})

for (const way of ['end', 'finish', 'reset', 'destroy'] as const) {
  test(`a connection that is given up before it is there (${way}) is closed once and leaves no handle`, async () => {
    await using server = await startListening()
    let held = 0
    const owner = new Owner()
    const context = { buffers: new ReadBuffers((change) => (held += change)), boundaryError: assert.fail }
    const wire = Wire.connect(context, owner, { ready: 'connect', open: () => net.connect({ port: server.port, host: '127.0.0.1' }) }, () => assert.fail('connected'))
    wire.writeText('never')
    wire[way]()
    await until(() => owner.closed === '', { what: 'onClose' })
    assert.equal(wire.gone, true)
    assert.equal(held, 0)
    assert.deepEqual(process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap' || each === 'TCPConnectWrap'), [], 'no handle is left')
  })
}

/** A server that leaves its connections alone. */
async function startListening(): Promise<net.Server & AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, {
    port: (server.address() as net.AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  })
}
