// serai validate FILE: every mistake of a config, with its position, without starting anything.
import { formatAddress } from '#src/config/address.ts'
import { loadConfig } from '#src/config/load.ts'
import { formatMistakes } from '#src/config/mistake.ts'
import { parseArguments, UsageError, type Command } from './command.ts'

export const command: Command = {
  name: 'validate',
  summary: 'check a config and print every mistake with its position',
  usage: [
    'serai validate FILE [--KEY=VALUE …]',
    '',
    'Checks FILE with what SERAI_* variables and flags (--client.head=5s) change of it, as `serai run` would.',
    'Exit code 0: the config is good; 2: it has mistakes.',
  ].join('\n'),
  async run(argv, { stdout, stderr, env }) {
    const { positionals, config: flags } = parseArguments(argv, {}, true)
    const [file, ...more] = positionals
    if (file === undefined || more.length > 0) throw new UsageError(`expected one FILE, found ${positionals.length}`)
    const loaded = loadConfig({ file, env, flags })
    if (!loaded.ok) {
      stderr.write(`${formatMistakes(loaded.mistakes)}\n`)
      return 2
    }
    const { listeners, admin, health } = loaded.config
    const places = Object.entries({ ...listeners, admin, ...(health && { health }) }).map(([name, { address }]) => `${name} ${formatAddress(address)}`)
    stdout.write(`${file} is good; it would listen on: ${places.join(', ')}\n`)
    return 0
  },
}
