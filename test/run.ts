// `npm test`: types, lint and architecture side by side, then every test; `--check` stops before the tests, `--real` runs what needs a real Nomad, paths run only those.
import { spawn } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describeRealServers, realServer } from './support/real-servers.ts'

/** One file of tests may take this long before it counts as hung. */
const FILE_TIMEOUT_MS = 120_000
/** One of `npm run test:long` and `npm run test:real`, which measure for minutes. */
const LONG_FILE_TIMEOUT_MS = 1_200_000

interface Stage {
  readonly name: string
  readonly args: readonly string[]
}

interface Outcome {
  readonly name: string
  readonly ok: boolean
  readonly seconds: number
}

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
// Types are stripped once, not in each of the hundred processes that a run starts.
process.env['NODE_COMPILE_CACHE'] ??= 'node_modules/.cache/node'

const asked = process.argv.slice(2)
const paths = asked.filter((argument) => !argument.startsWith('-'))
const unknown = asked.filter((argument) => argument.startsWith('-') && !['--check', '--real'].includes(argument))
if (unknown.length > 0) {
  console.error(`test/run.ts: unknown option ${unknown.join(' ')}; it takes --check, --real, or paths of tests`)
  process.exit(2)
}

const real = asked.includes('--real')
if (real && realServer('nomad') === undefined) {
  console.log('nomad is not on PATH: the tests on a real Nomad were not run. Install it and try again.')
  process.exit(0)
}

const checks: readonly Stage[] = [
  { name: 'types', args: ['node_modules/typescript/bin/tsc', '-p', '.', '--noEmit', '--incremental', '--tsBuildInfoFile', 'node_modules/.cache/types.tsbuildinfo'] },
  { name: 'lint', args: ['node_modules/eslint/bin/eslint.js', '--max-warnings', '0', ...['src', 'test', 'bench'].filter(holdsTypeScript)] },
  { name: 'architecture', args: ['test/architecture.test.ts'] },
]

console.log(`node ${process.version}, ${availableParallelism()} cores; ${describeRealServers()}`)
const outcomes: Outcome[] = []
if (paths.length === 0 && !real) outcomes.push(...await Promise.all(checks.map(runQuietly)))
if (!asked.includes('--check')) outcomes.push(await runTests(paths.length > 0 ? paths.flatMap(testFiles) : testFiles('test')))

const failed = outcomes.filter(({ ok }) => !ok).map(({ name }) => name)
const seconds = (performance.now() / 1000).toFixed(1)
console.log(failed.length === 0 ? `✔ all of it in ${seconds} s` : `✖ failed: ${failed.join(', ')} (${seconds} s)`)
process.exitCode = failed.length === 0 ? 0 : 1

/** Runs a stage and shows what it said only when it fails, or where it says figures (`ℹ`). */
async function runQuietly({ name, args }: Stage): Promise<Outcome> {
  const begun = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { said.push(chunk) })
  const ok = await succeeded(child)
  const outcome = { name, ok, seconds: (performance.now() - begun) / 1000 }
  const output = Buffer.concat(said).toString()
  console.log(`${ok ? '✔' : '✖'} ${name} (${outcome.seconds.toFixed(1)} s)${figuresOf(output)}`)
  if (!ok) console.log(output)
  return outcome
}

async function runTests(files: readonly string[]): Promise<Outcome> {
  const begun = performance.now()
  const long = real || files.some((file) => file.startsWith('test/long/'))
  console.log(`▶ tests: ${files.length} files`)
  const options = ['--test', '--test-reporter=spec', `--test-timeout=${long ? LONG_FILE_TIMEOUT_MS : FILE_TIMEOUT_MS}`, `--test-concurrency=${long ? 1 : Math.max(2, availableParallelism() - 1)}`]
  const ok = files.length > 0 && await succeeded(spawn(process.execPath, [...options, ...files], { stdio: 'inherit' }))
  const seconds = (performance.now() - begun) / 1000
  console.log(`${ok ? '✔' : '✖'} tests (${seconds.toFixed(1)} s)${files.length === 0 ? ': no test file there' : ''}`)
  return { name: 'tests', ok, seconds }
}

function succeeded(child: ReturnType<typeof spawn>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => { resolve(code === 0) })
  })
}

/** The test files at or below a path; the architecture test has a stage of its own, and what takes minutes has to be asked for. */
function testFiles(path: string): string[] {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return [path]
  return globSync(`${path}/**/*.${real ? 'real' : 'test'}.ts`).filter((file) => file !== 'test/architecture.test.ts' && (path !== 'test' || !file.startsWith('test/long/'))).sort()
}

function holdsTypeScript(folder: string): boolean {
  return globSync(`${folder}/**/*.ts`).length > 0
}

function figuresOf(output: string): string {
  const figures = output.split('\n').flatMap((line) => /^ℹ (files: .*)$/.exec(line)?.[1] ?? [])
  return figures.map((figure) => `: ${figure}`).join('')
}
