// The weights of a service's endpoints: as tags say, or as the shares of its traffic ask for. Pure.
import type { Carrier } from './carriers.ts'

/** Of instances that name neither. */
const NORMAL = 100
/** Shares become weights of this sum, so that the smallest one is still a number. */
const SUM = 10_000

/**
 * By address. A share is of the whole traffic, for all ready instances that carry it together; among them, and among those without one, weights divide.
 * Where only instances with shares are ready, they have all.
 */
export function weightsOf(carriers: readonly Carrier[]): ReadonlyMap<string, number> {
  const own = ({ tags }: Carrier): number => tags.service.weight ?? NORMAL
  // Of several at one address the newest ready one counts, and carriers come newest first.
  const counting = new Map([...carriers].reverse().sort((a, b) => Number(a.ready) - Number(b.ready)).map((carrier) => [carrier.address, carrier]))
  const ready = [...counting.values()].filter((carrier) => carrier.ready)
  const weights = new Map(Array.from(counting, ([address, carrier]) => [address, own(carrier)]))
  const shared = Map.groupBy(ready.filter(({ tags }) => tags.service.share !== undefined), ({ tags }) => tags.service.share!)
  if (shared.size === 0) return weights
  const spread = (members: readonly Carrier[], percent: number): void => {
    const sum = members.reduce((total, carrier) => total + own(carrier), 0)
    for (const carrier of members) weights.set(carrier.address, sum === 0 ? 0 : Math.round((SUM * percent * own(carrier)) / sum) / 100)
  }
  for (const [percent, members] of shared) spread(members, percent)
  const taken = [...shared.keys()].reduce((total, percent) => total + percent, 0)
  spread(ready.filter(({ tags }) => tags.service.share === undefined), Math.max(0, 100 - taken))
  return weights
}
