// An instance is killed under load (SIGKILL, as a node or an OOM killer does), comes back, and is killed again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeLoad, runLoad } from '#test/support/closed-loop.ts'
import { startOwnBackend, type OwnBackend } from '#test/support/own-backend.ts'
import { startSerai } from '#test/support/serai.ts'
import { until } from '#test/support/until.ts'

test('no GET fails whose response had not begun', async (t) => {
  await using stays = await startOwnBackend()
  await using stack = new AsyncDisposableStack()
  let dies: OwnBackend = stack.use(await startOwnBackend())
  const { address, port } = dies
  await using serai = await startSerai({ services: [{ name: 'web', tags: ['serai.host=killed.test'], instances: [stays.address, address] }], config: { workers: 2 } })
  const load = runLoad({ port: serai.port, host: 'killed.test', connections: 64, forMs: 4000 })
  const answersOf = (endpoint: string): number => serai.accessLog.filter((record) => record['endpoint'] === endpoint && record['status'] === 200).length
  let kills = 0
  let over = false
  void load.then(() => { over = true })
  while (!over) {
    const before = answersOf(address)
    await until(() => over || answersOf(address) > before + 50, { what: 'the instance taking requests' }).catch(() => undefined)
    if (!over) kills++
    await dies.kill()
    if (!over) dies = stack.use(await startOwnBackend(port))
  }
  const result = await load
  const retried = Number(/^serai_retries_total (\d+)/m.exec(String((await serai.ask('/metrics')).body))?.[1])
  t.diagnostic(`${describeLoad(result)}; killed ${kills} times, ${retried} attempts repeated`)
  const { cut = 0, ...others } = Object.fromEntries(result.statuses)
  // A response that had begun can only be cut.
  assert.deepEqual(Object.keys(others), ['200'])
  assert.ok(kills >= 1 && result.requests > 500)
  assert.ok(cut <= kills * 2, `${cut} cut`)
})
