// Access-log lines of a worker: whole and in order, through memory that has a bound.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AccessBatch, createSlabs, SLAB_BYTES, SLABS, slabFlags, slabLines } from '#src/observe/access-batch.ts'
import { WORKER_CELLS, workerCell } from '#src/observe/counters.ts'

interface Sent {
  readonly slab: number
  readonly bytes: number
  readonly records: number
}

/** A worker's batch, and the main thread: `use` takes what waits and gives the slabs back. */
function batch(): { access: AccessBatch; dropped: () => number; waiting: Sent[]; use: () => string } {
  const counters = new Float64Array(WORKER_CELLS)
  const memory = createSlabs()
  const flags = slabFlags(memory)
  const waiting: Sent[] = []
  const access = new AccessBatch(counters, memory, (slab, bytes, records) => waiting.push({ slab, bytes, records }))
  const use = (): string => waiting.splice(0).map(({ slab, bytes }) => {
    const text = Buffer.from(slabLines(memory, slab, bytes)).toString()
    flags[slab] = 0
    return text
  }).join('')
  return { access, dropped: () => counters[workerCell.access_records_dropped_total]!, waiting, use }
}

test('lines arrive whole and in order, whatever they were batched into', () => {
  const { access, waiting, use, dropped } = batch()
  const lines = Array.from({ length: 30_000 }, (_, at) => `${at} ${'x'.repeat(at % 97)}\n`)
  let text = ''
  let records = 0
  for (const [at, line] of lines.entries()) {
    access.add(line)
    if (at % 700 === 0) access.flush()
    if (at % 3000 === 0) {
      records += waiting.reduce((sum, each) => sum + each.records, 0)
      text += use()
    }
  }
  access.add(`${'y'.repeat(200_000)}\n`)
  access.add('last\n')
  access.finish()
  access.finish()
  records += waiting.reduce((sum, each) => sum + each.records, 0)
  text += use()
  assert.equal(text, `${lines.join('')}${'y'.repeat(200_000)}\nlast\n`)
  assert.deepEqual([records, dropped()], [30_002, 0])
})

test('while the main thread uses what it takes, the same slabs serve again and again', () => {
  const { access, waiting, use } = batch()
  const slabs = new Set<number>()
  for (let at = 0; at < 1000; at++) {
    access.add('short\n')
    access.flush()
    for (const { slab } of waiting) slabs.add(slab)
    use()
  }
  assert.ok(slabs.size <= 2, `${slabs.size} slabs became memory`)
})

test('while it uses nothing, small batches gather instead of taking a slab each', () => {
  const { access, waiting } = batch()
  for (let at = 0; at < 1000; at++) {
    access.add('short\n')
    access.flush()
  }
  assert.equal(waiting.length, 1)
})

test('what the main thread does not use is bounded; the rest is dropped and counted, and it goes on when it is used', () => {
  const { access, dropped, waiting, use } = batch()
  const line = `${'x'.repeat(1023)}\n`
  for (let at = 0; at < 8 * 1024; at++) access.add(line)
  access.finish()
  assert.equal(waiting.reduce((sum, { bytes }) => sum + bytes, 0), SLABS * SLAB_BYTES)
  assert.equal(dropped() + waiting.reduce((sum, { records }) => sum + records, 0), 8 * 1024)
  const before = dropped()
  use()
  access.add('again\n')
  access.flush()
  assert.equal(use(), 'again\n')
  assert.equal(dropped(), before)
})

test('a line longer than a slab is dropped and counted; those around it are not', () => {
  const { access, dropped, use } = batch()
  access.add('before\n')
  access.add(`${'x'.repeat(SLAB_BYTES)}\n`)
  access.add('after\n')
  access.finish()
  assert.equal(use(), 'before\nafter\n')
  assert.equal(dropped(), 1)
})
