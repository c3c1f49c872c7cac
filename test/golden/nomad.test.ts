// Each file of golden/nomad: what a Nomad answers, step by step, and the routes, endpoints and problems that must be made of it.
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { Claim } from '#src/control/claims.ts'
import { startControl } from '#test/support/control.ts'
import type { Control } from '#test/support/control.ts'
import { makeFolder } from '#test/support/folder.ts'
import { makeNomadCatalog } from '#test/support/nomad-catalog.ts'
import { startRecordedNomad } from '#test/support/recorded-nomad.ts'
import type { Answers } from '#test/support/recorded-nomad.ts'
import { until } from '#test/support/until.ts'

interface Case {
  /** What it shows. */
  readonly about: string
  readonly claims?: readonly Claim[]
  readonly allowAddresses?: readonly string[]
  readonly steps: readonly { readonly answers: Answers; readonly expect: Shown }[]
}

interface Shown {
  readonly routes: readonly string[]
  readonly endpoints: readonly string[]
  readonly problems: readonly string[]
}

const folder = new URL('nomad/', import.meta.url)

for (const name of (await readdir(folder)).sort()) {
  const { about, claims, allowAddresses, steps } = JSON.parse(await readFile(new URL(name, folder), 'utf8')) as Case
  test(`${name.replace('.json', '')}: ${about}`, async () => {
    await using state = await makeFolder()
    await using nomad = await startRecordedNomad()
    const { client, catalog } = makeNomadCatalog(`http://${nomad.address}`, { connect: async () => Promise.resolve(''), ...(allowAddresses === undefined ? {} : { allowAddresses }) })
    nomad.step(steps[0]!.answers)
    await using control = startControl({ catalogs: [catalog], path: state.file('state'), ...(claims === undefined ? {} : { claims }) })
    for (const [at, { answers, expect }] of steps.entries()) {
      if (at > 0) nomad.step(answers)
      let shown = show(control, nomad.address)
      await until(() => {
        shown = show(control, nomad.address)
        return control.complete && isSame(shown, expect)
      }, { what: 'what is expected' }).catch(() => { assert.deepEqual(shown, expect, `step ${at + 1}`) })
    }
    await client.close()
  })
}

function show(control: Control, registry: string): Shown {
  const endpoints = [...control.source.publisher.snapshot.services.values()].flatMap(({ key, balance, endpoints: own }) =>
    own.map(({ address, weight, guarded, reserve }) => `${key} ${address} ${balance} ${weight}${guarded === true ? ', guarded' : ''}${reserve === undefined ? '' : `, ${reserve}`}`)).sort()
  const problems = control.source.problems.map(({ service, router, tag, reason, where }) => `[${service}${router === '' ? '' : ` ${router}`}] ${tag === '' ? '' : `${tag}: `}${reason} (${where})`.replaceAll(registry, 'REGISTRY'))
  return { routes: control.routes(), endpoints, problems }
}

const isSame = (a: Shown, b: Shown): boolean => JSON.stringify(a) === JSON.stringify(b)
