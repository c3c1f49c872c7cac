// What a program has used, from /proc: CPU time of all its threads and child processes, memory, and how busy a core was.
import { readdirSync, readFileSync } from 'node:fs'

/** Of one or more processes together. */
export interface CpuTime {
  readonly userMs: number
  readonly systemMs: number
}

/** USER_HZ, which Linux has kept at 100 on every architecture that it tells user space about. */
const TICK_MS = 10

/** The process and all that it has forked (nginx works in children), in the order of their ids. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue
    const fields = statFields(Number(name))
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]))
  }
  const tree = [pid]
  for (const member of tree) for (const [child, parent] of parents) if (parent === member) tree.push(child)
  return tree
}

/** utime + stime of these processes, each with all its threads. */
export function cpuTime(pids: readonly number[]): CpuTime {
  let userMs = 0
  let systemMs = 0
  for (const pid of pids) {
    const fields = statFields(pid)
    if (fields === undefined) throw new Error(`process ${pid} has ended`)
    userMs += Number(fields[11]) * TICK_MS
    systemMs += Number(fields[12]) * TICK_MS
  }
  return { userMs, systemMs }
}

/** Resident memory of these processes in bytes; pages that they share (after a fork) count once, by `Pss`. */
export function residentBytes(pids: readonly number[]): number {
  const kilobytes = (pid: number, file: string, key: string): number => {
    const found = new RegExp(`^${key}:\\s+([0-9]+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${file}`, 'utf8'))
    return Number(found?.[1] ?? 0)
  }
  const [only] = pids
  if (pids.length === 1 && only !== undefined) return kilobytes(only, 'status', 'VmRSS') * 1024
  return pids.reduce((sum, pid) => sum + kilobytes(pid, 'smaps_rollup', 'Pss'), 0) * 1024
}

export interface CoreTime {
  readonly busyMs: number
  readonly totalMs: number
}

/** What a core has done since the machine started; time stolen by the host counts as busy. */
export function coreTime(core: number): CoreTime {
  const line = readFileSync('/proc/stat', 'utf8').split('\n').find((each) => each.startsWith(`cpu${core} `))
  if (line === undefined) throw new Error(`no core ${core}`)
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number)
  const busy = user + nice + system + irq + softirq + steal
  return { busyMs: busy * TICK_MS, totalMs: (busy + idle + iowait) * TICK_MS }
}

/** Fields of /proc/PID/stat from the third (state) on: the second may hold spaces. Undefined when the process has ended. */
function statFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
