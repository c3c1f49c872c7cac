// What a command is, and how its arguments are read: its own flags, and any key of the config as `--client.head=5s`.
import { parseArgs } from 'node:util'

/** What a command has of the world. */
export interface CommandIo {
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts at the first SIGTERM or SIGINT: end in good order. The second one ends the process without asking. */
  readonly signal?: AbortSignal
}

export interface Command {
  readonly name: string
  /** One line, for the list of commands. */
  readonly summary: string
  /** The lines that `COMMAND --help` prints after the summary. */
  readonly usage: string
  /** Does it and returns the exit code: 0, 1 failure, 2 usage or bad config. What it throws is a failure of ours, printed with its stack. */
  run(argv: readonly string[], io: CommandIo): Promise<number>
}

/** A command's own flags; each may be given once, or more often when `multiple`. */
export type FlagSpec = Readonly<Record<string, { readonly type: 'string' | 'boolean'; readonly short?: string; readonly multiple?: boolean }>>

export interface ParsedArguments {
  /** Values of the command's own flags; lists of those that are `multiple`. */
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>
  readonly positionals: readonly string[]
  /** Values of config keys by dotted path, for `loadConfig`, which knows which ones there are. */
  readonly config: Readonly<Record<string, string>>
}

/** Wrong use of the command line: main prints the message and exits with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Reads a command's arguments; with `configKeys` those of the config are taken too. Throws UsageError. */
export function parseArguments(argv: readonly string[], own: FlagSpec, configKeys: boolean = false): ParsedArguments {
  const ours = configKeys ? argv.map(configKeyOf).filter((key): key is string => key !== undefined && !Object.hasOwn(own, key)) : []
  const options = { ...own, ...Object.fromEntries(ours.map((key) => [key, { type: 'string' as const }])) }
  try {
    const { values, positionals } = parseArgs({ args: [...argv], options, allowPositionals: true, strict: true })
    const [config, rest]: [Record<string, string>, Record<string, string | boolean | (string | boolean)[] | undefined>] = [{}, {}]
    for (const [name, value] of Object.entries(values)) {
      if (!Object.hasOwn(own, name) && typeof value === 'string') config[name] = value
      else rest[name] = value
    }
    return { values: rest, positionals, config }
  } catch (error) {
    throw new UsageError((error as Error).message.split('\n')[0]!.replace(/ To specify .*/, ''))
  }
}

/** Config keys have a dot, but for the one that stands at the top. */
const configKeyOf = (argument: string): string | undefined => /^--([A-Za-z][\w-]*(?:\.[\w.-]+)|workers)(?:=|$)/.exec(argument)?.[1]
