// How many data-plane threads `workers: auto` means on this machine.
import { availableParallelism, totalmem } from 'node:os'

const MOST = 8
/** What the main thread and libraries take, and what each worker may grow to under load. */
const BASE_BYTES = 160 * 1024 * 1024
const WORKER_BYTES = 96 * 1024 * 1024
const LEAST_HEAP_MB = 64
const MOST_HEAP_MB = 1024

/** The configured number, or: one per core, at most 8, and no more than the memory (of the control group, if it is less) allows. */
export function workerCount(configured: number | 'auto', cores: number = availableParallelism(), memory: number = memoryLimit()): number {
  if (configured !== 'auto') return configured
  return Math.max(1, Math.min(cores, MOST, Math.floor((memory - BASE_BYTES) / WORKER_BYTES)))
}

/** What the heap of each of `workers` may grow to, in MiB: together no more than the memory allows, so that one too large is ended alone and the system need not end all. */
export function workerHeapMb(workers: number, memory: number = memoryLimit()): number {
  return Math.max(LEAST_HEAP_MB, Math.min(MOST_HEAP_MB, Math.floor((memory - BASE_BYTES) / workers / (1024 * 1024))))
}

/** `constrainedMemory` is 0 or enormous where there is no limit. */
function memoryLimit(): number {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < totalmem() ? limit : totalmem()
}
