// Merges the routers that the instances of one service carry: one form for each match, with the instances that carry it.

import type { Problem } from '#src/catalog/catalog.ts'
import type { RouteMatch, RoutePolicy, ServiceKey } from '#src/snapshot.ts'
import type { Carrier } from './carriers.ts'

/** A match as some instances of a service describe it, all in the same way. */
export interface Form {
  readonly id: string
  readonly match: RouteMatch
  readonly router: string
  readonly refuse: '' | 'problem'
  readonly policy: RoutePolicy
  readonly policyId: string
  /** The newest first. */
  readonly carriers: Carrier[]
}

/** The union of all carriers' routers, no two with the same match. `carriers` are sorted, the newest first. */
export function mergeRouters(service: ServiceKey, carriers: readonly Carrier[], tell: (problem: Problem) => void): Form[] {
  const byMatch = new Map<string, Form[]>()
  for (const carrier of carriers) {
    for (const { name: router, refuse, policy, policyId, matches } of carrier.tags.routers) {
      for (const { id, match } of matches) {
        let forms = byMatch.get(id)
        if (forms === undefined) byMatch.set(id, (forms = []))
        const same = forms.find((form) => form.router === router && form.refuse === refuse && form.policyId === policyId)
        if (same === undefined) forms.push({ id, match, router, refuse, policy, policyId, carriers: [carrier] })
        else same.carriers.push(carrier)
      }
    }
  }
  return Array.from(byMatch.values(), (forms) => (forms.length === 1 ? forms[0]! : chooseForm(service, forms, tell)))
}

/**
 * The form that most ready instances carry, so that the first of a rolling update does not get all requests at once; of equals
 * the refusing, then the newest. Where a router has a readable form, its unreadable ones do not count: the last good form goes on.
 */
function chooseForm(service: ServiceKey, forms: readonly Form[], tell: (problem: Problem) => void): Form {
  const readable = new Set(forms.filter(({ refuse }) => refuse === '').map(({ router }) => router))
  const ready = (form: Form): number => form.carriers.reduce((count, carrier) => count + (carrier.ready ? 1 : 0), 0)
  const [chosen, ...others] = forms
    .filter(({ refuse, router }) => refuse === '' || !readable.has(router))
    // Forms come in the order of their newest carriers, and sorting keeps it among equals.
    .sort((a, b) => ready(b) - ready(a) || Number(a.refuse === '') - Number(b.refuse === ''))
  for (const { router, match, carriers } of others) {
    const reason = chosen!.router === router
      ? `${showMatch(match)}: other instances carry this router in another form (${ready(chosen!)} ready, first at ${chosen!.carriers[0]!.instance.where}); until all agree, these get no requests of it`
      : `${showMatch(match)} is taken by router ${chosen!.router} of the same service`
    tell({ service, router, tag: '', reason, where: carriers[0]!.instance.where })
  }
  return chosen!
}

/** A match as people write it: `a.example.org/api`, an asterisk for any host, `=` before an exact path. */
export const showMatch = ({ host, path, kind }: RouteMatch): string => `${host === '' ? '*' : host}${kind === 'exact' ? '=' : ''}${path === '/' && kind === 'prefix' && host !== '' ? '' : path}`
