// The command line: finds the command, runs it, and is the only place that ends the process.
import { enableCompileCache } from 'node:module'
import type { Command } from './commands/command.ts'

/** npm hands a Ctrl-C on to a program that has had it from the terminal already: signals this close together are one. */
const ONE_SIGNAL_MS = 500

enableCompileCache()
// Whoever read what we print may be gone (`serai routes | head`); that ends nothing.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

// Loaded when asked for: `--version` must not wait for the control plane.
const commands: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  run: () => import('./commands/run.ts'),
  demo: () => import('./commands/demo.ts'),
  validate: () => import('./commands/validate.ts'),
  routes: () => import('./commands/routes.ts'),
  explain: () => import('./commands/explain.ts'),
  certs: () => import('./commands/certs.ts'),
}

process.exit(await main(process.argv.slice(2)))

async function main([name, ...argv]: readonly string[]): Promise<number> {
  if (name === '--version') return print(`serai ${(await import('./config/version.ts')).version}`)
  if (name === '--help' || name === '-h') return print(await help())
  if (name === undefined) return refuse(await help())
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    const { nearest } = await import('./config/nearest.ts')
    const near = nearest(name, [...Object.keys(commands), '--version', '--help'])
    return refuse(`serai: ${JSON.stringify(name)} is not a command${near === undefined ? '' : ` (did you mean ${near}?)`}; serai --help lists them`)
  }
  const { command } = await load()
  const options = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length)
  if (options.includes('--help') || options.includes('-h')) return print(`serai ${name}: ${command.summary}\n\n${command.usage}`)
  return run(command, argv)
}

async function run(command: Command, argv: readonly string[]): Promise<number> {
  try {
    return await command.run(argv, { stdout: process.stdout, stderr: process.stderr, env: process.env, signal: stopSignal() })
  } catch (error) {
    if (error instanceof Error && error.name === 'UsageError') return refuse(`serai ${command.name}: ${error.message}\n\n${command.usage}`)
    console.error(error)
    return 1
  }
}

/** Aborts at the first SIGTERM or SIGINT; the second ends the process at once, with the code a shell gives to that signal. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  let first = 0
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted && performance.now() - first > ONE_SIGNAL_MS) process.exit(code)
      if (!stop.signal.aborted) first = performance.now()
      stop.abort()
    })
  }
  return stop.signal
}

async function help(): Promise<string> {
  const known = await Promise.all(Object.values(commands).map((load) => load()))
  const lines = known.map(({ command }) => `  ${command.name.padEnd(10)}${command.summary}`)
  return [
    'serai: the ingress for Nomad', '', 'serai COMMAND [ARGUMENTS]', '', ...lines, '',
    '  --version   print the version', '  --help      print this, or with a command what it takes',
  ].join('\n')
}

function print(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

function refuse(text: string): number {
  process.stderr.write(`${text}\n`)
  return 2
}
