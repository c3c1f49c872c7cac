// Installs what package-lock.json says, unless it is installed already. Plain JavaScript: it runs on the machine's own Node (20 or newer).
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const stamp = 'node_modules/.serai-lock'
const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex')
const installed = existsSync(stamp) && readFileSync(stamp, 'utf8') === lock && existsSync('node_modules/.bin/node')

if (!installed) {
  console.error('serai: installing what package-lock.json lists (Node 26 included; once, about half a minute) …')
  const run = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { stdio: 'inherit', shell: process.platform === 'win32' })
  if (run.status !== 0) {
    console.error(`serai: npm ci failed (${run.error?.message ?? `exit ${run.status}`}). The lines above say why; npm needs to reach its registry.`)
    process.exit(1)
  }
  if (!existsSync('node_modules/.bin/node')) {
    console.error(`serai: there is no Node 26 package for ${process.platform}-${process.arch}; supported: linux x64/arm64, macOS x64/arm64.`)
    process.exit(1)
  }
  writeFileSync(stamp, lock)
  console.error('serai: installed.')
}
