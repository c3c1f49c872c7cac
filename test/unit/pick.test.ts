// From healthy endpoints to ever more doubtful ones: each step is asked only when the one before found nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { p2c, type PickContext } from '#src/upstream/balance.ts'
import { Endpoint } from '#src/upstream/endpoint.ts'
import { pick } from '#src/upstream/pick.ts'
import { createTargetSet } from '#src/upstream/target.ts'

const NOW = 1000
interface Given {
  readonly weight?: number
  readonly is?: 'ejected' | 'avoided' | 'slow' | 'tried'
  readonly reserve?: 'panic' | 'last'
}

const cases: readonly { readonly name: string; readonly given: readonly Given[]; readonly panic?: boolean; readonly expect: number | undefined }[] = [
  { name: 'the healthy one', given: [{ is: 'ejected' }, {}, { is: 'avoided' }], expect: 1 },
  { name: 'one that failed to connect a moment ago, rather than an ejected one', given: [{ is: 'ejected' }, { is: 'avoided' }], expect: 1 },
  { name: 'one that failed to connect, rather than one of weight 0', given: [{ weight: 0 }, { is: 'avoided' }], expect: 1 },
  { name: 'weight 0 when nothing else is left', given: [{ weight: 0 }, { is: 'tried' }], expect: 0 },
  { name: 'weight 0 rather than an ejected one', given: [{ is: 'ejected' }, { weight: 0 }], expect: 1 },
  { name: 'panic: an ejected one', given: [{ is: 'ejected' }, { is: 'tried' }], expect: 0 },
  { name: 'panic: even of weight 0', given: [{ is: 'ejected', weight: 0 }], expect: 0 },
  { name: 'without panic nothing', given: [{ is: 'ejected' }, { is: 'ejected', weight: 0 }], panic: false, expect: undefined },
  { name: 'never one that was tried', given: [{ is: 'tried' }, { is: 'tried', weight: 0 }], expect: undefined },
  { name: 'one that starts slowly when it is alone', given: [{ is: 'slow' }], expect: 0 },
  { name: 'one in reserve takes nothing while another is there', given: [{ reserve: 'panic' }, { reserve: 'last' }, { is: 'avoided' }], expect: 2 },
  { name: 'panic: one whose check fails, when the others were tried', given: [{ is: 'tried' }, { reserve: 'panic' }, { reserve: 'last' }], expect: 1 },
  { name: 'panic: of weight 0 too', given: [{ reserve: 'panic', weight: 0 }, { reserve: 'last' }], expect: 0 },
  { name: 'without panic, not one whose check fails', given: [{ reserve: 'panic' }], panic: false, expect: undefined },
  { name: 'the last resort, when panic finds nothing', given: [{ is: 'tried' }, { reserve: 'panic', is: 'tried' }, { reserve: 'last' }], expect: 2 },
  { name: 'the last resort without panic too', given: [{ is: 'ejected' }, { reserve: 'last' }], panic: false, expect: 1 },
  { name: 'not the last resort that refused a moment ago', given: [{ reserve: 'last', is: 'avoided' }], expect: undefined },
  { name: 'nothing of nothing', given: [], expect: undefined },
]

for (const { name, given, panic = true, expect } of cases) {
  test(name, () => {
    const tried: Endpoint[] = []
    const members = given.map(({ weight = 100, is, reserve }, port) => {
      const endpoint = new Endpoint(`http://h:${port}`, { address: `h:${port}`, host: 'h', port, weight })
      if (is === 'tried') tried.push(endpoint)
      if (is === 'ejected') endpoint.ejectedUntil = NOW + 1
      if (is === 'avoided') endpoint.avoidUntil = NOW + 1
      if (is === 'slow') endpoint.slowStartFrom = NOW
      return { endpoint, weight, reserve }
    })
    const set = createTargetSet(members, () => 0.5)
    const context: PickContext = { now: NOW, random: () => 0.999, tried, slowStartMs: 1000, health: 'strict', hashKey: '' }
    const target = pick(p2c, set, context, panic)
    assert.equal(target === undefined ? undefined : members.findIndex(({ endpoint }) => endpoint === target.endpoint), expect)
  })
}
