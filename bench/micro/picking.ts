// Picking an endpoint out of 2, 10 and 100, by each policy.
import type { BalancePolicy } from '#src/snapshot.ts'
import { balancerOf, type PickContext } from '#src/upstream/balance.ts'
import { Endpoint } from '#src/upstream/endpoint.ts'
import { pick } from '#src/upstream/pick.ts'
import { createTargetSet } from '#src/upstream/target.ts'
import type { Case } from './measure.ts'

const policies: readonly BalancePolicy[] = ['p2c', 'rr', 'least', 'hash:ip']

export const cases: readonly Case[] = policies.flatMap((policy) => [2, 10, 100].map((size) => ({ name: `pick by ${policy} of ${size}`, run: picker(policy, size) })))

function picker(policy: BalancePolicy, size: number): Case['run'] {
  const members = Array.from({ length: size }, (_, index) => {
    const address = `10.0.0.${index}:8080`
    return { endpoint: new Endpoint(`http://${address}`, { address, host: `10.0.0.${index}`, port: 8080, weight: 100 }), weight: 100 }
  })
  const set = createTargetSet(members, Math.random)
  const balancer = balancerOf(policy)
  return (times) => {
    let last: unknown
    for (let time = 0; time < times; time++) {
      const context: PickContext = { now: time, random: Math.random, tried: [], slowStartMs: 10_000, health: 'strict', hashKey: '203.0.113.9' }
      last = pick(balancer, set, context, true)
    }
    return last
  }
}
