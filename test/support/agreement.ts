// When an answer agrees with a recorded one of a real Nomad: same status, headers and keys, null or absent alike, same values where they are not of the moment.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { NomadAnswer } from './nomad-client.ts'

export interface Recording {
  readonly request: { readonly method: string; readonly path: string; readonly socket?: string }
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: unknown }
  readonly note: string
}

const folder = new URL('../fixtures/nomad/', import.meta.url)

/** A recorded exchange of test/fixtures/nomad: `01-register/02-service.json`. */
export function readRecording(name: string): Recording {
  return JSON.parse(readFileSync(fileURLToPath(new URL(name, folder)), 'utf8')) as Recording
}

/** A file that lists exchanges. */
export function readRecordings(name: string): readonly Recording[] {
  return JSON.parse(readFileSync(fileURLToPath(new URL(name, folder)), 'utf8')) as readonly Recording[]
}

/** Of the moment, of the machine or of the order of things: only their type is compared. */
const volatile = new Set([
  'ID', 'AllocID', 'NodeID', 'EvalID', 'FollowupEvalID', 'DeploymentID', 'PreviousAllocation', 'NextAllocation', 'SigningKeyID', 'IdentitySigningKeyID', 'PlacedCanaries', 'AccessorID', 'SecretID', 'Hash', 'Key',
  'CreateIndex', 'ModifyIndex', 'AllocModifyIndex', 'JobModifyIndex', 'JobSpecModifyIndex', 'JobCreateIndex', 'LastAllocUpdateIndex', 'LastMissedHeartbeatIndex', 'Index', 'EvalCreateIndex',
  'CreateTime', 'ModifyTime', 'SubmitTime', 'Timestamp', 'Time', 'StartedAt', 'FinishedAt', 'LastRestart', 'RequireProgressBy', 'UpdateTime', 'StatusUpdatedAt', 'ExpirationTime',
  'Port', 'Value', 'Address', 'IP', 'CIDR', 'Family', 'HTTPAddr', 'NodeName', 'AllocationTime', 'NormScore', 'NodesEvaluated', 'NodesInPool', 'Name', 'Version',
  'Interval', 'Timeout', 'MinHealthyTime', 'HealthyDeadline', 'ProgressDeadline', 'Delay', 'DelayFunction', 'Grace', 'ShutdownDelay', 'KillTimeout', 'StartDelay', 'Attempts', 'Restarts', 'Stable', 'HealthCheck',
  'CPU', 'CpuShares', 'MemoryMB', 'MemoryMaxMB', 'DiskMB', 'TotalCpuCores', 'Output', 'DisplayMessage', 'RestartReason', 'Message', 'NodeMaxAllocs', 'ComputedClass', 'HealthDescription', 'Driver', 'ExitCode', 'Signal', 'FailsTask',
])

/** Which events a task has had, and which networks a node has, is of the moment too; each is compared with one of its kind. */
const ofTheMoment = new Set(['Events', 'Networks', 'NodeNetworks', 'ReservableCpuCores', 'args'])

/** Maps whose keys are of the machine or of the moment: their values are compared with each other, if they are objects. */
const free = new Set(['Attributes', 'Meta', 'Details', 'Scores', 'Env', 'Config', 'Drivers', 'Topology', 'ReservableCpuCores', 'NodesAvailable'])

/** Fails unless the answer agrees with the recording. `ours`: recorded text → what stands for it here, such as ids. */
export function agrees(answer: NomadAnswer, { response }: Recording, ours: ReadonlyMap<string, string> = new Map()): void {
  assert.equal(answer.status, response.status, `status of ${JSON.stringify(answer.body)}`)
  assert.deepEqual(headersOf(answer.headers), headersOf(new Headers(response.headers)))
  let written = JSON.stringify(response.body)
  for (const [recorded, own] of ours) written = written.replaceAll(recorded, own)
  assertAgrees(answer.body, JSON.parse(written), '')
}

/** Fails unless every key of ours is recorded, with the same kind of value; others may be missing. */
export function assertPartOf(actual: unknown, recorded: unknown, path = ''): void {
  assert.equal(kindOf(actual), kindOf(recorded), path)
  if (!isObject(actual) || !isObject(recorded)) return
  for (const [name, value] of Object.entries(actual)) assertPartOf(value, recorded[name], `${path}.${name}`)
}

/** Content-Length and Transfer-Encoding depend on the size, the index on the moment. */
function headersOf(headers: Headers): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of headers) {
    if (['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'].includes(name)) continue
    kept[name] = name === 'x-nomad-index' ? (value === '0' ? '0' : 'a number') : name === 'x-nomad-nexttoken' ? 'a token' : value
  }
  return kept
}

/** Compares two values of JSON; `path` says where we are. */
export function assertAgrees(actual: unknown, recorded: unknown, path: string): void {
  // An element of a list is named by the list.
  const key = path.split('.').findLast((part) => part !== '') ?? ''
  assert.equal(kindOf(actual), kindOf(recorded), `${path}: ${JSON.stringify(actual)?.slice(0, 200)} for ${JSON.stringify(recorded)?.slice(0, 200)}`)
  if (Array.isArray(actual) && Array.isArray(recorded)) compareLists(actual, recorded, path, key)
  else if (isObject(actual) && isObject(recorded)) compareObjects(actual, recorded, path, key)
  else if (!volatile.has(key) && !path.endsWith('.Job.Status') && !insideFree(path)) assert.deepEqual(actual, recorded, path)
}

function compareLists(actual: readonly unknown[], recorded: readonly unknown[], path: string, key: string): void {
  if (key === 'Tags' || key === 'Policies') {
    assert.deepEqual(new Set(actual), new Set(recorded), path)
    return
  }
  if (!ofTheMoment.has(key)) assert.equal(actual.length, recorded.length, `${path}: number of elements`)
  const ordered = (list: readonly unknown[]): readonly unknown[] => list.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1))
  const [mine, theirs] = [ordered(actual), ordered(recorded)]
  for (const [at, element] of mine.entries()) {
    const like = ofTheMoment.has(key) ? oneOfItsKind(element, theirs) : theirs[Math.min(at, theirs.length - 1)]
    if (like !== undefined) assertAgrees(element, like, `${path}.`)
  }
}

function compareObjects(actual: Readonly<Record<string, unknown>>, recorded: Readonly<Record<string, unknown>>, path: string, key: string): void {
  const checks = Object.keys(recorded).every((name) => /^[0-9a-f]{64}$/.test(name)) && Object.keys(recorded).length > 0
  if (checks || free.has(key)) {
    const [like] = Object.values(recorded)
    for (const value of Object.values(actual)) if (isObject(value) && isObject(like)) assertAgrees(value, like, `${path}.`)
    return
  }
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(recorded).sort(), `${path}: keys`)
  for (const [name, value] of Object.entries(actual)) assertAgrees(value, recorded[name], `${path}.${name}`)
}

const insideFree = (path: string): boolean => path.split('.').some((part) => free.has(part))

/** What lists are sorted by before they are compared: names first. */
function rank(element: unknown): string {
  if (!isObject(element)) return JSON.stringify(element)
  return [element['Namespace'], element['ServiceName'], element['Type'], element['Name'], element['Label'], element['Mode'], element['Tags']].map((value) => (typeof value === 'string' ? value : JSON.stringify(value ?? ''))).join('\0')
}

/** A recorded element of the same kind, or any with the kind of ours. */
function oneOfItsKind(element: unknown, recorded: readonly unknown[]): unknown {
  const [any] = recorded
  const same = recorded.find((other) => kindOfElement(other) === kindOfElement(element))
  return same ?? (isObject(any) && isObject(element) && 'Type' in any ? { ...any, Type: element['Type'] } : any)
}

/** By what an event or a network is told from others. */
const kindOfElement = (element: unknown): unknown => (isObject(element) ? element['Device'] ?? element['Type'] : undefined)

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)
