// The program's log: JSON lines without secrets, and readable lines that cannot steer a terminal.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, constants, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { test } from 'node:test'
import { createLogger } from '#src/observe/log.ts'
import { readableLine } from '#src/observe/log-line.ts'
import { makeFolder } from '#test/support/folder.ts'

/** What a logger of level info writes. */
function logged(log: (logger: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = []
  log(createLogger({ level: 'info', destination: { write(line) { lines.push(line) }, flush(done) { done() } } }))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('a line has time, level, message and what was given with it', () => {
  const [line, ...more] = logged((log) => {
    log.warn({ service: 'web@file/default', count: 2 }, 'a problem')
    log.debug('not shown')
  })
  assert.equal(more.length, 0)
  const { time, ...rest } = line!
  assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/)
  assert.deepEqual(rest, { level: 'warn', service: 'web@file/default', count: 2, msg: 'a problem' })
})

test('an error keeps its message and stack', () => {
  const [line] = logged((log) => { log.error({ error: new Error('boom') }, 'failed') })
  assert.match(JSON.stringify(line?.['error']), /"message":"boom".*"stack":"Error: boom/)
})

test('secrets are not written, wherever they stand', () => {
  const text = JSON.stringify(logged((log) => {
    log.info({ token: 'S3', authorization: 'S3', admin: { token: 'S3' }, catalogs: { nomad: { token: 'S3' } } }, 'config')
    log.info({ headers: { authorization: 'S3', 'x-nomad-token': 'S3', 'proxy-authorization': 'S3' }, request: { headers: { 'x-consul-token': 'S3', cookie: 'S3' } } }, 'request')
  }))
  assert.doesNotMatch(text, /S3/)
  assert.equal(text.split('[redacted]').length - 1, 9)
})

test('on a terminal: clock, level, message, fields, stack', () => {
  const shown = stripVTControlCharacters(readableLine('{"level":"warn","time":"2026-01-02T03:04:05.678Z","service":"web","list":[1],"msg":"a problem","error":{"stack":"Error: x\\n    at y"}}\n'))
  assert.equal(shown, '03:04:05.678 warn  a problem  service=web  list=[1]\n    Error: x\n    at y\n')
  assert.equal(readableLine('no json\n'), 'no json\n')
})

test('on a terminal: what comes from others cannot steer it', () => {
  const shown = stripVTControlCharacters(readableLine(JSON.stringify({ level: 'info', msg: 'a\x1b[2Jb\u009bc\nd', 'k\x07': '\u202e' })))
  assert.match(shown, /a\\u001b\[2Jb\\u009bc\\u000ad {2}k\\u0007=\\u202e/)
})

const root = fileURLToPath(new URL('../..', import.meta.url))
const program = `
import { createLogger } from '#src/observe/log.ts'
const log = createLogger({ level: 'info' })
for (let at = 0; at < 5000; at++) log.info({ at }, 'x'.repeat(500))
log.flush(() => process.exit(3))`

test('standard error gets every line before the program ends', { skip: process.platform === 'win32' ? 'POSIX pipes' : false }, () => {
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program.replaceAll('5000', '1000')], { cwd: root, encoding: 'utf8', maxBuffer: 16 << 20 })
  assert.equal(status, 3, stderr.slice(0, 500))
  assert.deepEqual(stderr.trimEnd().split('\n').map((line) => (JSON.parse(line) as { at: number }).at), Array.from({ length: 1000 }, (_, at) => at))
})

test('standard error that nobody reads holds up nothing', { skip: process.platform === 'linux' ? false : 'a FIFO opened for both ways, as Linux allows' }, async () => {
  await using folder = await makeFolder()
  execFileSync('mkfifo', [folder.file('fifo')])
  const fd = openSync(folder.file('fifo'), constants.O_RDWR)
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root, stdio: ['ignore', 'ignore', fd], timeout: 10_000, killSignal: 'SIGKILL' })
  closeSync(fd)
  assert.deepEqual([status, signal], [3, null])
})
