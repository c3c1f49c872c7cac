// How the instances of services stand, those that get no requests included: what the admin API shows of them. Pure.
import type { ServiceKey } from '#src/snapshot.ts'
import type { Carrier } from './carriers.ts'
import type { ServiceDraft } from './service-drafts.ts'
import type { Standing } from './views.ts'

type Drafts = ReadonlyMap<ServiceKey, ServiceDraft>

const isOut = ({ ready, reserve }: Carrier): boolean => !ready && reserve === undefined

/** By service, each instance that carries one of its routes, once. */
export function standingsOf(drafts: Drafts): ReadonlyMap<ServiceKey, readonly Standing[]> {
  return new Map(Array.from(drafts.values(), ({ key, forms }) => {
    const carriers = new Map(forms.flatMap(({ carriers: own }) => own).map((carrier) => [carrier.instance.id, carrier]))
    return [key, Array.from(carriers.values(), (carrier): Standing => {
      const { address, tags, instance: { health, why = '', since } } = carrier
      return { address, weight: tags.service.weight ?? 100, health, why, since, out: isOut(carrier) }
    })]
  }))
}

/** By service and match, the addresses of instances that carry the route and get no requests of it. */
export function waitingOf(drafts: Drafts): ReadonlyMap<ServiceKey, ReadonlyMap<string, readonly string[]>> {
  return new Map(Array.from(drafts.values(), ({ key, forms }) =>
    [key, new Map(forms.map(({ id, carriers }) => [id, [...new Set(carriers.filter(isOut).map(({ address }) => address))].sort()]))]))
}
