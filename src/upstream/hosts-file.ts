// The system's hosts file, read again when it has changed.
import type { LookupAddress } from 'node:dns'
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

export class HostsFile {
  readonly #path: string
  #names: ReadonlyMap<string, readonly LookupAddress[]> = new Map()
  #version = ''

  constructor(path: string) {
    this.#path = path
  }

  /** The addresses that the file gives a name; none when it does not name it, or cannot be read. */
  addressesOf(name: string): readonly LookupAddress[] {
    const asked = name.toLowerCase().replace(/\.$/, '')
    this.#refresh()
    // RFC 6761 6.3: whatever DNS says.
    return this.#names.get(asked) ?? (asked === 'localhost' || asked.endsWith('.localhost') ? loopback : [])
  }

  // Not by the thread pool, where this would wait behind whatever else does (a stat waited 11.7 s behind brotli): a small local file takes microseconds.
  #refresh(): void {
    try {
      const { mtimeMs, size } = statSync(this.#path)
      const version = `${mtimeMs} ${size}`
      if (version === this.#version) return
      this.#names = parseHosts(readFileSync(this.#path, 'latin1'))
      this.#version = version
    } catch {
      this.#names = new Map()
      this.#version = ''
    }
  }
}

const loopback: readonly LookupAddress[] = [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }]

/** Names (lower case) with their addresses, in the order of the lines. */
export function parseHosts(text: string): ReadonlyMap<string, readonly LookupAddress[]> {
  const names = new Map<string, LookupAddress[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...aliases] = line.replace(/#.*/, '').trim().split(/\s+/)
    const family = isIP(address)
    if (family === 0) continue
    for (const alias of aliases) {
      const name = alias.toLowerCase()
      const known = names.get(name)
      if (known === undefined) names.set(name, [{ address, family }])
      else if (!known.some((each) => each.address === address)) known.push({ address, family })
    }
  }
  return names
}
