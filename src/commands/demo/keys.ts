// Keys in the demo's terminal (or bytes on its standard input): each does something to a job, and one line says what.
import type { ReadStream } from 'node:tty'
import { Refused } from '#src/development/schedule/operations.ts'
import type { SampleCluster } from './sample-cluster.ts'

interface Key {
  readonly key: string
  readonly what: string
  act(cluster: SampleCluster): string
}

/** All keys, in the order of the screen. */
export const keys: readonly Key[] = [
  { key: 'd', what: 'deploy a new version of web, one instance after the other', act: (cluster) => cluster.deploy('web') },
  { key: '+', what: 'scale web up', act: (cluster) => cluster.scale('web', 1) },
  { key: '-', what: 'scale web down', act: (cluster) => cluster.scale('web', -1) },
  { key: 'k', what: 'kill an instance of web', act: (cluster) => cluster.kill('web') },
  { key: 's', what: 'stop api; again: start it', act: (cluster) => cluster.toggle('api') },
  { key: 'c', what: 'deploy shop with a canary', act: (cluster) => cluster.deploy('shop') },
  { key: 'p', what: 'promote the canary', act: (cluster) => cluster.promote() },
  { key: 'n', what: 'start a new service on new.localhost; again: stop it', act: (cluster) => cluster.toggle('new') },
]

const CTRL_C = '\u0003'

export interface Keyboard {
  readonly input: ReadStream | NodeJS.ReadStream
  readonly cluster: SampleCluster
  say(line: string): void
}

/** Reads keys until it is disposed; an input that has ended, as /dev/null has, says nothing. */
export function followKeys({ input, cluster, say }: Keyboard): Disposable {
  const terminal = input.isTTY
  // On a terminal a key counts without Enter; Ctrl-C is then a key too, and does what it always does.
  if (terminal) input.setRawMode(true)
  const read = (bytes: Buffer): void => {
    for (const key of bytes.toString('latin1')) {
      if (key === CTRL_C || key === 'q') process.kill(process.pid, 'SIGINT')
      else press(key, cluster, say)
    }
  }
  input.on('data', read).on('error', () => undefined).resume()
  return {
    [Symbol.dispose]() {
      input.off('data', read).pause()
      if (terminal) input.setRawMode(false)
    },
  }
}

function press(key: string, cluster: SampleCluster, say: (line: string) => void): void {
  const found = keys.find((each) => each.key === key)
  if (found === undefined) return
  try {
    say(`${key}  ${found.act(cluster)}`)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    say(`${key}  not now: ${error.message.trim().split('\n').at(-1)?.replace(/^\s*\* /, '') ?? ''}`)
  }
}
