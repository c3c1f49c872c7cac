// Choosing the endpoint of an attempt: the policy over the healthy ones, then over ever doubtful ones.
import { isAvailable, type Balancer, type PickContext } from './balance.ts'
import type { Target, TargetSet } from './target.ts'

/**
 * One target that the exchange has not tried, or undefined. Each step is asked only when the one before found nothing:
 * healthy ones; those that failed to connect a moment ago or start slowly; those of weight 0; with `panic`, the ejected ones and those whose
 * checks fail; the last resort, but for what refused a connection a moment ago.
 */
export function pick(balancer: Balancer, set: TargetSet, context: PickContext, panic: boolean): Target | undefined {
  const healthy = balancer(set, context)
  if (healthy !== undefined) return healthy
  const lenient: PickContext = { ...context, health: 'lenient' }
  const found = balancer(set, lenient) ?? spare(set, lenient)
  if (found !== undefined) return found
  return (panic ? any(balancer, set.panic ?? set, { ...context, health: 'panic' }) : undefined)
    ?? (set.last === null ? undefined : any(balancer, set.last, { ...context, health: 'last' }))
}

const any = (balancer: Balancer, set: TargetSet, context: PickContext): Target | undefined => balancer(set, context) ?? spare(set, context)

/** Weight 0 takes no traffic while another endpoint is left. */
function spare(set: TargetSet, context: PickContext): Target | undefined {
  return set.targets.find((target) => target.weight === 0 && isAvailable({ ...target, weight: 1 }, context))
}
