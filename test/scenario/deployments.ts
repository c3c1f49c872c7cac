// The measure: no request is lost in any deployment. One scenario, run on the development registry by `npm test` and on a real Nomad by `npm run test:real`.
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { TestContext } from 'node:test'
import { NomadClient } from '#test/support/nomad-client.ts'
import type { JobOptions } from '#test/support/nomad-job.ts'
import { startSerai } from '#test/support/serai.ts'
import type { Serai } from '#test/support/serai.ts'
import { DeployedJob, settled } from './deployed-job.ts'
import { describeFigures } from './ledger.ts'
import type { PhaseFigures } from './ledger.ts'
import { observe } from './observed-run.ts'
import type { ObservedRun } from './observed-run.ts'

export interface NomadUnderTest extends AsyncDisposable {
  readonly address: string
}

const CHECK_MS = 1000
/** From the first success of a check, as the client records it, to the first answer. */
const ROUTED_MS = 1000
/** From a backend that begins to fail its check to its last answer, on its own node. */
const MOVED_MS = CHECK_MS + 1000
/** So long without an answer of an instance is the end of its traffic. */
const QUIET_MS = 1500
const TIMEOUT_MS = 240_000

const FIRST = 'first deploy'
const FAILING = 'one check fails'

/** Declares the scenario's runs. They go on side by side, each with a job and clients of its own. */
export function describeDeployments(name: string, start: () => Promise<NomadUnderTest>): void {
  suite(`no request is lost in any deployment: ${name}`, { timeout: TIMEOUT_MS, concurrency: true }, () => {
    let nomad: NomadUnderTest
    let serai: Serai
    /** The shorter runs begin when the longer ones are deployed: not all instances start in the same second. */
    const shorterRuns = Promise.withResolvers<void>()
    before(async () => {
      nomad = await start()
      serai = await startSerai({ config: { workers: 2, catalogs: { nomad: { address: `http://${nomad.address}` } } } })
    }, { timeout: TIMEOUT_MS })
    after(async () => {
      await serai[Symbol.asyncDispose]()
      await nomad[Symbol.asyncDispose]()
    }, { timeout: TIMEOUT_MS })

    /** Runs phases of a job under requests, prints their table, and holds it to what is allowed. */
    const measure = async (t: TestContext, id: string, options: JobOptions, phases: (job: DeployedJob, run: ObservedRun) => Promise<void>): Promise<void> => {
      const client = new NomadClient(nomad.address)
      const host = `${id}.example.org`
      const job = new DeployedJob(client, id, { checkMs: CHECK_MS, tags: [`serai.host=${host}`], ...options })
      await using run = observe(job, { client, port: serai.port, host })
      try {
        await phases(job, run)
      } finally {
        for (const line of describeFigures(run.figures())) t.diagnostic(line)
      }
      hold(run.figures(), () => serai.accessLog.filter((record) => record['host'] === host && record['status'] !== 200).map((record) => JSON.stringify(record)))
    }

    for (const seconds of [0, 3]) {
      test(`shutdown_delay ${seconds} s: deploy, update, scale, a killed task, a failing check`, (t) =>
        measure(t, `delay${seconds}`, { groupDelayMs: seconds * 1000 }, async (job, run) => {
          await run.phase(FIRST, () => deploy(job, run, '1')).finally(() => { shorterRuns.resolve() })
          await run.phase('rolling update', () => deploy(job, run, '2'))
          await run.phase('scale to four and back to two', async () => {
            await job.scale(4)
            await job.deployed(4)
            await run.answered(4)
            await job.scale(2)
            await job.running(2)
          })
          const [first, second] = await run.answered(2)
          assert.ok(first !== undefined && second !== undefined)
          await run.phase('one task killed', async () => {
            process.kill(first.pid, 'SIGKILL')
            await run.answered(1, ({ allocation, pid }) => allocation === first.allocation && pid !== first.pid)
          })
          await run.phase(FAILING, () => failCheck(job, run, second.allocation), { routed: false })
          await run.phase('it passes again', async () => {
            await job.tell(second.allocation, '/mend')
            await run.answered(1, ({ allocation }) => allocation === second.allocation)
          })
        }))
    }

    for (const [kind, canaryTags] of [['a host of its own', ['serai.host=next.own.example.org']], ['a small weight', ['serai.host=weight.example.org', 'serai.weight=10']]] as const) {
      const id = kind === 'a small weight' ? 'weight' : 'own'
      test(`a canary with ${kind}, and its promotion`, async (t) => {
        await shorterRuns.promise
        await measure(t, id, { canaries: 1, canaryTags }, async (job, run) => {
          await run.phase(FIRST, () => deploy(job, run, '1'))
          await run.phase('a canary beside them', async () => {
            await job.run('2')
            await job.canaryHealthy()
          }, { routed: id === 'weight' })
          await run.phase('promotion', async () => {
            await job.promote()
            await job.deployed(2)
            await run.answered(2, ({ version }) => version === '2')
          })
        })
      })
    }
  })
}

/** Runs a version of the job until nothing else is left and both instances have answered. */
async function deploy(job: DeployedJob, run: ObservedRun, version: string): Promise<void> {
  await job.run(version)
  await job.deployed(2)
  await run.answered(2, (answer) => answer.version === version)
}

/** Lets the check of an instance fail, and takes the time until its traffic has moved. */
async function failCheck(job: DeployedJob, run: ObservedRun, allocation: string): Promise<void> {
  await job.tell(allocation, '/fail')
  const failedAt = performance.now()
  // Where it never moves the wait ends, and the time says so.
  await settled(() => performance.now() - Math.max(failedAt, run.lastAnswer(allocation)) > QUIET_MS || performance.now() > failedAt + 3 * MOVED_MS, 'the end of its traffic')
  run.time(FAILING, Math.max(0, run.lastAnswer(allocation) - failedAt))
}

function hold(figures: readonly PhaseFigures[], failures: () => readonly string[]): void {
  for (const { name, lost, requests, timings } of figures) {
    assert.equal(lost, 0, `${name}: ${lost} of ${requests} requests failed whose response had not begun:\n${failures().slice(-20).join('\n')}`)
    const most = Math.max(0, ...timings)
    assert.ok(most <= (name === FAILING ? MOVED_MS : ROUTED_MS), `${name}: ${name === FAILING ? 'moved' : 'routed'} after ${most} ms`)
  }
}
