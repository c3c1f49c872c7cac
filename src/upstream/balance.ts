// The balancing policies: each picks one target of those that are available; small functions behind one signature.
import type { BalancePolicy } from '#src/snapshot.ts'
import type { Endpoint } from './endpoint.ts'
import { hash32, mix } from './hash.ts'
import type { Target, TargetSet } from './target.ts'

/** What a pick may know of the request and of the moment. */
export interface PickContext {
  /** Milliseconds, the worker's clock. */
  readonly now: number
  readonly random: () => number
  /** Endpoints that this exchange has tried. */
  readonly tried: readonly Endpoint[]
  /** How long an endpoint grows to its full share after an ejection; 0: at once. */
  readonly slowStartMs: number
  /** What is left out: `strict` all that is doubtful, `lenient` only what is ejected, `panic` nothing, `last` what failed to connect a moment ago. */
  readonly health: 'strict' | 'lenient' | 'panic' | 'last'
  /** What `hash:…` hashes; '' when the request does not have it. */
  readonly hashKey: string
}

export type Balancer = (set: TargetSet, context: PickContext) => Target | undefined

/** The policy's function. */
export function balancerOf(policy: BalancePolicy): Balancer {
  if (policy.startsWith('hash:')) return boundedHash
  return policy === 'rr' ? roundRobin : policy === 'least' ? least : p2c
}

/** Whether a target may be picked at all. */
export function isAvailable(target: Target, context: PickContext): boolean {
  const { endpoint } = target
  if (target.weight <= 0 || context.tried.includes(endpoint)) return false
  if (context.health === 'panic') return true
  if (context.health === 'last') return endpoint.avoidUntil <= context.now
  if (endpoint.ejectedUntil > context.now) return false
  if (context.health === 'lenient') return true
  if (endpoint.avoidUntil > context.now) return false
  return endpoint.slowStartFrom === 0 || context.random() < share(endpoint, context)
}

/** The part of its traffic that an endpoint takes while it starts slowly: from a tenth to all of it. */
function share(endpoint: Endpoint, { now, slowStartMs }: PickContext): number {
  const part = slowStartMs === 0 ? 1 : (now - endpoint.slowStartFrom) / slowStartMs
  if (part >= 1) endpoint.slowStartFrom = 0
  return Math.max(0.1, part)
}

/** Power of two choices on exchanges in flight. */
export const p2c: Balancer = (set, context) => {
  const first = sample(set, context, undefined)
  if (first === undefined) return undefined
  const second = sample(set, context, first)
  return second !== undefined && hasMoreRoom(second, first) ? second : first
}

/**
 * Whether `target` is less loaded than `than`, for its weight. With unlike weights it has to stay so after the change too:
 * else a canary of 5 % would get 10 %.
 */
function hasMoreRoom(target: Target, than: Target): boolean {
  const [own, other] = [target.endpoint.inFlight, than.endpoint.inFlight]
  return target.weight === than.weight ? own < other : (own + 1) * than.weight < other * target.weight
}

/** One of the available targets but `except`, each as often as its weight says. */
function sample(set: TargetSet, context: PickContext, except: Target | undefined): Target | undefined {
  const { targets } = set
  if (set.uniform) {
    const at = Math.floor(context.random() * targets.length)
    const target = targets[at] === except ? targets[(at + 1) % targets.length] : targets[at]
    if (target !== undefined && target !== except && isAvailable(target, context)) return target
  }
  // The usual case above fails only when an endpoint is left out: then the weights of the others decide.
  let best: Target | undefined
  let total = 0
  for (const target of targets) {
    if (target === except || !isAvailable(target, context)) continue
    total += target.weight
    if (context.random() * total < target.weight) best = target
  }
  return best
}

/** Smooth weighted round-robin: spreads a heavy target's turns evenly. */
export const roundRobin: Balancer = (set, context) => {
  let best: Target | undefined
  let total = 0
  for (const target of set.targets) {
    if (!isAvailable(target, context)) continue
    total += target.weight
    target.current += target.weight
    if (best === undefined || target.current > best.current) best = target
  }
  if (best !== undefined) best.current -= total
  return best
}

/** The fewest exchanges in flight for its weight; among equals, each as often as its weight says. */
export const least: Balancer = (set, context) => {
  let best = sample(set, context, undefined)
  if (best === undefined) return undefined
  const { targets } = set
  const start = Math.floor(context.random() * targets.length)
  for (let at = 0; at < targets.length; at++) {
    const target = targets[(start + at) % targets.length]!
    if (target !== best && hasMoreRoom(target, best) && isAvailable(target, context)) best = target
  }
  return best
}

/** An endpoint may have this much more than the mean of exchanges in flight before `hash` goes on to the next. */
const BOUND = 1.25

/**
 * Weighted rendezvous hashing with bounded load: a key stays with its endpoint while it has room,
 * and a change of the set moves only the keys of what came or went. Requests without a key are spread as by `p2c`.
 */
export const boundedHash: Balancer = (set, context) => {
  if (context.hashKey === '') return p2c(set, context)
  const key = hash32(context.hashKey)
  let available = 0
  let inFlight = 1
  for (const target of set.targets) {
    if (!isAvailable(target, context)) continue
    available += target.weight
    inFlight += target.endpoint.inFlight
  }
  let best: Target | undefined
  let bestScore = -1
  let fallback: Target | undefined
  let fallbackScore = -1
  for (const target of set.targets) {
    if (!isAvailable(target, context)) continue
    const score = target.weight / -Math.log(mix(key ^ target.seed))
    if (score > fallbackScore) {
      fallback = target
      fallbackScore = score
    }
    const room = Math.ceil((BOUND * inFlight * target.weight) / available)
    if (score > bestScore && target.endpoint.inFlight < room) {
      best = target
      bestScore = score
    }
  }
  return best ?? fallback
}
