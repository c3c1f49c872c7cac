// serai routes: the routes of the running Serai as a table, and what is wrong beside them.
import { adminFlags, adminUsage, askAdmin, NoAnswer } from './ask-admin.ts'
import { columns, jsonText } from './columns.ts'
import { parseArguments, UsageError } from './command.ts'
import type { Command } from './command.ts'
import { problemsText } from './problem-list.ts'
import { offlineView } from './offline.ts'
import type { RouteView } from '#src/admin/subject.ts'

/** Addresses that one line shows. */
const MAX_ADDRESSES = 4

export const command: Command = {
  name: 'routes',
  summary: 'list the routes of the running Serai, and its problems',
  usage: ['serai routes [--json] [--admin ADDRESS] [--token-file FILE] [--config FILE]', '', ...adminUsage].join('\n'),
  async run(argv, { stdout, stderr, env }) {
    const { values, positionals } = parseArguments(argv, adminFlags)
    if (positionals.length > 0) throw new UsageError(`expected no argument, found ${positionals.join(' ')}`)
    try {
      const offline = typeof values['config'] === 'string' ? await offlineView(values['config'], env) : undefined
      const answer = offline === undefined ? await askAdmin('/api/routes', new URLSearchParams(), values, env) : { routes: offline.routes }
      if (values['json'] === true) {
        stdout.write(jsonText(answer))
        return 0
      }
      const { problems } = offline ?? await askAdmin('/api/problems', new URLSearchParams(), values, env)
      stdout.write(routesText(answer.routes) + problemsText(problems))
      return 0
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      stderr.write(`serai routes: ${error.message}\n`)
      return 1
    }
  },
}

function routesText(routes: readonly RouteView[]): string {
  if (routes.length === 0) return 'no routes\n'
  const sorted = routes.toSorted((a, b) => compare(a.host, b.host) || compare(a.path, b.path))
  return columns([['HOST', 'PATH', 'SERVICE', 'ENDPOINTS'], ...sorted.map(({ host, path, kind, service, router, refuse, endpoints }) => [
    host === '' ? 'any' : host,
    kind === 'exact' ? `=${path}` : path,
    router === 'default' ? service : `${service} (${router})`,
    refuse === '' ? shortList(endpoints) : `answers 503: ${refuse}`,
  ])])
}

function shortList(endpoints: readonly string[]): string {
  if (endpoints.length === 0) return 'none'
  const more = endpoints.length - MAX_ADDRESSES
  return endpoints.slice(0, MAX_ADDRESSES).join(' ') + (more > 0 ? ` and ${more} more` : '')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
