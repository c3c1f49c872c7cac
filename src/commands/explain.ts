// serai explain URL: where a request goes and why, as the running Serai sees it.
import { adminFlags, adminUsage, askAdmin, NoAnswer } from './ask-admin.ts'
import { columns, jsonText } from './columns.ts'
import { parseArguments, UsageError } from './command.ts'
import type { Command } from './command.ts'
import { offlineView } from './offline.ts'
import { problemsText } from './problem-list.ts'
import { visible } from '#src/observe/visible-text.ts'
import { explain, QuestionError } from '#src/admin/explain.ts'
import type { Explanation } from '#src/admin/subject.ts'

const flags = { ...adminFlags, method: { type: 'string' }, header: { type: 'string', multiple: true } } as const

export const command: Command = {
  name: 'explain',
  summary: 'say where a request goes, step by step, and why',
  usage: [
    "serai explain URL [--method M] [--header 'K: V'] [--json] [--admin ADDRESS] [--token-file FILE] [--config FILE]",
    '',
    '  --method M         the method of the request (GET)',
    "  --header 'K: V'    a header field of it, may be repeated; Host stands for the URL's host",
    ...adminUsage,
  ].join('\n'),
  async run(argv, { stdout, stderr, env }) {
    const { values, positionals } = parseArguments(argv, flags)
    const [url, ...more] = positionals
    if (url === undefined || more.length > 0) throw new UsageError(`expected one URL, found ${positionals.length}`)
    const headers = [values['header'] ?? []].flat().map((header) => ['header', String(header)] as const)
    const query = new URLSearchParams([['url', url], ['method', String(values['method'] ?? 'GET')], ...headers.map((pair) => [...pair])])
    try {
      const explanation = typeof values['config'] === 'string'
        ? explainOffline(await offlineView(values['config'], env), { url, method: String(values['method'] ?? 'GET'), headers: headers.map(([, header]) => fieldOf(header)) })
        : await askAdmin('/api/explain', query, values, env)
      stdout.write(values['json'] === true ? jsonText(explanation) : explanationText(explanation))
      return 0
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      stderr.write(`serai explain: ${error.message}\n`)
      return 1
    }
  },
}

function explainOffline(...question: Parameters<typeof explain>): Explanation {
  try {
    return explain(...question)
  } catch (error) {
    throw error instanceof QuestionError ? new NoAnswer(error.message) : error
  }
}

const fieldOf = (line: string): [string, string] => {
  const at = line.indexOf(':')
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1).trim()]
}

function explanationText({ question, summary, steps, problems }: Explanation): string {
  const rows = steps.map(({ stage, name, ok, why }) => [`  ${stage}`, ok ? 'yes' : 'no', name === '' ? '-' : name, why])
  return `${visible(`${question.method} ${question.host}${question.path}`)}: ${visible(summary)}\n\n${columns(rows)}${problemsText(problems)}`
}
