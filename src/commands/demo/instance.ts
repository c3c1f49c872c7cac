// The program of one sample instance, a process of its own so that it can be killed: answers with who it is and what it received.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as later } from 'node:timers'

/** A program that has started but does not listen yet is what an ingress must not send requests to. */
const START_MS = 500
const SLOW_CHUNKS = 5
const { NOMAD_JOB_NAME: service = '', NOMAD_ALLOC_NAME = '', NOMAD_PORT_http: port = '', VERSION = '' } = process.env
const name = `${service}${/\[\d+\]$/.exec(NOMAD_ALLOC_NAME)?.[0] ?? ''}`
const who = `${service}: instance ${name}, version ${VERSION}, pid ${process.pid}`

const server = createServer((request, response) => {
  request.resume()
  response.setHeader('Sample-Instance', name)
  if (request.url === '/health') response.end('healthy\n')
  else if (request.url === '/slow') answerSlowly(response)
  else answer(request, response)
})
const starting = later(() => { server.listen(Number(port), '127.0.0.1') }, START_MS)

// Nomad's signal: running requests may finish. Ctrl-C on the terminal does not come here, an instance leads a group of its own.
process.once('SIGINT', () => {
  clearTimeout(starting)
  server.close(() => { process.disconnect?.() })
})
// The demo has ended, in whatever way.
process.once('disconnect', () => {
  clearTimeout(starting)
  server.close()
  server.closeAllConnections()
})

function answer(request: IncomingMessage, response: ServerResponse): void {
  const received = receivedHead(request)
  if (request.headers.accept?.includes('text/html') === true && request.url !== '/headers') {
    response.setHeader('Content-Type', 'text/html; charset=utf-8')
    response.end(page(received))
  } else {
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.end(request.url === '/headers' ? received : `${who}\n\n${received}`)
  }
}

/** A line each second, so that draining and streaming can be watched. */
function answerSlowly(response: ServerResponse): void {
  response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  const send = (count: number): void => {
    response.write(`${who}: ${count} of ${SLOW_CHUNKS}\n`)
    if (count === SLOW_CHUNKS) response.end()
    else next = setTimeout(send, 1000, count + 1)
  }
  let next: NodeJS.Timeout | undefined
  response.once('close', () => { clearTimeout(next) })
  send(1)
}

function receivedHead({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  let head = `${method} ${url} HTTP/${httpVersion}\n`
  for (let at = 0; at < rawHeaders.length; at += 2) head += `${rawHeaders[at]}: ${rawHeaders[at + 1]}\n`
  return head
}

function page(received: string): string {
  const escaped = received.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${service}</title>
<body style="font: 1rem/1.5 system-ui; max-width: 50rem; margin: 3rem auto; padding: 0 1rem">
<h1>${service}</h1>
<p>Instance <b>${name}</b>, version ${VERSION}, process ${process.pid}. Reload to be balanced again.</p>
<p>What this instance received:</p>
<pre style="background: #8882; padding: 1rem; overflow-x: auto">${escaped}</pre>
<p><a href="/">/</a> · <a href="/api">/api</a> · <a href="/headers">/headers</a> · <a href="/slow">/slow</a></p>
</body></html>
`
}
