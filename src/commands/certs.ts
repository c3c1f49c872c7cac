// serai certs: the certificates of the running Serai as a table, and what is wrong with them.
import { adminFlags, adminUsage, askAdmin, NoAnswer } from './ask-admin.ts'
import { columns, jsonText } from './columns.ts'
import { parseArguments, UsageError } from './command.ts'
import type { Command } from './command.ts'
import { offlineCertificates } from './offline.ts'
import type { CertificateView } from '#src/admin/subject.ts'

/** Names that one line shows. */
const MAX_NAMES = 4

export const command: Command = {
  name: 'certs',
  summary: 'list the certificates of the running Serai, and how long they last',
  usage: ['serai certs [--json] [--admin ADDRESS] [--token-file FILE] [--config FILE]', '', ...adminUsage].join('\n'),
  async run(argv, { stdout, stderr, env }) {
    const { values, positionals } = parseArguments(argv, adminFlags)
    if (positionals.length > 0) throw new UsageError(`expected no argument, found ${positionals.join(' ')}`)
    try {
      const answer = typeof values['config'] === 'string'
        ? { certificates: await offlineCertificates(values['config'], env) }
        : await askAdmin('/api/certificates', new URLSearchParams(), values, env)
      stdout.write(values['json'] === true ? jsonText(answer) : certificatesText(answer.certificates))
      return 0
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error
      stderr.write(`serai certs: ${error.message}\n`)
      return 1
    }
  },
}

function certificatesText(certificates: readonly CertificateView[]): string {
  if (certificates.length === 0) return 'no certificates\n'
  const table = columns([['NAMES', 'DAYS', 'KEY', 'ISSUER', 'FILE'], ...certificates.map(({ names, daysLeft, state, keyType, issuer, file, default: isDefault }) => [
    shortList(names) + (isDefault ? ' (default)' : ''),
    state === 'good' ? String(daysLeft ?? '') : state,
    keyType, issuer, file,
  ])])
  const problems = certificates.flatMap(({ file, problems: own }) => own.map((problem) => [`  ${file}`, problem]))
  return problems.length === 0 ? table : `${table}\nproblems:\n${columns(problems)}`
}

function shortList(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const more = names.length - MAX_NAMES
  return names.slice(0, MAX_NAMES).join(' ') + (more > 0 ? ` and ${more} more` : '')
}
