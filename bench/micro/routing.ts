// Routing: looking up among 10,000 hosts and 30,000 routes, and compiling a slice of 200 services among 5,000.
import { matchRoute } from '#src/routing/match.ts'
import { normalisePath } from '#src/routing/path.ts'
import { TableBuilder, type Entry, type RoutingTable } from '#src/routing/table.ts'
import type { Case } from './measure.ts'

const HOSTS = 10_000
const PATHS = ['/', '/api', '/static/assets'] as const
const SERVICES = 5000
const SLICE = 200

const hosts = Array.from({ length: HOSTS }, (_, index) => `service-${index}.example.org`)
const entriesOf = (host: string, value: number): Entry<number>[] => PATHS.map((path) => ({ match: { host, path, kind: 'prefix' }, value }))
/** As it is in a request: cut out of a longer text, and so not the very string in the table. */
const asked = Array.from({ length: 1024 }, (_, at) => `Host: ${hosts[(at * 7919) % HOSTS]}`.slice(6))

export const cases: readonly Case[] = [
  { name: 'match: exact host, prefix / (10,000 hosts, 30,000 routes)', run: (times) => match(full(), times, '/') },
  { name: 'match: exact host, second prefix, path of 4 segments', run: (times) => match(full(), times, '/static/assets/js/app.js') },
  { name: 'match: unknown host', run: (times) => unknown(full(), times) },
  { name: 'path in normal form', run: (times) => paths(times) },
  { name: 'compile, for each of 200 services out of 5,000', per: SLICE, run: (times) => compile(times) },
]

const tables: RoutingTable<number>[] = []

function full(): RoutingTable<number> {
  const [made] = tables
  if (made !== undefined) return made
  const builder = new TableBuilder<number>()
  hosts.forEach((host, index) => builder.set(`s${index}`, entriesOf(host, index)))
  const table = builder.finish()
  tables.push(table)
  return table
}

function match(table: RoutingTable<number>, times: number, path: string): number {
  let sum = 0
  for (let time = 0; time < times; time++) sum += matchRoute(table, asked[time & 1023]!, path)!
  return sum
}

function unknown(table: RoutingTable<number>, times: number): number {
  let sum = 0
  for (let time = 0; time < times; time++) if (matchRoute(table, `nobody-${time & 1023}.example.net`, '/') !== undefined) sum++
  return sum
}

function paths(times: number): number {
  let sum = 0
  for (let time = 0; time < times; time++) sum += normalisePath('/static/assets/js/app.js')!.length
  return sum
}

const builders: TableBuilder<number>[] = []

function compile(times: number): unknown {
  let builder = builders[0]
  if (builder === undefined) {
    builders.push((builder = new TableBuilder<number>()))
    for (let index = 0; index < SERVICES; index++) builder.set(`s${index}`, entriesOf(hosts[index]!, index))
    builder.finish()
  }
  let table: unknown
  for (let time = 0; time < times; time++) {
    const from = (time * SLICE) % SERVICES
    for (let index = from; index < from + SLICE; index++) builder.set(`s${index}`, entriesOf(hosts[index]!, time))
    table = builder.finish()
  }
  return table
}
