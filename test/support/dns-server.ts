// A small DNS server on loopback (UDP): answers A and AAAA from a table that the test changes, fails, or says nothing.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'

export interface DnsServer extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly address: string
  /** Addresses of each name; a name that is missing does not exist (NXDOMAIN). */
  readonly names: Map<string, readonly string[]>
  /** Seconds, of every answer. */
  ttl: number
  mode: 'answer' | 'silent' | 'servfail'
  /** Questions so far, as `A a.test`. */
  readonly questions: string[]
}

const A = 1
const AAAA = 28

export async function startDnsServer(names: Readonly<Record<string, readonly string[]>> = {}, ttl = 1): Promise<DnsServer> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const server: DnsServer = {
    address: `127.0.0.1:${socket.address().port}`,
    names: new Map(Object.entries(names)),
    ttl,
    mode: 'answer',
    questions: [],
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
  socket.on('message', (query, peer) => {
    const { name, type, end } = readQuestion(query)
    server.questions.push(`${type === A ? 'A' : type === AAAA ? 'AAAA' : type} ${name}`)
    if (server.mode === 'silent') return
    const known = server.mode === 'servfail' ? undefined : server.names.get(name)
    const records = (known ?? []).filter((address) => isIPv6(address) === (type === AAAA)).map((address) => record(address, server.ttl))
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    head.writeUInt16BE(0x8180 | (server.mode === 'servfail' ? 2 : known === undefined ? 3 : 0), 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(records.length, 6)
    socket.send(Buffer.concat([head, query.subarray(12, end), ...records]), peer.port, peer.address)
  })
  return server
}

function readQuestion(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase())
    at += 1 + length
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** An answer for the name in the question. */
function record(address: string, ttl: number): Buffer {
  const data = isIPv6(address) ? ipv6(address) : Buffer.from(address.split('.').map(Number))
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(isIPv6(address) ? AAAA : A, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttl, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function ipv6(address: string): Buffer {
  const [before = [], after = []] = address.split('::').map((part) => part.split(':').filter((group) => group !== ''))
  const groups = [...before, ...new Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
