// The access log's sink: never blocks, bounded, counts what it drops, and follows its file.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, createReadStream, openSync } from 'node:fs'
import { readFile, rename, rm, stat, mkdir } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { accessLine, clientText, routeText } from '#src/observe/access-record.ts'
import { createAccessSink } from '#src/observe/access-sink.ts'
import { makeFolder } from '#test/support/folder.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

const MIB = 1024 * 1024
const childFile = fileURLToPath(new URL('../fixtures/access-sink-child.ts', import.meta.url))

interface Report {
  readonly pending: number
  readonly dropped: number
  readonly longestTurnMs: number
  readonly rss: number
}

const kinds = [
  { name: 'a FIFO', posix: true, open: (path: string): number => { execFileSync('mkfifo', [path]); return openSync(path, constants.O_RDWR) } },
  { name: 'a socket', posix: false, open: undefined },
]

for (const { name, open } of kinds) {
  test(`standard output that is ${name} that nobody reads: the program goes on, memory is bounded, drops are counted, it ends in time`, { skip: process.platform === 'win32' ? 'POSIX pipes' : false }, async (t) => {
    await using folder = await makeFolder()
    const fd = open?.(folder.file('fifo'))
    const child = spawn(process.execPath, [childFile], { stdio: ['ignore', fd ?? 'pipe', 'inherit', 'ipc'] })
    t.after(() => { child.kill('SIGKILL') })
    const heard = async (): Promise<Report> => {
      const [message] = await within(once(child, 'message'), DEADLINE_MS, () => 'a report of the child') as [Report]
      return message
    }
    await heard()

    child.send({ batches: 1000 })
    const stuck = await heard()
    assert.ok(stuck.pending > 3.5 * MIB && stuck.pending <= 4 * MIB, `pending ${stuck.pending}`)
    assert.ok(stuck.dropped > 900 * 64, `dropped ${stuck.dropped}`)

    child.send({ batches: 1000 })
    const still = await heard()
    // One more batch may have found room.
    assert.ok(still.dropped >= stuck.dropped + 63_900, `dropped ${still.dropped - stuck.dropped} of 64000 more`)
    assert.ok(still.longestTurnMs < 500, `a turn of the loop took ${still.longestTurnMs} ms`)
    assert.ok(still.rss - stuck.rss < 32 * MIB, `memory grew by ${still.rss - stuck.rss}`)

    const exited = once(child, 'exit')
    child.send({ closeWithinMs: 100 })
    const end = await heard()
    assert.equal(end.pending, 0)
    assert.ok(end.dropped > still.dropped)
    assert.deepEqual(await within(exited, DEADLINE_MS, () => 'the end of the child'), [0, null])
    if (fd !== undefined) closeSync(fd)
  })

  test(`standard output that is ${name}: what was not dropped arrives whole and in order once somebody reads`, { skip: process.platform === 'win32' ? 'POSIX pipes' : false }, async (t) => {
    await using folder = await makeFolder()
    const fd = open?.(folder.file('fifo'))
    const child = spawn(process.execPath, [childFile], { stdio: ['ignore', fd ?? 'pipe', 'inherit', 'ipc'] })
    t.after(() => { child.kill('SIGKILL') })
    const heard = async (): Promise<Report> => (await within(once(child, 'message'), DEADLINE_MS, () => 'a report of the child') as [Report])[0]
    await heard()
    child.send({ batches: 100 })
    const { dropped } = await heard()
    assert.ok(dropped > 0)

    const reader = fd === undefined ? child.stdout! : createReadStream(folder.file('fifo'))
    const all = text(reader)
    child.send({ closeWithinMs: DEADLINE_MS })
    const end = await heard()
    assert.equal(end.dropped, dropped)
    await once(child, 'exit')
    if (fd !== undefined) closeSync(fd)
    const lines = (await within(all, DEADLINE_MS, () => 'the end of the log')).trimEnd().split('\n')
    assert.equal(lines.length, 6400 - dropped)
    for (const line of lines) assert.equal(line.length, 1011)
  })
}

test('a file is appended to, readable by owner and group alone', async () => {
  await using folder = await makeFolder()
  const path = await folder.write('access.log', 'before\n')
  const sink = createAccessSink(path)
  sink.write('one\ntwo\n', 2)
  assert.ok(sink.pendingBytes > 0)
  await sink.close(DEADLINE_MS)
  assert.equal(await readFile(path, 'utf8'), 'before\none\ntwo\n')
  assert.deepEqual([sink.pendingBytes, sink.dropped], [0, 0])

  const fresh = createAccessSink(folder.file('new.log'))
  await fresh.close(DEADLINE_MS)
  assert.equal((await stat(folder.file('new.log'))).mode & 0o137, 0)
})

test('a renamed file is left within a second or so, on reopen() at once', async () => {
  await using folder = await makeFolder()
  const path = folder.file('access.log')
  const sink = createAccessSink(path)
  sink.write('first\n', 1)
  await sink.drained(DEADLINE_MS)

  await rename(path, folder.file('access.log.1'))
  sink.reopen()
  sink.write('second\n', 1)
  await sink.drained(DEADLINE_MS)
  assert.equal(await readFile(path, 'utf8'), 'second\n')

  await rename(path, folder.file('access.log.2'))
  await until(async () => {
    sink.write('third\n', 1)
    await sink.drained(DEADLINE_MS)
    return (await readFile(path, 'utf8')) === 'third\n'
  }, { what: 'a new file' })

  await rm(path)
  sink.reopen()
  sink.write('fourth\n', 1)
  await sink.close(DEADLINE_MS)
  assert.equal(await readFile(path, 'utf8'), 'fourth\n')
  assert.equal(sink.dropped, 0)
})

test('a file that cannot be opened again loses records, says so once, and is used again when it can', async () => {
  await using folder = await makeFolder()
  await mkdir(folder.file('logs'))
  const said: string[] = []
  const sink = createAccessSink(folder.file('logs/access.log'), { report: (reason) => { said.push(reason) } })
  await rename(folder.file('logs'), folder.file('gone'))
  sink.reopen()
  for (let at = 0; at < 3; at++) {
    sink.write('lost\nlost\n', 2)
    await sink.drained(DEADLINE_MS)
  }
  assert.equal(sink.dropped, 6)
  assert.equal(said.length, 1)
  assert.match(said[0]!, /ENOENT.*access\.log/)

  await rename(folder.file('gone'), folder.file('logs'))
  sink.write('kept\n', 1)
  await sink.close(DEADLINE_MS)
  assert.equal(await readFile(folder.file('logs/access.log'), 'utf8'), 'kept\n')
})

test('a full device loses records and says so', { skip: process.platform === 'linux' ? false : '/dev/full is of Linux' }, async () => {
  const said: string[] = []
  const sink = createAccessSink('/dev/full', { report: (reason) => { said.push(reason) } })
  sink.write('x\n', 1)
  await sink.close(DEADLINE_MS)
  assert.equal(sink.dropped, 1)
  assert.match(said[0]!, /ENOSPC/)
})

test('a FIFO given as a file: full, it waits without a pool thread; read again, it goes on', { skip: process.platform === 'linux' ? false : 'opened for both ways, as Linux allows' }, async () => {
  await using folder = await makeFolder()
  const path = folder.file('fifo')
  execFileSync('mkfifo', [path])
  assert.throws(() => createAccessSink(path), /log\.access\.target: cannot open .*fifo.*ENXIO/)

  const held = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const sink = createAccessSink(path, { maxPendingBytes: MIB })
  for (let at = 0; at < 8; at++) sink.write(`${String(at).repeat(100_000)}\n`, 1)
  await sink.drained(50)
  assert.ok(sink.pendingBytes > 0)
  // More of them than the pool has threads.
  await Promise.all(Array.from({ length: 8 }, () => stat(path)))

  const all = text(createReadStream(path))
  await sink.close(DEADLINE_MS)
  closeSync(held)
  const lines = (await all).split('\n')
  assert.deepEqual(lines, [...Array.from({ length: 8 }, (_, at) => String(at).repeat(100_000)), ''])
  assert.equal(sink.dropped, 0)
})

test('what does not fit is dropped by whole batches, and counted', async () => {
  await using folder = await makeFolder()
  const sink = createAccessSink(folder.file('access.log'), { maxPendingBytes: 10 })
  sink.write('1234\n', 1)
  sink.write('äöü\n12345\n', 2)
  sink.write('67\n', 1)
  await sink.close(DEADLINE_MS)
  sink.write('late\n', 1)
  assert.equal(await readFile(folder.file('access.log'), 'utf8'), '1234\n67\n')
  assert.equal(sink.dropped, 3)
})

test('off takes everything and does nothing', async () => {
  const sink = createAccessSink('off')
  sink.write('x\n', 1)
  await sink.close(0)
  assert.deepEqual([sink.pendingBytes, sink.dropped], [0, 0])
})

test('every field of a record is documented', async () => {
  const page = await readFile(new URL('../../docs/access-log.md', import.meta.url), 'utf8')
  const line = accessLine({
    from: clientText({ client: '10.0.0.1', peer: '10.0.0.2', scheme: 'http', protocol: 'HTTP/1.1', host: 'a.example.org', userAgent: 'y' }), to: routeText('web@file/default', 'default'),
    durationMs: 1, upstreamMs: 1, method: 'GET', path: '/', query: '?a=1', status: 200, grpcStatus: 0, reason: 'upstream_reset', failure: 'reset: ECONNRESET', bytesIn: 0, bytesOut: 0,
    endpoint: '127.0.0.1:9001', tried: ['127.0.0.1:9002'], requestId: 'x',
  }, '2026-01-02T03:04:05.000Z')
  const names = Object.keys(JSON.parse(line) as object)
  assert.ok(names.length > 15)
  assert.deepEqual(names.filter((name) => !page.includes(`\n| \`${name}\` |`)), [])
})
