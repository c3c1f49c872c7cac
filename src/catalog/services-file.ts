// Reads the text of a services file into instances and problems, each with its line. Pure.

import { isUtf8 } from 'node:buffer'
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import type { Document, Node, YAMLMap } from 'yaml'
import { nearest } from '#src/config/nearest.ts'
import { parseAddress } from './address.ts'
import type { Instance, InstanceHealth, Problem, Reading } from './catalog.ts'

/** Aliases can make a small file endless: no more values than this are looked at. */
const MAX_VALUES = 2_000_000
const MAX_SYNTAX_PROBLEMS = 20

const rootKeys = ['services']
const serviceKeys = ['name', 'namespace', 'tags', 'instances']
const instanceKeys = ['address', 'tags', 'health']
const healths: readonly InstanceHealth[] = ['passing', 'warning', 'critical', 'maintenance']
const word = /^[a-z0-9][a-z0-9._-]{0,127}$/i

/** The whole file cannot be used: its reason and place. */
class Unreadable extends Error {
  readonly where: string

  constructor(reason: string, where: string) {
    super(reason)
    this.where = where
  }
}

/** The reading that the bytes of a services file amount to. `file` is how problems name it. Never throws. */
export function readServicesFile(bytes: Buffer, file: string): Reading {
  try {
    return new Reader(bytes, file).read()
  } catch (error) {
    // What is not ours is the YAML library giving up, as on thousands of nested brackets.
    if (error instanceof Unreadable) return failed(error.message, error.where)
    const message = error instanceof Error ? error.message : String(error)
    return failed(tooDeep(message) ? 'nested too deeply' : message, file)
  }
}

/** The reading of a file that cannot be used as a whole. */
export function failed(reason: string, where: string): Reading {
  return { kind: 'failed', problems: [{ service: '@file', router: '', tag: '', reason, where }] }
}

class Reader {
  readonly #file: string
  readonly #lines = new LineCounter()
  readonly #document: Document.Parsed
  readonly #targets: ReadonlyMap<Node, Node>
  readonly #instances = new Map<string, Instance>()
  readonly #problems: Problem[] = []
  #values = 0

  constructor(bytes: Buffer, file: string) {
    this.#file = file
    const text = bytes.toString('utf8')
    if (!isUtf8(bytes)) {
      const before = text.slice(0, text.indexOf('\ufffd')).split('\n')
      throw new Unreadable('expected UTF-8', `${file}:${before.length}:${before.at(-1)!.length + 1}`)
    }
    if (text.trim() === '') throw new Unreadable('the file is empty, as while it is being written: for no services write services: []', file)
    // Repeated keys are found below: the library compares each key of a map with all others.
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false })
    this.#targets = resolveAliases(this.#document)
  }

  read(): Reading {
    const { errors, warnings, contents } = this.#document
    // The parser descends one call for each level, and tells of its end as of a syntax error.
    if (errors.some(({ message }) => tooDeep(message))) throw new Unreadable('nested too deeply', this.#file)
    if (errors.length + warnings.length > 0) {
      const problems = [...errors, ...warnings].slice(0, MAX_SYNTAX_PROBLEMS).map(({ message, pos }) => this.#problem('@file', message, pos[0]))
      return { kind: 'failed', problems }
    }
    const root = this.#keys('@file', contents ?? undefined, rootKeys, 'a map with the key services')
    const services = root?.get('services')
    if (root === undefined || !root.has('services')) throw new Unreadable('expected the key services; for no services write services: []', this.#place(contents))
    if (!isSeq(services)) throw new Unreadable('services: expected a list; for no services write services: []', this.#place(services))
    for (const item of services.items) this.#service(this.#follow(item))
    return { kind: 'read', instances: [...this.#instances.values()], problems: this.#problems }
  }

  #service(node: Node | undefined): void {
    const keys = this.#keys(nameOf(node), node, serviceKeys, 'a service: name, namespace, tags, instances')
    if (keys === undefined) return
    const name = this.#word('@file', keys, 'name', node)
    const namespace = keys.has('namespace') ? this.#word('@file', keys, 'namespace', node) : 'default'
    if (name === undefined || namespace === undefined) return
    const service = `${name}@file/${namespace}`
    const tags = keys.has('tags') ? this.#tags(service, keys.get('tags'), node) : []
    const instances = keys.get('instances')
    if (!isSeq(instances)) {
      this.#tell(service, 'instances: expected a list of addresses', instances ?? node)
      return
    }
    for (const item of instances.items) this.#instance(service, name, namespace, tags, this.#follow(item))
  }

  #instance(service: string, name: string, namespace: string, serviceTags: readonly string[] | undefined, node: Node | undefined): void {
    const plain = isScalar(node)
    const keys = plain ? undefined : this.#keys(service, node, instanceKeys, 'host:port, or a map of address, tags, health')
    if (!plain && keys === undefined) return
    const written = plain ? node : keys?.get('address')
    const address = isScalar(written) && typeof written.value === 'string' ? parseAddress(written.value) : { reason: 'expected host:port, in quotes if need be' }
    if ('reason' in address) {
      this.#tell(service, `address: ${address.reason}`, written ?? node)
      return
    }
    const tags = keys?.has('tags') === true ? this.#tags(service, keys.get('tags'), node) : serviceTags
    const health = keys?.has('health') === true ? this.#health(service, keys.get('health'), node) : 'passing'
    // Without all of its tags an instance might be open where it was meant to be closed, so it is left out.
    if (tags === undefined || health === undefined) return
    const { host, port } = address
    const id = `${namespace}/${name}/${host.includes(':') ? `[${host}]` : host}:${port}`
    const first = this.#instances.get(id)
    if (first !== undefined) this.#tell(service, `${id.slice(id.lastIndexOf('/') + 1)} is there already, at ${first.where}: the first counts`, node)
    else {
      const where = `${this.#file}:${this.#lines.linePos(node?.range?.[0] ?? 0).line}`
      this.#instances.set(id, { id, service: name, namespace, host, port, tags, health, order: this.#instances.size + 1, where })
    }
  }

  #tags(service: string, node: Node | undefined, parent: Node | undefined): readonly string[] | undefined {
    const items = isSeq(node) ? node.items.map((item) => this.#follow(item)) : undefined
    const wrong = items === undefined ? (node ?? parent) : items.find((item) => !isScalar(item) || typeof item.value !== 'string')
    if (items !== undefined && wrong === undefined) return items.map((item) => (isScalar(item) ? String(item.value) : ''))
    this.#tell(service, 'tags: expected a list of texts; instances that would carry them are left out', wrong ?? parent)
    return undefined
  }

  #health(service: string, node: Node | undefined, parent: Node | undefined): InstanceHealth | undefined {
    const health = healths.find((each) => isScalar(node) && node.value === each)
    if (health === undefined) this.#tell(service, `health: expected ${healths.join(', ')}; the instance is left out`, node ?? parent)
    return health
  }

  #word(service: string, keys: ReadonlyMap<string, Node | undefined>, key: string, parent: Node | undefined): string | undefined {
    const node = keys.get(key)
    if (isScalar(node) && typeof node.value === 'string' && word.test(node.value)) return node.value
    this.#tell(service, `${key}: expected a text of letters, digits, - _ and ., at most 128 characters; the service is left out`, node ?? parent)
    return undefined
  }

  /** The values of a map by key, aliases followed; unknown and repeated keys are problems. Undefined: no map, which is told. */
  #keys(service: string, node: Node | undefined, known: readonly string[], expected: string): ReadonlyMap<string, Node | undefined> | undefined {
    if (!isMap(node)) {
      this.#tell(service, `expected ${expected}`, node ?? null)
      return undefined
    }
    const keys = new Map<string, Node | undefined>()
    for (const { key, value } of (node as YAMLMap<Node, Node | null>).items) {
      const name = isScalar(key) ? String(key.value) : ''
      if (!known.includes(name)) this.#tell(service, unknown(name, known), key)
      else if (keys.has(name)) this.#tell(service, `${name}: given twice; the first counts`, key)
      else keys.set(name, this.#follow(value))
    }
    return keys
  }

  #follow(item: unknown): Node | undefined {
    if (++this.#values > MAX_VALUES) throw new Unreadable(`more than ${MAX_VALUES} values, aliases followed`, this.#file)
    return isAlias(item) ? this.#targets.get(item) : ((item ?? undefined) as Node | undefined)
  }

  #tell(service: string, reason: string, node: Node | null | undefined): void {
    this.#problems.push(this.#problem(service, reason, node?.range?.[0] ?? 0))
  }

  #problem(service: string, reason: string, offset: number): Problem {
    return { service, router: '', tag: '', reason, where: this.#placeAt(offset) }
  }

  #place(node: Node | null | undefined): string {
    return this.#placeAt(node?.range?.[0] ?? 0)
  }

  #placeAt(offset: number): string {
    const { line, col } = this.#lines.linePos(offset)
    return `${this.#file}:${line}:${col}`
  }
}

/** What problems of a service are told of: itself, if its name can be read. */
function nameOf(node: Node | undefined): string {
  const [name, namespace] = isMap(node) ? [node.get('name'), node.get('namespace') ?? 'default'] : []
  return typeof name === 'string' && typeof namespace === 'string' && word.test(name) && word.test(namespace) ? `${name}@file/${namespace}` : '@file'
}

const tooDeep = (message: string): boolean => message.startsWith('Maximum call stack')

/** Each alias with what it stands for, in one pass (the library's own way searches the document for each). */
function resolveAliases(document: Document.Parsed): ReadonlyMap<Node, Node> {
  const anchors = new Map<string, Node>()
  const targets = new Map<Node, Node>()
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source)
        if (target !== undefined) targets.set(node, target)
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node)
    },
  })
  return targets
}

function unknown(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return `unknown key ${name}: ${near === undefined ? `expected ${known.join(', ')}` : `did you mean ${near}?`}`
}
