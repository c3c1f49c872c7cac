// Reads the lines of Nomad's event stream: which services and allocations an event names, and what it says of them. Pure.
import { readStatus } from './allocation-status.ts'
import type { AllocationStatus } from './allocation-status.ts'
import { isRecord, readRegistration } from './registration.ts'
import type { Registration } from './registration.ts'

/** An event is a hint to read the service that it names; `registration` is believed only until that read (known-services.ts). */
export interface ServiceHint {
  readonly index: number
  readonly namespace: string
  readonly name: string
  readonly change: 'registered' | 'deregistered' | 'unknown'
  readonly registration: Registration
}

/** What one line amounts to. `index` 0: it has none (a heartbeat). Undefined: it cannot be read. */
export interface EventLine {
  readonly index: number
  readonly hints: readonly ServiceHint[]
  /** Of allocations: believed, as far as nothing newer is known of them. */
  readonly statuses: readonly AllocationStatus[]
}

/** A heartbeat is `{}`. Topics and events that are not understood are left out: lists are the truth. */
export function readEventLine(line: string): EventLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isRecord(value)) return undefined
  const index = Number.isSafeInteger(value['Index']) ? (value['Index'] as number) : 0
  const events: readonly unknown[] = Array.isArray(value['Events']) ? value['Events'] : []
  return { index, hints: events.flatMap((event) => hintOf(event, index)), statuses: events.flatMap((event) => statusOf(event)) }
}

function hintOf(event: unknown, batchIndex: number): readonly ServiceHint[] {
  if (!isRecord(event) || event['Topic'] !== 'Service' || !isRecord(event['Payload'])) return []
  const registration = readRegistration(event['Payload']['Service'])
  if (registration === undefined) return []
  const { namespace, service: name } = registration
  const index = Number.isSafeInteger(event['Index']) ? (event['Index'] as number) : batchIndex
  // The type is that of the raft message, not of the change: a plan or an update of allocations removes, as recorded, and may one day do more.
  const change = event['Type'] === 'ServiceRegistration' ? 'registered' : event['Type'] === 'ServiceDeregistration' ? 'deregistered' : 'unknown'
  return [{ index, namespace, name, change, registration }]
}

function statusOf(event: unknown): readonly AllocationStatus[] {
  if (!isRecord(event) || event['Topic'] !== 'Allocation' || !isRecord(event['Payload'])) return []
  const status = readStatus(event['Payload']['Allocation'])
  return status === undefined ? [] : [status]
}

/** The largest line that is waited for; one event holds one registration, a batch some thousand. */
const MAX_LINE_BYTES = 16 * 1024 * 1024

/** Bytes as they come to whole lines. Throws when one has no end. */
export class LineSplitter {
  readonly #decoder = new TextDecoder()
  #rest = ''

  push(bytes: Uint8Array): readonly string[] {
    const parts = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split('\n')
    this.#rest = parts.pop() ?? ''
    if (this.#rest.length > MAX_LINE_BYTES) throw new Error(`a line of the event stream is longer than ${MAX_LINE_BYTES} bytes`)
    return parts.filter((line) => line.trim() !== '')
  }
}
