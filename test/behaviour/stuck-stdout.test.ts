// Standard output that nobody reads, as when a log collector hangs: requests go on, memory is bounded, what is dropped is counted.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startCheckedLoad } from '#test/support/checked-load.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { until, within } from '#test/support/until.ts'

/** Makes a record of 8 KiB, so that a few hundred requests fill what may wait. */
const LARGE = `User-Agent: ${'x'.repeat(8000)}`
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

test('nobody reads stdout: requests go on, memory is bounded, drops are counted, it ends in time', { skip: process.platform === 'linux' ? false : 'memory is read from /proc' }, async (t) => {
  await using folder = await makeFolder()
  await using backend = await startHttpBackend('web')
  const services = await folder.write('services.yaml', JSON.stringify({ services: [{ name: 'web', tags: ['serai.host=web.example.org'], instances: [backend.address] }] }))
  const config = await folder.write('serai.yaml', JSON.stringify({
    listeners: { http: { address: '127.0.0.1:0' } }, admin: { address: '127.0.0.1:0' }, catalogs: { file: { path: services } }, workers: 2,
    state: { path: 'state' }, stop: { lameDuck: '0', drain: '2s' },
  }))
  const child = spawn(process.execPath, [main, 'run', '--config', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    const { port, admin } = await serving(child)
    const dropped = async (): Promise<number> => {
      const text = await (await fetch(`http://${admin}/metrics`)).text()
      return [...text.matchAll(/^serai_access_log_dropped_total\{.*\} (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
    }
    await until(async () => (await fetch(`http://${admin}/ready`)).ok, { what: 'readiness' })
    const load = startCheckedLoad({ port, clients: 8, hosts: ['web.example.org'], fields: [LARGE] })
    await until(async () => await dropped() > 0, { what: 'drops', deadline: 20_000 })
    const [before, requests] = [residentMb(child), load.requests]
    const after = await dropped() + 1000
    await until(async () => await dropped() > after, { what: '1,000 further drops', deadline: 20_000 })
    const grown = residentMb(child) - before
    t.diagnostic(`${load.requests - requests} requests (${Math.round((load.requests - requests) * 8 / 1024)} MiB of log) while nothing was read; memory grew by ${grown} MB to ${residentMb(child)} MB`)
    const { wrong, cut } = await load.stop()
    assert.deepEqual([...wrong, ...cut], [])
    assert.ok(grown < 40, `memory grew by ${grown} MB`)
    const [code] = await within(Promise.resolve().then(() => {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      return ended
    }), 8000, () => 'the end') as [number | null]
    assert.equal(code, 0)
  } finally {
    child.kill('SIGKILL')
  }
})

async function serving(child: ChildProcess): Promise<{ port: number; admin: string }> {
  const lines: string[] = []
  createInterface({ input: child.stderr! }).on('line', (line) => void lines.push(line))
  const line = await until(() => lines.find((each) => each.includes('"serving"')), { what: 'the line "serving"', deadline: 10_000 })
  const { listeners, admin } = JSON.parse(line) as { listeners: { http: string }; admin: string }
  return { port: Number(listeners.http.split(':').at(-1)), admin }
}

const residentMb = ({ pid }: ChildProcess): number => Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024)
