// What an exchange leaves behind: its access-log line and its counts.
import { accessLine, clientText, routeText, type AccessRecord } from '#src/observe/access-record.ts'
import { AccessBatch, createSlabs, slabFlags } from '#src/observe/access-batch.ts'
import { countExchange, SERVICE_CELLS, WORKER_CELLS } from '#src/observe/counters.ts'
import { NOT_GRPC } from '#src/observe/grpc-status.ts'
import { flat } from '#src/proxy/flat.ts'
import type { Case } from './measure.ts'

const userAgent = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
const record: AccessRecord = {
  from: flat(clientText({ client: '203.0.113.9', peer: '203.0.113.9', scheme: 'http', protocol: 'HTTP/1.1', host: 'h500.example.org', userAgent })),
  to: flat(routeText('s500@file/default', 'default')),
  durationMs: 1.2345678, upstreamMs: 0.987654, method: 'GET', path: '/assets/app.js', query: '?v=20260101', status: 200, grpcStatus: NOT_GRPC, reason: '', failure: '', bytesIn: 0, bytesOut: 66,
  endpoint: '10.0.0.1:8080', tried: [], requestId: '0123456789ab0000000001',
}

export const cases: readonly Case[] = [
  { name: 'access-log line', run: lines },
  { name: 'adding an access-log line to its batch', run: batches },
  { name: 'counters of an exchange', run: counts },
]

function lines(times: number): number {
  let sum = 0
  for (let time = 0; time < times; time++) sum += accessLine(record, '2026-01-01T00:00:00.000Z').length
  return sum
}

/** Handed on to nobody: what is left is the copying of lines. */
function batches(times: number): number {
  const counters = new Float64Array(WORKER_CELLS)
  const memory = createSlabs()
  const flags = slabFlags(memory)
  let sum = 0
  const batch = new AccessBatch(counters, memory, (slab, bytes) => {
    sum += bytes
    flags[slab] = 0
  })
  const line = accessLine(record, '2026-01-01T00:00:00.000Z')
  for (let time = 0; time < times; time++) batch.add(line)
  batch.finish()
  return sum
}

function counts(times: number): number {
  const cells = new Float64Array(new SharedArrayBuffer(SERVICE_CELLS * 8))
  for (let time = 0; time < times; time++) countExchange(cells, 200, 0.0012, 0, 66)
  return cells[0]!
}
