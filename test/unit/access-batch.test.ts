// Access-log lines of a worker: batches, a bound, and nothing pinned that nobody counts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AccessBatch } from '#src/observe/access-batch.ts'
import { WORKER_CELLS, workerCell } from '#src/observe/counters.ts'

function batch(): { access: AccessBatch; counters: Float64Array; taken: Float64Array; sent: { lines: Uint8Array; records: number }[] } {
  const [counters, taken] = [new Float64Array(WORKER_CELLS), new Float64Array(1)]
  const sent: { lines: Uint8Array; records: number }[] = []
  // As a port does it: the octets move, and the sender cannot write into them any more.
  const access = new AccessBatch(counters, taken, (lines, records) => {
    const moved = structuredClone(lines, { transfer: [lines.buffer] })
    sent.push({ lines: moved, records })
  })
  return { access, counters, taken, sent }
}

test('lines arrive whole and in order, whatever they were batched into', () => {
  const { access, sent } = batch()
  const lines = Array.from({ length: 3000 }, (_, at) => `${at} ${'x'.repeat(at % 97)}\n`)
  for (const [at, line] of lines.entries()) {
    access.add(line)
    if (at % 700 === 0) access.flush()
  }
  access.add(`${'y'.repeat(200_000)}\n`)
  access.add('last\n')
  access.flush()
  access.flush()
  const text = sent.map((each) => Buffer.from(each.lines).toString()).join('')
  assert.equal(text, `${lines.join('')}${'y'.repeat(200_000)}\nlast\n`)
  assert.equal(sent.reduce((sum, { records }) => sum + records, 0), 3002)
})

test('a small batch does not hold a large buffer while it waits', () => {
  const { access, sent } = batch()
  access.add('short\n')
  access.flush()
  assert.ok(sent[0]!.lines.buffer.byteLength <= 64, String(sent[0]!.lines.buffer.byteLength))
})

test('what the main thread does not take is bounded; the rest is dropped and counted, and it goes on when it is taken', () => {
  const { access, counters, taken, sent } = batch()
  const line = `${'x'.repeat(1023)}\n`
  for (let at = 0; at < 8 * 1024; at++) access.add(line)
  access.flush()
  const waiting = sent.reduce((sum, { lines }) => sum + lines.length, 0)
  assert.ok(waiting <= 4 * 1024 * 1024 && waiting > 3.9 * 1024 * 1024, String(waiting))
  const dropped = counters[workerCell.access_records_dropped_total]!
  assert.equal(dropped + sent.reduce((sum, { records }) => sum + records, 0), 8 * 1024)
  taken[0] = waiting
  access.add('again\n')
  access.flush()
  assert.equal(Buffer.from(sent.at(-1)!.lines).toString(), 'again\n')
  assert.equal(counters[workerCell.access_records_dropped_total], dropped)
})
