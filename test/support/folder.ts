// A temporary folder that is removed at the end of the test.
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Folder extends AsyncDisposable {
  readonly path: string
  /** The absolute path of a name in the folder. */
  file(name: string): string
  /** Writes a file beside its place and renames it, as a careful operator does; returns its path. `mode`: who may read it. */
  write(name: string, content: string | Buffer, mode?: number): Promise<string>
}

/** Makes an empty folder in the system's temporary directory. */
export async function makeFolder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'serai-test-'))
  const file = (name: string): string => join(path, name)
  return {
    path,
    file,
    async write(name, content, mode) {
      await writeFile(file(`${name}.new`), content, { mode })
      await rename(file(`${name}.new`), file(name))
      return file(name)
    },
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
