// A short run of every property; `npm run fuzz` is the long one. FUZZ_SEED replays what a failure printed.
import { test } from 'node:test'
import { properties } from './properties.ts'
import { runsOf } from './property.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const RUNS = 1500

for (const property of properties) {
  test(property.name, (t) => {
    t.diagnostic(`FUZZ_SEED=${seed}`)
    property.check(seed, runsOf(property, RUNS))
  })
}
