// Makes instances and problems of services, each anew only when something of it has changed.
import type { Instance, Problem } from '#src/catalog/catalog.ts'
import type { AddressPolicy } from '#src/upstream/address-policy.ts'
import type { Gate } from './gate.ts'
import type { KnownService, ServiceId } from './known-services.ts'
import { instanceOf, placeOf, whereOf } from './meaning.ts'
import type { Place } from './meaning.ts'
import type { NodeReader } from './node-reader.ts'
import type { Registration } from './registration.ts'
import type { VanishedInstances } from './vanished-instances.ts'

export interface Made {
  readonly instances: readonly Instance[]
  readonly problems: readonly Problem[]
}

interface Remembered extends Made {
  readonly of: KnownService
  readonly unsure: boolean
  /** Those that are registered. */
  readonly registered: readonly Instance[]
}

export interface InstanceMakerOptions {
  readonly gate: Gate
  readonly nodes: NodeReader
  readonly policy: AddressPolicy
  readonly vanished: VanishedInstances
  /** What was not known of the service's nodes is known now. */
  onChange(id: ServiceId): void
}

export class InstanceMaker {
  readonly #options: InstanceMakerOptions
  readonly #made = new Map<ServiceId, Remembered>()
  readonly #changed = new Set<ServiceId>()

  constructor(options: InstanceMakerOptions) {
    this.#options = options
  }

  /** Something of the service has changed that it does not hold itself. */
  touch(id: ServiceId): void {
    this.#changed.add(id)
  }

  /** Forgets the services that are known no more. */
  forgetOthers(isKnown: (id: ServiceId) => boolean): void {
    for (const [id, { registered }] of this.#made) {
      if (isKnown(id)) continue
      for (const instance of registered) this.#leave(id, instance)
      this.#made.delete(id)
      this.#changed.delete(id)
    }
  }

  /** `unsure`: the registry cannot confirm the service at the moment. */
  make(known: KnownService, unsure: boolean): Made {
    const before = this.#made.get(known.id)
    if (before?.of === known && before.unsure === unsure && !this.#changed.has(known.id)) return before
    this.#changed.delete(known.id)
    const problems: Problem[] = []
    const instances: Instance[] = []
    for (const registration of known.registrations ?? []) this.#add(registration, unsure, known, instances, problems)
    for (const registration of known.held) this.#add(registration, true, known, instances, problems)
    const ids = new Set(instances.map(({ id }) => id))
    for (const instance of before?.registered ?? []) if (!ids.has(instance.id)) this.#leave(known.id, instance)
    const made = { of: known, unsure, registered: instances, instances: [...instances, ...this.#options.vanished.of(known.id)], problems }
    this.#made.set(known.id, made)
    return made
  }

  #add(registration: Registration, unsure: boolean, known: KnownService, instances: Instance[], problems: Problem[]): void {
    const place = this.#place(registration, known.id)
    if (place.kind === 'refused') {
      problems.push({ service: `${known.name}@nomad/${known.namespace}`, router: '', tag: '', reason: place.reason, where: whereOf(registration) })
    } else if (place.kind === 'at') {
      const { host, port } = place
      this.#options.vanished.registered(registration.id, host, port)
      instances.push(instanceOf(registration, place, this.#options.gate.follow({ registration, host, port }), unsure))
    }
  }

  #leave(service: ServiceId, instance: Instance): void {
    this.#options.gate.forget(instance.id)
    this.#options.vanished.keep(service, instance)
  }

  #place(registration: Registration, id: ServiceId): Place {
    const { policy, nodes, onChange } = this.#options
    const place = placeOf(registration, undefined, policy)
    if (place.kind !== 'node') return place
    const node = nodes.get(registration.node, () => { onChange(id) })
    return node === undefined ? place : placeOf(registration, node, policy)
  }
}
