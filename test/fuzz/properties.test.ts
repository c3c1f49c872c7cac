// A short run of every property; `npm run fuzz` is the long one. FUZZ_SEED replays what a failure printed.
import { test } from 'node:test'
import { properties } from './properties.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const RUNS = 1500

for (const { name, check } of properties) {
  test(name, (t) => {
    t.diagnostic(`FUZZ_SEED=${seed}`)
    check(seed, RUNS)
  })
}
