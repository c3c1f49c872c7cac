// Asking the admin API of a running Serai, for the commands that show what it knows.
import { readFile } from 'node:fs/promises'
import { request } from 'undici'
import type { z } from 'zod'
import { answers, errorView } from '#src/admin/schema.ts'
import type { CommandIo, FlagSpec, ParsedArguments } from './command.ts'

/** The flags of every command that asks. */
export const adminFlags = {
  admin: { type: 'string' }, config: { type: 'string' }, 'token-file': { type: 'string' }, json: { type: 'boolean' },
} as const satisfies FlagSpec

/** Their lines in a command's usage. */
export const adminUsage = [
  '  --admin ADDRESS    the admin address of the running Serai (SERAI_ADMIN_ADDRESS; 127.0.0.1:9080)',
  '  --token-file FILE  a file with its token (SERAI_ADMIN_TOKEN_FILE; or the token itself in SERAI_ADMIN_TOKEN)',
  '  --config FILE      ask nobody: show what this config and its services file say',
  '  --json             the answer of the API as it is',
]

/** Why there is no answer, in one line for the user. */
export class NoAnswer extends Error {}

type Path = keyof typeof answers

const DEFAULT_ADDRESS = '127.0.0.1:9080'
const DEADLINE_MS = 10_000

/** The answer of a path of the admin API. Throws NoAnswer. */
export async function askAdmin<P extends Path>(
  path: P, query: URLSearchParams, values: ParsedArguments['values'], env: CommandIo['env'],
): Promise<z.infer<(typeof answers)[P]>> {
  const url = addressOf(values['admin'] ?? env['SERAI_ADMIN_ADDRESS'] ?? DEFAULT_ADDRESS)
  const token = await tokenOf(values['token-file'] ?? env['SERAI_ADMIN_TOKEN_FILE'], env)
  url.pathname = path
  url.search = query.toString()
  const { status, body } = await get(url, token)
  if (status === 200) {
    const answer = answers[path].safeParse(body)
    if (answer.success) return answer.data as z.infer<(typeof answers)[P]>
  }
  if (status === 401) throw new NoAnswer(`${url.host} did not accept the token; expected --token-file FILE, or SERAI_ADMIN_TOKEN, with the one of its config`)
  const refused = errorView.safeParse(body)
  if (refused.success && status !== 200) throw new NoAnswer(status === 400 ? refused.data.error : `${url.host} answered ${status}: ${refused.data.error}`)
  throw new NoAnswer(`what answers at ${url.host} is not the admin API of this version of Serai (status ${status})`)
}

/** An address in the forms that the config has, or an URL. */
function addressOf(address: ParsedArguments['values'][string]): URL {
  const text = String(address)
  const url = URL.parse(/^https?:\/\//.test(text) ? text : `http://${text.startsWith(':') ? `127.0.0.1${text}` : text}`)
  if (url === null || url.pathname !== '/') throw new NoAnswer(`${JSON.stringify(text)} is not an address; expected host:port, such as ${DEFAULT_ADDRESS}`)
  if (url.hostname === '0.0.0.0' || url.hostname === '[::]') url.hostname = '127.0.0.1'
  return url
}

async function tokenOf(file: ParsedArguments['values'][string], env: CommandIo['env']): Promise<string | undefined> {
  if (file === undefined) return env['SERAI_ADMIN_TOKEN']
  try {
    return (await readFile(String(file), 'utf8')).trim()
  } catch (error) {
    throw new NoAnswer(`cannot read the token: ${(error as Error).message}`)
  }
}

async function get(url: URL, token: string | undefined): Promise<{ readonly status: number; readonly body: unknown }> {
  try {
    const { statusCode, body } = await request(url, {
      reset: true, signal: AbortSignal.timeout(DEADLINE_MS), headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })
    const text = await body.text()
    return { status: statusCode, body: parse(text) }
  } catch (error) {
    const { code, name, message } = error as NodeJS.ErrnoException
    if (code === 'ECONNREFUSED') throw new NoAnswer(`nothing listens at ${url.host}; expected the admin address of a running Serai (--admin ADDRESS)`)
    throw new NoAnswer(`${url.host} did not answer: ${name === 'TimeoutError' ? `no answer in ${DEADLINE_MS / 1000} s` : message || String(code)}`)
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
