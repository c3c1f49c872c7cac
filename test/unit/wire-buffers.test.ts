// A body buffer belongs to one connection at a time: whatever a socket still reads, it never reads into memory that another one writes from.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReadBuffers } from '#src/io/read-buffer.ts'
import type { WireOwner } from '#src/io/wire.ts'
import { until } from '#test/support/until.ts'
import { startWires, wireKinds, type OpenWire } from '#test/support/wires.ts'

const SECRET = 0x53
const OTHERS = 0x4f

for (const kind of wireKinds) {
  test(`${kind}: a body that ends outside of its read callback does not hand out the buffer that the socket reads into next`, async () => {
    await using wires = await startWires()
    let held = 0
    const buffers = new ReadBuffers((change) => (held += change))
    const context = { buffers, boundaryError: (error: unknown) => assert.fail(String(error)) }
    let received = 0
    const owner: WireOwner = {
      onRead: (_, from, to) => {
        received += to - from
        if (received > 0) wire.readLongBody()
      },
      onEnd: () => undefined,
      onFlush: () => undefined,
      onClose: () => undefined,
    }
    const { wire, peer } = await wires.open(kind, context, owner)

    // The first read makes the socket take a buffer of its own for the next.
    peer.write(Buffer.alloc(1000, SECRET))
    await until(() => received === 1000, { what: 'the first part of the body' })
    // The body ends while no read callback runs, as when the upstream connects only now.
    wire.endBody(wire)
    const theirs = buffers.take()
    theirs.raw.fill(OTHERS)
    peer.write(Buffer.alloc(5000, SECRET))
    await until(() => received === 6000, { what: 'the next request' })

    assert.equal(theirs.raw.indexOf(SECRET), -1, "the next request of one connection was read into another's buffer")
    buffers.give(theirs)
    wire.destroy()
    await until(() => held === 0, { what: 'all buffers to be accounted for' })
  })

  test(`${kind}: a body that ends in its read callback keeps its buffer until the other side has written all of it`, async () => {
    await using wires = await startWires()
    const buffers = new ReadBuffers(() => undefined)
    const context = { buffers, boundaryError: (error: unknown) => assert.fail(String(error)) }
    const open = (onRead: WireOwner['onRead']): Promise<OpenWire> => wires.open(kind, context, { onRead, onEnd: () => undefined, onFlush: () => undefined, onClose: () => undefined })

    const sink = await open(() => undefined)
    sink.peer.pause()
    let lent: Buffer | undefined
    let early: Buffer | undefined
    let begun = false
    const source = await open((bytes, from, to) => {
      begun = true
      source.wire.readLongBody()
      if (to - from < 5000) return
      lent = bytes
      sink.wire.pass('', bytes, from, to, source.wire)
      source.wire.endBody(sink.wire)
      early = buffers.take().raw
    })
    source.peer.write(Buffer.alloc(100, SECRET))
    await until(() => begun, { what: 'a read that takes a buffer of its own' })
    sink.wire.writeBuffer(Buffer.alloc(32 * 1024 * 1024, OTHERS))
    assert.equal(sink.wire.flushed, false, 'the slow side has octets waiting')
    source.peer.write(Buffer.alloc(60_000, SECRET))
    await until(() => lent !== undefined, { what: 'the body' })

    assert.notEqual(early, lent, 'the buffer was handed out while the other side still writes from it')
    sink.peer.resume()
    await until(() => sink.wire.flushed, { what: 'the slow side to have read everything' })
    await until(() => buffers.take().raw === lent, { what: 'the buffer to come back' })
  })
}
