// Where a probe goes, and how its name is looked up: as always, but an address that is refused is no answer.
import { lookup } from 'node:dns'
import type net from 'node:net'

export interface ProbeTarget {
  readonly host: string
  readonly port: number
  /** Why the address that a name led to may not be probed; undefined: it may. */
  readonly refuses: ((address: string) => string | undefined) | undefined
}

/** For `lookup` of a socket: fails when one of the addresses is refused. */
export const guardedLookup = (refuses: (address: string) => string | undefined): net.LookupFunction => (host, options, callback) => {
  lookup(host, { ...options, all: true }, (error, found) => {
    const refusal = found?.map(({ address }) => refuses(address)).find((each) => each !== undefined)
    const [first] = found ?? []
    if (error !== null || refusal !== undefined || first === undefined) callback(error ?? new Error(refusal ?? 'no address'), '')
    else if (options.all === true) callback(null, found)
    else callback(null, first.address, first.family)
  })
}
