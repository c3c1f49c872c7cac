// Path tricks: whatever the spelling, the route that was matched and the path that the upstream sees are of one mind.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startBackend } from '#test/support/backend.ts'
import type { Backend } from '#test/support/backend.ts'
import { get } from '#test/support/client.ts'
import { startSerai } from '#test/support/serai.ts'
import type { Serai } from '#test/support/serai.ts'
import { HOST } from './arena.ts'

const arena = new AsyncDisposableStack()
let open: Backend
let guarded: Backend
let serai: Serai
before(async () => {
  open = arena.use(await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nopen' }))
  guarded = arena.use(await startBackend({ respond: 'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nguarded' }))
  serai = arena.use(await startSerai({
    config: { workers: 1 },
    services: [
      { name: 'open', tags: [`serai.host=${HOST}`], instances: [open.address] },
      { name: 'guarded', tags: [`serai.host=${HOST}`, 'serai.path=/admin'], instances: [guarded.address] },
    ],
  }))
})
after(() => arena.disposeAsync())

/** What is sent, who gets it, and what they see. */
const spellings: readonly (readonly [target: string, by: 'open' | 'guarded', sees: string])[] = [
  ['/admin', 'guarded', '/admin'],
  ['/admin/', 'guarded', '/admin/'],
  ['/admin?x=/../open', 'guarded', '/admin?x=/../open'],
  ['//admin', 'guarded', '/admin'],
  ['///admin//x', 'guarded', '/admin/x'],
  ['/./admin', 'guarded', '/admin'],
  ['/admin/.', 'guarded', '/admin/'],
  ['/x/../admin', 'guarded', '/admin'],
  ['/x/y/../../admin/z', 'guarded', '/admin/z'],
  ['/x//../admin', 'guarded', '/admin'],
  ['/x/%2e%2e/admin', 'guarded', '/admin'],
  ['/x/.%2E/admin', 'guarded', '/admin'],
  ['/%61dmin', 'guarded', '/admin'],
  ['/%61%64%6d%69%6e', 'guarded', '/admin'],
  ['/%41dmin', 'open', '/Admin'],
  ['/admin/..', 'open', '/'],
  ['/admin/../x', 'open', '/x'],
  ['/admin/%2e%2e/x', 'open', '/x'],
  ['/ADMIN', 'open', '/ADMIN'],
  ['/administrator', 'open', '/administrator'],
  ['/admin%20', 'open', '/admin%20'],
  ['/admin%3f', 'open', '/admin%3F'],
  ['/admin;/x', 'open', '/admin;/x'],
  // A path parameter is no dot segment to us; the route that takes it is the one whose protection holds.
  ['/admin/..;/x', 'guarded', '/admin/..;/x'],
  ['/admin/.;/x', 'guarded', '/admin/.;/x'],
  ['/x/..;/admin', 'open', '/x/..;/admin'],
  ['/%2561dmin', 'open', '/%2561dmin'],
]

const refused: readonly string[] = [
  '/admin%2f..', '/x%2f..%2fadmin', '/admin%2F', '/%5cadmin', '/x%5C..%5Cadmin', '/admin%00', '/%00', '/x\\..\\admin', '/\\admin', '/..', '/../admin', '/x/../../admin',
  '/%2e%2e/admin', '/a%', '/a%4', '/a%zz', '/a%u0061', '/a%c', '/%%61dmin',
]

for (const [target, by, sees] of spellings) {
  test(`${target} goes to ${by} as ${sees}`, async () => {
    const backend = by === 'open' ? open : guarded
    const before = open.requests.length + guarded.requests.length
    const response = await get(serai.port, target, HOST)
    assert.equal(response.text, by)
    assert.equal(backend.requests.at(-1)?.target, sees)
    assert.equal(open.requests.length + guarded.requests.length, before + 1)
  })
}

for (const target of refused) {
  test(`${target} is refused`, async () => {
    const before = open.requests.length + guarded.requests.length
    const response = await get(serai.port, target, HOST)
    assert.equal(response.status, 400)
    assert.equal(response.headers.get('Connection'), 'close')
    assert.equal(open.requests.length + guarded.requests.length, before)
  })
}
