// The development registry beside recordings: each is asked for again with our own ids, and must agree.
import { test } from 'node:test'
import type { Registry } from '#src/development/registry.ts'
import { NomadClient } from '#test/support/nomad-client.ts'
import { agrees, readRecording } from '#test/support/agreement.ts'

/** Recorded text → what stands for it here. */
export type Ours = ReadonlyMap<string, string>

/** Asks for a recorded path, recorded texts replaced, and compares the answers. */
export async function agreesWith(nomad: Registry | NomadClient, name: string, ours: Ours = new Map()): Promise<void> {
  const recording = readRecording(name)
  const client = nomad instanceof NomadClient ? nomad : new NomadClient(nomad.address)
  let { path } = recording.request
  for (const [recorded, own] of ours) path = path.replaceAll(recorded, own)
  const { method } = recording.request
  agrees(await client.ask(path, { method }), recording, ours)
}

/** Declares a test for each recording, all in the same situation. */
export function testRecordings(folder: string, names: readonly string[], situation: () => { readonly nomad: Registry; readonly ours?: Ours }): void {
  for (const name of names) {
    test(`${folder}/${name}`, async () => {
      const { nomad, ours } = situation()
      await agreesWith(nomad, `${folder}/${name}.json`, ours)
    })
  }
}
