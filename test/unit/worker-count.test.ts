// How many workers, and how much heap each: cores, a bound, and the memory.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workerCount, workerHeapMb } from '#src/control/worker-count.ts'

const GiB = 1024 ** 3
const counts: readonly { readonly name: string; readonly configured: number | 'auto'; readonly cores: number; readonly memory: number; readonly expect: number }[] = [
  { name: 'one per core', configured: 'auto', cores: 4, memory: 8 * GiB, expect: 4 },
  { name: 'never more than 8', configured: 'auto', cores: 64, memory: 64 * GiB, expect: 8 },
  { name: 'what the memory allows', configured: 'auto', cores: 8, memory: 0.5 * GiB, expect: 3 },
  { name: 'at least one', configured: 'auto', cores: 8, memory: 0.1 * GiB, expect: 1 },
  { name: 'as configured, whatever there is', configured: 12, cores: 1, memory: 0.1 * GiB, expect: 12 },
]
for (const { name, configured, cores, memory, expect } of counts) {
  test(`workers: ${name}`, () => assert.equal(workerCount(configured, cores, memory), expect))
}

test('the heaps of all workers fit into the memory, within bounds', () => {
  assert.equal(workerHeapMb(2, 64 * GiB), 1024)
  assert.equal(workerHeapMb(2, 0.5 * GiB), (512 - 160) / 2)
  assert.equal(workerHeapMb(64, 0.5 * GiB), 64)
})
