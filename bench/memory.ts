// The row `memory`: what a proxy takes at rest, for each worker more, and for an idle connection.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'
import type { RunOptions } from './cpu-rows.ts'
import { HOST, type ProxyName } from './peer.ts'
import { startProxy } from './peers.ts'
import { residentBytes } from './process-usage.ts'
import { servicesFile } from './services.ts'
import { spread } from './statistics.ts'
import { sleep } from './until.ts'

export interface MemoryResult {
  /** Serai with two workers and one service; what a third worker adds to it; and with 1,000 services. MB are 10^6 bytes. */
  readonly restMb: number
  readonly workerMb: number
  readonly thousandMb: number
  readonly connections: number
  /** With one worker, process or thread: before the connections, and for each of them. */
  readonly proxies: readonly { readonly proxy: ProxyName; readonly restMb: number; readonly connectionKib: number; readonly tlsConnectionKib: number | undefined }[]
}

const CONNECTIONS = 10_000
/** Fewer: the clients live in this process, and take more than any proxy. */
const TLS_CONNECTIONS = 2000
const AT_ONCE = 100
/** Loopback addresses to come from: one has only 28,000 ports. */
const SOURCES = 8
const REST_MS = 5000
const WARM_REQUESTS = 20_000
const ANSWER_MS = 5000
/** When garbage is collected is chance: the median of so many starts counts. */
const STARTS = 3

export async function runMemory(names: readonly ProxyName[], options: RunOptions): Promise<MemoryResult> {
  const rest = async (workers: number, services: number): Promise<number> => {
    const starts: number[] = []
    while (starts.length < STARTS) starts.push(await atRest(workers, services, options))
    return spread(starts).median
  }
  const two = await rest(2, 1)
  const three = await rest(3, 1)
  const thousand = await rest(2, 1000)
  const proxies: MemoryResult['proxies'][number][] = []
  for (const name of names) {
    const plain = await perConnection(name, 'plain', CONNECTIONS, options)
    const tls = name === 'caddy' ? undefined : await perConnection(name, 'tls', TLS_CONNECTIONS, options)
    proxies.push({ proxy: name, restMb: plain.restMb, connectionKib: plain.kib, tlsConnectionKib: tls?.kib })
  }
  return { restMb: two / 1e6, workerMb: (three - two) / 1e6, thousandMb: thousand / 1e6, connections: CONNECTIONS, proxies }
}

async function atRest(workers: number, count: number, { children, backend, folder, progress }: RunOptions): Promise<number> {
  progress(`memory: at rest with ${workers} workers and ${count} services`)
  const services = servicesFile(count, () => backend.ports.map((port) => `127.0.0.1:${port}`))
  const proxy = await startProxy('serai', children, backend, folder, { workers, services })
  try {
    await sleep(REST_MS)
    return residentBytes(proxy.pids())
  } finally {
    await proxy.child.stop()
  }
}

/** Each connection has had one answer, and then waits. Before them the same code has run on others, so that its memory is not counted. */
async function perConnection(
  name: ProxyName, kind: 'plain' | 'tls', count: number, { children, backend, folder, progress }: RunOptions,
): Promise<{ readonly restMb: number; readonly kib: number }> {
  progress(`memory: ${count} idle connections to ${name} (${kind})`)
  const proxy = await startProxy(name, children, backend, folder)
  const open = (index: number): Promise<Socket> => (kind === 'plain' ? openPlain(proxy.port, index) : openTls(proxy.tlsPort!, index))
  const sockets: Socket[] = []
  try {
    const warm = await Promise.all(Array.from({ length: AT_ONCE }, () => open(0)))
    for (let round = 0; round < WARM_REQUESTS / AT_ONCE; round++) await Promise.all(warm.map(request))
    for (const socket of warm) socket.destroy()
    await sleep(REST_MS)
    const before = residentBytes(proxy.pids())
    while (sockets.length < count) {
      const opened = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => open(index)))
      await Promise.all(opened.map(request))
      sockets.push(...opened)
    }
    await sleep(REST_MS)
    const closed = sockets.filter(({ destroyed }) => destroyed).length
    if (closed > 0) throw new Error(`${name} closed ${closed} of ${count} idle connections`)
    return { restMb: before / 1e6, kib: (residentBytes(proxy.pids()) - before) / count / 1024 }
  } finally {
    for (const socket of sockets) socket.destroy()
    await proxy.child.stop()
  }
}

async function openPlain(port: number, index: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (index % SOURCES)}`, noDelay: true })
  await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) })
  return socket.on('end', () => socket.destroy()).on('error', () => socket.destroy())
}

/** Nobody trusts the bench's authority: it is only the proxy's memory that counts. */
async function openTls(port: number, index: number): Promise<Socket> {
  const below = await openPlain(port, index)
  const socket = tls.connect({ socket: below, servername: HOST, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(ANSWER_MS) })
  return socket.on('end', () => socket.destroy()).on('error', () => socket.destroy())
}

async function request(socket: Socket): Promise<void> {
  const answered = once(socket, 'data', { signal: AbortSignal.timeout(ANSWER_MS) })
  socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  const [data] = await answered as [Buffer]
  if (!data.latin1Slice(0, 13).startsWith('HTTP/1.1 200 ')) throw new Error(`expected 200, not ${JSON.stringify(data.latin1Slice(0, 100))}`)
}
