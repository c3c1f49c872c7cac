// Clients that use one HTTP/2 connection for all hosts that its certificate is good for (RFC 9113 9.1.1), and 421 for those that it may not serve.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import { test } from 'node:test'
import tls from 'node:tls'
import { makeAuthority } from '#test/support/certificates.ts'
import { makeFolder } from '#test/support/folder.ts'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { authority, startHttps } from '#test/support/https.ts'
import { DEADLINE_MS, until, within } from '#test/support/until.ts'

const people = makeAuthority('People')
const alice = people.issue([], 30, { subject: 'alice' })
const FIELD = 'x-forwarded-tls-client-subject'

interface Reply {
  readonly status: number
  readonly text: string
  /** Which connection it came by, from 0. */
  readonly connection: number
  /** Connections by which it was 421 before. */
  readonly misdirected: readonly number[]
}

interface Running {
  readonly request: http2.ClientHttp2Stream
  readonly reply: Promise<Reply>
}

/** As browsers do: a host goes by any connection whose certificate names it, and by one of its own once that was 421. */
class CoalescingClient implements Disposable {
  readonly sessions: http2.ClientHttp2Session[] = []
  readonly #port: number
  readonly #identities: Readonly<Record<string, tls.ConnectionOptions>>

  /** `identities`: what is offered to whom asks for a client certificate, by host. */
  constructor(port: number, identities: Readonly<Record<string, tls.ConnectionOptions>> = {}) {
    this.#port = port
    this.#identities = identities
  }

  async ask(host: string, path = '/', body = ''): Promise<Reply> {
    return this.#ask(host, path, body, [])
  }

  async #ask(host: string, path: string, body: string, misdirected: readonly number[]): Promise<Reply> {
    const found = this.sessions.findIndex((session, at) => !misdirected.includes(at) && tls.checkServerIdentity(host, (session.socket as tls.TLSSocket).getPeerCertificate()) === undefined)
    const connection = found >= 0 ? found : await this.#open(host)
    const { reply } = this.begin(connection, host, path, body)
    const got = await reply
    return got.status === 421 ? this.#ask(host, path, body, [...misdirected, connection]) : { ...got, misdirected }
  }

  /** Asks on one of its connections, whatever comes of it. */
  begin(connection: number, host: string, path: string, body = ''): Running {
    const request = this.sessions[connection]!.request({ ':method': body === '' ? 'GET' : 'POST', ':path': path, ':authority': host }, { endStream: body === '' })
    request.on('error', () => undefined)
    if (body !== '') request.end(body)
    request.setEncoding('utf8')
    const read = async (): Promise<Reply> => {
      const [head] = await once(request, 'response') as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader]
      let text = ''
      for await (const piece of request) text += String(piece)
      assert.equal(request.rstCode, 0)
      return { status: head[':status'] ?? 0, text, connection, misdirected: [] }
    }
    return { request, reply: within(read(), DEADLINE_MS, () => `an answer to ${host}${path}`) }
  }

  async #open(servername: string): Promise<number> {
    const session = http2.connect(`https://${servername}`, { host: '127.0.0.1', port: this.#port, servername, ca: authority.ca, ...this.#identities[servername] })
    session.on('error', () => undefined)
    await within(once(session, 'connect'), DEADLINE_MS, () => `a connection for ${servername}`)
    return this.sessions.push(session) - 1
  }

  [Symbol.dispose](): void {
    for (const session of this.sessions) session.destroy()
  }
}

test('a host of another client-certificate policy: 421 on the connection it was coalesced to, which serves on; its own connection answers', async () => {
  const seen: string[] = []
  const slow = Promise.withResolvers<void>()
  await using backend = await startHttpBackend((request, response) => {
    seen.push(`${request.headers.host}${request.url}`)
    let size = 0
    request.on('data', (piece: Buffer) => { size += piece.length })
    request.on('end', () => {
      const answer = (): void => void response.end(`${String(request.headers[FIELD] ?? 'nobody')} ${size}`)
      if (request.url === '/slow') void slow.promise.then(answer)
      else answer()
    })
  })
  await using folder = await makeFolder()
  const ca = await folder.write('people.pem', people.ca)
  const hosts = ['open.example.org', 'also.example.org', 'closed.example.org']
  await using https = await startHttps({
    services: [{ name: 'web', tags: hosts.map((host) => `serai.host=${host}`), instances: [backend.address] }],
    certificates: { all: authority.issue(hosts) },
    tls: { clients: [{ hosts: ['closed.example.org'], ca }] },
  })
  using client = new CoalescingClient(https.port, { 'closed.example.org': alice })
  assert.deepEqual(await client.ask('open.example.org'), { status: 200, text: 'nobody 0', connection: 0, misdirected: [] })
  assert.deepEqual(await client.ask('also.example.org'), { status: 200, text: 'nobody 0', connection: 0, misdirected: [] }, 'one policy, one connection')

  const running = client.begin(0, 'open.example.org', '/slow', 'body')
  await until(() => seen.includes('open.example.org/slow'), { what: 'a request under way' })
  assert.deepEqual(await client.ask('closed.example.org', '/secret', 'x'.repeat(200_000)), { status: 200, text: 'CN=alice 200000', connection: 1, misdirected: [0] })
  assert.equal(seen.filter((each) => each === 'closed.example.org/secret').length, 1, 'what was 421 went no further')
  slow.resolve()
  assert.equal((await running.reply).text, 'nobody 4')

  // More than its windows hold: what was misdirected has not used them up.
  for (let time = 0; time < 8; time++) assert.equal((await client.begin(0, 'closed.example.org', '/secret', 'x'.repeat(200_000)).reply).status, 421)
  const all = await Promise.all(hosts.slice(0, 2).map((host) => client.ask(host, '/', 'x'.repeat(500_000))))
  assert.deepEqual(all.map(({ status, text, connection }) => [status, text, connection]), [[200, 'nobody 500000', 0], [200, 'nobody 500000', 0]])
  assert.deepEqual(await client.ask('closed.example.org'), { status: 200, text: 'CN=alice 0', connection: 1, misdirected: [0] })
  assert.equal(client.sessions.length, 2)
  assert.equal(client.sessions.some(({ closed, destroyed }) => closed || destroyed), false)
  const logged = (status: number): number => https.serai.accessLog.filter((each) => each['status'] === status && each['host'] === 'closed.example.org').length
  await until(() => logged(421) === 10 && logged(200) === 2, { what: 'all of it in the access log' })
})

test('the other way round: with a client certificate that was asked for elsewhere nobody is let in where another policy holds', async () => {
  await using backend = await startHttpBackend((request, response) => response.end(String(request.headers[FIELD] ?? 'nobody')))
  await using folder = await makeFolder()
  const ca = await folder.write('people.pem', people.ca)
  await using https = await startHttps({
    services: [{ name: 'web', tags: ['serai.host=closed.example.org', 'serai.host=asks.example.org', 'serai.host=open.example.org'], instances: [backend.address] }],
    certificates: { all: authority.issue(['closed.example.org', 'asks.example.org', 'open.example.org']) },
    tls: { clients: [{ hosts: ['closed.example.org'], ca }, { hosts: ['asks.example.org'], mode: 'request', ca }] },
  })
  using client = new CoalescingClient(https.port, { 'asks.example.org': alice, 'closed.example.org': alice })
  assert.deepEqual(await client.ask('asks.example.org'), { status: 200, text: 'CN=alice', connection: 0, misdirected: [] })
  assert.deepEqual(await client.ask('closed.example.org'), { status: 200, text: 'CN=alice', connection: 1, misdirected: [0] })
  assert.deepEqual(await client.ask('open.example.org'), { status: 200, text: 'nobody', connection: 2, misdirected: [0, 1] })
})

test('a wildcard that names a host with a certificate of its own: 421, then its own', async () => {
  await using backend = await startHttpBackend('ok')
  await using https = await startHttps({
    services: [{ name: 'web', tags: ['serai.host=a.example.org', 'serai.host=own.example.org'], instances: [backend.address] }],
    certificates: { wild: authority.issue(['*.example.org'], 30, { subject: 'wildcard' }), own: authority.issue(['own.example.org'], 30, { subject: 'own' }) },
  })
  using client = new CoalescingClient(https.port)
  assert.deepEqual(await client.ask('a.example.org'), { status: 200, text: 'ok', connection: 0, misdirected: [] })
  assert.deepEqual(await client.ask('own.example.org'), { status: 200, text: 'ok', connection: 1, misdirected: [0] })
  assert.deepEqual(client.sessions.map(({ socket }) => (socket as tls.TLSSocket).getPeerCertificate().subject.CN), ['wildcard', 'own'])
  assert.deepEqual(await client.ask('a.example.org'), { status: 200, text: 'ok', connection: 0, misdirected: [] })
})
