// The admin token: compared in constant time, read again when its file changes.
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'

/** Where the token comes from; with neither, the API is open to whoever reaches it. */
export interface TokenSource {
  readonly token?: string
  readonly tokenFile?: string
}

/** Whether the value of an Authorization field holds the token. */
export type TokenCheck = (authorization: string | undefined) => Promise<boolean>

/** The check for a source, or undefined when none is configured. A token file that is unreadable or empty admits nobody. */
export function createTokenCheck({ token, tokenFile }: TokenSource): TokenCheck | undefined {
  if (tokenFile !== undefined) {
    const read = createFileReader(tokenFile)
    return async (authorization) => matches(authorization, await read())
  }
  if (token === undefined || token === '') return undefined
  return async (authorization) => matches(authorization, token)
}

function matches(authorization: string | undefined, token: string): boolean {
  const given = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  return given !== undefined && token !== '' && timingSafeEqual(digest(given), digest(token))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Reads the file when its identity, size or time of change differ from those of the last reading. */
function createFileReader(path: string): () => Promise<string> {
  let last = { mark: '', token: '' }
  return async () => {
    try {
      const { dev, ino, size, mtimeMs } = await stat(path)
      const mark = [dev, ino, size, mtimeMs].join()
      if (mark !== last.mark) last = { mark, token: (await readFile(path, 'utf8')).trim() }
    } catch {
      last = { mark: '', token: '' }
    }
    return last.token
  }
}
