// Reads the bodies of Nomad's service endpoints: what is listed, and the registrations of one service. Pure.

/** One registration of a service, as `/v1/service/:name` has it. */
export interface Registration {
  /** `_nomad-task-<allocation>-<group-…|task>-<service>-<port label>`: unique, and the same when it is registered again. */
  readonly id: string
  readonly service: string
  readonly namespace: string
  readonly node: string
  readonly job: string
  readonly allocation: string
  readonly tags: readonly string[]
  /** IP address without brackets, a name, or '': the node's. */
  readonly address: string
  /** 0: the job gave the service no port. */
  readonly port: number
  readonly createIndex: number
  readonly modifyIndex: number
}

/** A service as the list has it: its tags are those of all its instances together. */
export interface Listed {
  readonly namespace: string
  readonly name: string
  /** Sorted: the order in answers is random. */
  readonly tags: readonly string[]
}

/** `/v1/services`; undefined: that is not a list of services. */
export function readServices(body: unknown): readonly Listed[] | undefined {
  if (!Array.isArray(body)) return undefined
  const listed: Listed[] = []
  for (const each of body) {
    if (!isRecord(each) || typeof each['Namespace'] !== 'string' || !Array.isArray(each['Services'])) return undefined
    for (const service of each['Services'] as unknown[]) {
      if (!isRecord(service) || typeof service['ServiceName'] !== 'string' || service['ServiceName'] === '') return undefined
      const tags = readTags(service['Tags'])
      if (tags === undefined) return undefined
      listed.push({ namespace: each['Namespace'], name: service['ServiceName'], tags: tags.toSorted() })
    }
  }
  return listed
}

/** `/v1/service/:name`, sorted by id; undefined: that is not a list of registrations of this service. */
export function readRegistrations(body: unknown, namespace: string, name: string): readonly Registration[] | undefined {
  if (!Array.isArray(body)) return undefined
  const registrations: Registration[] = []
  for (const each of body) {
    const registration = readRegistration(each)
    if (registration?.namespace !== namespace || registration.service !== name) return undefined
    registrations.push(registration)
  }
  return registrations.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

/** One registration, also as the payload of an event. */
export function readRegistration(value: unknown): Registration | undefined {
  if (!isRecord(value)) return undefined
  const text = (name: string): string | undefined => (typeof value[name] === 'string' ? value[name] : undefined)
  const number = (name: string): number | undefined => (Number.isSafeInteger(value[name]) ? (value[name] as number) : undefined)
  const [id, service, namespace, node, job, allocation, address] = ['ID', 'ServiceName', 'Namespace', 'NodeID', 'JobID', 'AllocID', 'Address'].map(text)
  const [port, createIndex, modifyIndex] = ['Port', 'CreateIndex', 'ModifyIndex'].map(number)
  const tags = readTags(value['Tags'])
  if (id === undefined || id === '' || service === undefined || namespace === undefined || node === undefined || job === undefined || allocation === undefined) return undefined
  if (address === undefined || port === undefined || createIndex === undefined || modifyIndex === undefined || tags === undefined) return undefined
  return { id, service, namespace, node, job, allocation, tags, address, port, createIndex, modifyIndex }
}

/** In their order, which a job gave them; `null` is what Go makes of none. */
function readTags(value: unknown): readonly string[] | undefined {
  if (value === null || value === undefined) return []
  return Array.isArray(value) && value.every((tag) => typeof tag === 'string') ? value : undefined
}

/** Equal in everything that a route could depend on. */
export function sameRegistration(a: Registration, b: Registration): boolean {
  return a.id === b.id && a.createIndex === b.createIndex && a.modifyIndex === b.modifyIndex && a.address === b.address && a.port === b.port &&
    a.allocation === b.allocation && a.node === b.node && a.job === b.job && a.tags.length === b.tags.length && a.tags.every((tag, at) => tag === b.tags[at])
}

export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
