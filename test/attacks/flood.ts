// A worker thread that floods a port, at a rate, until it is ended: with connections, with garbage, with half heads.
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'

export interface Flood {
  readonly port: number
  /** Connections opened a second. */
  readonly rate: number
  /** Sent on each, as latin1; '' sends nothing and closes at once. */
  readonly send: readonly string[]
  /** Open at once; the oldest is cut for a new one. */
  readonly open: number
}

const { port, rate, send, open } = workerData as Flood
const sockets: Socket[] = []
let opened = 0
const begun = performance.now()

setInterval(() => {
  for (; opened < ((performance.now() - begun) / 1000) * rate; opened++) {
    const octets = send[opened % send.length] ?? ''
    const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + (opened % 200)}` }, () => {
      if (octets === '') socket.resetAndDestroy()
      else socket.write(octets, 'latin1')
    })
    socket.on('error', () => socket.destroy())
    socket.resume()
    sockets.push(socket)
    if (sockets.length > open) sockets.shift()?.resetAndDestroy()
  }
}, 5)
setInterval(() => parentPort?.postMessage(opened), 100)
