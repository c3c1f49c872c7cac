// Fuzzing between peers that keep the protocol, Node's own on both sides, in each pair of protocols, with and without TLS: what arrives is what was sent, or an error.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { makeFolder } from '#test/support/folder.ts'
import { authority, startHttps } from '#test/support/https.ts'
import type { Serai } from '#test/support/serai.ts'
import { until, within } from '#test/support/until.ts'
import { reset, type Seen } from './flow.ts'
import { octetsOf, rounds, trailersOf, type Plan, type Round, type ServiceKind } from './plans.ts'
import { startPlannedClient } from './planned-client.ts'
import { startPlannedService, type PlannedService } from './planned-service.ts'
import { startRelay } from './relay.ts'

export interface PlannedResult {
  readonly exchanges: number
  readonly tunnels: number
  /** Of both: those that came to their end in good order for the client, and those that nothing was to disturb. */
  readonly whole: number
  readonly undisturbed: number
  /** Octets that arrived, at either side. */
  readonly octets: number
}

const AT_ONCE = 4
const END_MS = 30_000
const schemes: Readonly<Record<ServiceKind, string>> = { h1: 'http', 'h1-tls': 'https', h2c: 'h2c', h2: 'h2' }
const kinds = Object.keys(schemes) as ServiceKind[]
const gauges = ['serai_exchanges', 'serai_tunnels', 'serai_connections', 'serai_requests_in_flight', 'serai_body_buffer_bytes', 'serai_upstream_connections{state="active"}', 'serai_internal_errors_total']

/** Runs `count` rounds; throws with the seed and the round when something is wrong. `only`: this one alone. */
export async function fuzzPlanned(seed: number, count: number, only?: number): Promise<PlannedResult> {
  await using started = new AsyncDisposableStack()
  const plans = new Map<string, Plan>()
  const services = new Map<string, PlannedService>()
  const [settings] = fc.sample(fc.record({ initialWindowSize: fc.constantFrom(16_384, 65_535, 65_536, 200_000), maxFrameSize: fc.constantFrom(16_384, 16_385, 100_000) }), { seed, numRuns: 1 })
  const certificate = authority.issue(['*.example.org'])
  for (const kind of kinds) for (const name of [kind, `${kind}-fragile`]) services.set(name, started.use(await startPlannedService(kind, { plans, certificate, settings: settings! })))
  const folder = started.use(await makeFolder())
  const { serai, port } = started.use(await startHttps({
    certificates: { a: authority.issue(['*.example.org']) },
    services: [...services].map(([name, { address }]) => ({ name, tags: [`serai.host=${name}.example.org`, `serai.scheme=${schemes[name.replace('-fragile', '') as ServiceKind]}`], instances: [address] })),
    listeners: { http: { address: '127.0.0.1:0', h2c: true } },
    config: { log: { level: 'info' }, upstream: { ca: await folder.write('ca.pem', authority.ca), queueTime: '20s' }, defaults: { eject: { failures: 1000 } } },
  }))
  const inputs = fc.sample(rounds, { seed, numRuns: count })
  const result = { exchanges: 0, tunnels: 0, whole: 0, undisturbed: 0, octets: 0 }
  const runAll = async (from: number): Promise<void> => {
    for (let at = from; at < inputs.length; at += AT_ONCE) {
      if (only !== undefined && at !== only) continue
      try {
        await runRound(inputs[at]!, `${seed}-${at}`, { serai, securePort: port, plans, services, result })
      } catch (error) {
        throw new Error(`seed ${seed}, round ${at}: ${JSON.stringify({ ...inputs[at], plans: undefined })}`, { cause: error })
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => runAll(index)))
  assert.deepEqual(serai.logs.filter(({ level }) => level === 'error' || level === 'fatal'), [], `seed ${seed}: Serai said nothing of errors`)
  assert.deepEqual([...services.values()].flatMap(({ strangers }) => strangers), [], `seed ${seed}: no request that nobody made`)
  await nothingLeft(serai, seed)
  return result
}

async function nothingLeft(serai: Serai, seed: number): Promise<void> {
  let text = ''
  const sum = (name: string): number => text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`)).reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
  const left = (): string[] => gauges.filter((name) => sum(name) !== 0)
  await until(async () => {
    text = String((await serai.ask('/metrics')).body)
    return left().length === 0
  }, { what: `nothing left over, seed ${seed}` }).catch((error: unknown) => { throw new Error(`left over: ${left().map((name) => `${name} ${sum(name)}`).join(', ')}`, { cause: error }) })
}

interface Field {
  readonly serai: Serai
  readonly securePort: number
  readonly plans: Map<string, Plan>
  readonly services: ReadonlyMap<string, PlannedService>
  readonly result: { -readonly [name in keyof PlannedResult]: number }
}

async function runRound(given: Round, name: string, { serai, securePort, plans, services, result }: Field): Promise<void> {
  const round = withoutBlindTunnels(given)
  const service = services.get(round.fragile ? `${round.service}-fragile` : round.service)!
  const host = `${round.service}${round.fragile ? '-fragile' : ''}.example.org`
  let closeNotify = (): void => undefined
  await using relay = await startRelay(round.tls === undefined ? serai.port : securePort, {
    cuts: round.cuts,
    kill: round.kill && {
      after: round.kill.after,
      act(socket) {
        if (round.kill?.how === 'fin') socket.end()
        else if (round.kill?.how === 'reset') reset(socket)
        else closeNotify()
      },
    },
  })
  const disturbed = round.fragile || round.kill !== undefined
  {
    await using client = startPlannedClient(round, relay.port)
    closeNotify = () => client.closeNotify()
    await Promise.all(round.plans.map(async (plan, index) => {
      const serial = `${name}-${index}`
      plans.set(serial, plan)
      const shown = (side: string): string => `${serial} at the ${side}: ${JSON.stringify(plan)}, logged as ${JSON.stringify(serai.accessLog.filter(({ path }) => path === `/${serial}`))}`
      const atClient = await within(client.ask(plan, serial, host), END_MS, () => `an end of ${shown('client')}`)
      const atService = await within(Promise.all(service.seen.get(serial) ?? []), END_MS, () => `an end of ${shown('service')}`)
      check(plan, serial, disturbed, atClient, atService, shown)
      result[plan.kind === 'tunnel' ? 'tunnels' : 'exchanges']++
      if (atClient.whole) result.whole++
      if (!disturbed && isUndisturbed(plan)) result.undisturbed++
      result.octets += atClient.octets.length + atService.reduce((sum, { octets }) => sum + octets.length, 0)
    }))
  }
  await until(() => relay.open === 0, { what: 'the end of all connections' })
}

/**
 * Tunnels through TLS of HTTP/1.1 are left out: there Node's sockets tell a cut from an end no more. In the clear a FIN is the end of a tunnel, so HTTP/1.1 is cut by resets.
 */
function withoutBlindTunnels(round: Round): Round {
  const closed = (round.client === 'h1' && round.tls !== undefined) || round.service === 'h1-tls'
  const plain = round.client === 'h1' && round.tls === undefined
  return {
    ...round,
    kill: round.kill && { ...round.kill, how: plain ? 'reset' : round.kill.how },
    plans: round.plans.filter(({ kind }) => !closed || kind === 'exchange').map((plan) => ({ ...plan, cutsAll: plan.cutsAll && round.fragile })),
  }
}

/** Neither side gives up, and the service reads the request. */
const isUndisturbed = ({ up, down, leaves, answers }: Plan): boolean => up.stop === undefined && down.stop === undefined && leaves === undefined && answers !== 'instead'

function check(plan: Plan, serial: string, disturbed: boolean, atClient: Seen, atService: readonly Seen[], shown: (side: string) => string): void {
  const certain = !disturbed && isUndisturbed(plan)
  const own = atClient.serial !== undefined
  const saw = ({ status, whole, octets, interim, trailers, why }: Seen): string => JSON.stringify({ status, whole, octets: octets.length, interim, trailers, why })
  const both = `client saw ${saw(atClient)}, service saw ${atService.map(saw).join(' and ')}; `
  if (own) {
    assert.equal(atClient.serial, serial, `the own answer: ${both}${shown('client')}`)
    held(plan, 'down', serial, atClient, certain, both + shown('client'))
    assert.equal(atClient.status, plan.kind === 'exchange' ? plan.status : atClient.status === 101 ? 101 : 200, both + shown('client'))
    if (certain) assert.deepEqual(atClient.interim, Array.from({ length: plan.hints }, () => 103), both + shown('client'))
  } else assert.ok(!certain && (atClient.status === 0 || atClient.status >= 400), `an answer of the service: ${both}${shown('client')}`)
  if (certain) assert.equal(atService.length, 1, `once: ${both}${shown('service')}`)
  for (const each of atService) held(plan, 'up', serial, each, certain, both + shown('service'))
}

/** What arrived of a flow is its beginning, and all of it where its end came; where nothing disturbs it (`certain`), it came. */
function held(plan: Plan, direction: 'up' | 'down', serial: string, seen: Seen, certain: boolean, shown: string): void {
  const flow = plan[direction]
  const sent = octetsOf(serial, direction, flow)
  assert.ok(sent.subarray(0, seen.octets.length).equals(seen.octets), `what was sent, as far as it came: ${shown}`)
  if (certain) assert.ok(seen.whole, `an end in good order: ${shown}`)
  if (!seen.whole) return
  assert.equal(seen.octets.length, sent.length, `no end of less: ${shown}`)
  assert.ok(flow.stop === undefined || flow.announced, `no end where none was sent: ${shown}`)
  assert.equal(seen.trailers, trailersOf(serial, flow)['x-sum'], `the trailers: ${shown}`)
}
