// Nomad's API is found, asked with a token that may rotate, and never waited for without end.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Server as TlsServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { systemClock } from '#src/registry/clock.ts'
import { findNomad, taskSocket } from '#src/registry/nomad-address.ts'
import type { NomadSettings } from '#src/registry/nomad-address.ts'
import { NomadClient } from '#src/registry/nomad-client.ts'
import { makeAuthority } from '#test/support/certificates.ts'
import type { Authority } from '#test/support/certificates.ts'
import { makeFolder } from '#test/support/folder.ts'

interface Agent extends AsyncDisposable {
  readonly address: string
  readonly asked: { readonly url: string; readonly token: string }[]
  /** Connections that were open at once, at most. */
  readonly mostOpen: number
}

/** An agent that answers as it is told. */
async function startAgent(answer: (request: IncomingMessage, response: ServerResponse) => void, path?: string): Promise<Agent> {
  const asked: { url: string; token: string }[] = []
  const server = createServer((request, response) => {
    asked.push({ url: request.url ?? '', token: String(request.headers['x-nomad-token'] ?? '') })
    answer(request, response)
  })
  let [open, mostOpen] = [0, 0]
  server.on('connection', (socket) => {
    mostOpen = Math.max(mostOpen, ++open)
    socket.once('close', () => { open-- })
  })
  if (path === undefined) server.listen(0, '127.0.0.1')
  else server.listen(path)
  await once(server, 'listening')
  return {
    address: path === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix://${path}`,
    asked,
    get mostOpen() { return mostOpen },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const clientOf = (settings: NomadSettings, env: Record<string, string> = {}, deadlineMs = 2000): NomadClient & AsyncDisposable =>
  Object.assign(new NomadClient({ address: findNomad(settings, env), clock: systemClock, deadlineMs }), { async [Symbol.asyncDispose](this: NomadClient) { await this.close() } })
const services = { call: 'services', path: '/v1/services', query: { namespace: '*' } } as const
const never = new AbortController().signal

describe('where it is', () => {
  test('the config goes before the task’s socket, that before NOMAD_ADDR, that before the local agent', async () => {
    await using folder = await makeFolder()
    mkdirSync(folder.file('secrets'))
    const task = { NOMAD_SECRETS_DIR: folder.file('secrets'), NOMAD_ADDR: 'https://10.0.0.1:4646' }
    assert.equal(findNomad({}, {}).name, 'http://127.0.0.1:4646')
    assert.equal(findNomad({}, task).name, 'https://10.0.0.1:4646', 'there is no socket yet')
    await folder.write('secrets/api.sock', '')
    assert.equal(findNomad({}, task).socketPath, folder.file('secrets/api.sock'))
    assert.equal(findNomad({}, { ...task, NOMAD_UNIX_ADDR: 'unix:///elsewhere/api.sock' }).socketPath, '/elsewhere/api.sock')
    assert.equal(findNomad({ address: 'http://10.0.0.2:4646' }, task).name, 'http://10.0.0.2:4646')
    assert.equal(findNomad({ address: 'unix:///run/nomad.sock' }, task).socketPath, '/run/nomad.sock')
    assert.equal(taskSocket({}), undefined)
  })

  test('the token: config, its file, the task’s file, the environment', async () => {
    await using folder = await makeFolder()
    mkdirSync(folder.file('secrets'))
    const env = { NOMAD_SECRETS_DIR: folder.file('secrets'), NOMAD_TOKEN: 'of-the-environment' }
    assert.deepEqual(findNomad({}, env).token, { token: 'of-the-environment' })
    const file = await folder.write('secrets/nomad_token', 'x')
    assert.deepEqual(findNomad({}, env).token, { file })
    assert.deepEqual(findNomad({ tokenFile: '/t' }, env).token, { file: '/t' })
    assert.deepEqual(findNomad({ token: 't' }, env).token, { token: 't' })
  })
})

test('region, stale, index and wait are asked for as Nomad reads them', async () => {
  await using agent = await startAgent((_, response) => response.writeHead(200, { 'X-Nomad-Index': '7' }).end('[]'))
  await using client = clientOf({ address: agent.address, region: 'eu', token: 'secret' })
  const result = await client.get({ ...services, stale: true, block: { index: 6, waitMs: 1500 } }, never)
  assert.deepEqual(result, { ok: true, body: [], index: 7, knownLeader: true, nextToken: '' })
  assert.deepEqual(agent.asked, [{ url: '/v1/services?namespace=*&region=eu&stale=&index=6&wait=1500ms', token: 'secret' }])
  assert.deepEqual([...client.counts], [['services', 1]])
})

test('over a unix socket', async () => {
  await using folder = await makeFolder()
  await using agent = await startAgent((_, response) => response.end('[]'), join(folder.path, 'api.sock'))
  await using client = clientOf({}, { NOMAD_UNIX_ADDR: agent.address, NOMAD_TOKEN: 'jwt' })
  assert.equal((await client.get(services, never)).ok, true)
  assert.equal(agent.asked[0]?.token, 'jwt')
})

for (const [what, status, body] of [
  ['403', 403, 'Permission denied'], ['401', 401, 'Unauthorized'], ['500 of the Task API', 500, 'Server error authenticating request\n'],
] as const) {
  test(`a token that is refused by ${what} is read again from its file, and the call is made once more`, async () => {
    await using folder = await makeFolder()
    const tokenFile = await folder.write('nomad_token', 'old\n')
    await using agent = await startAgent((request, response) => {
      if (request.headers['x-nomad-token'] === 'new') response.end('[]')
      else response.writeHead(status, { 'Content-Type': 'text/plain' }).end(body)
    })
    await using client = clientOf({ address: agent.address, tokenFile })
    const refused = await client.get(services, never)
    assert.equal(refused.ok ? '' : refused.kind, 'forbidden')
    assert.equal(agent.asked.length, 1, 'the same token is not tried again')
    await folder.write('nomad_token', 'new\n')
    assert.equal((await client.get(services, never)).ok, true)
    assert.deepEqual(agent.asked.slice(1).map(({ token }) => token), ['old', 'new'])
  })
}

test('a token file that goes keeps the token that it had', async () => {
  await using folder = await makeFolder()
  const tokenFile = await folder.write('nomad_token', 'kept')
  await using agent = await startAgent((_, response) => response.writeHead(403).end('Permission denied'))
  await using client = clientOf({ address: agent.address, tokenFile })
  await client.get(services, never)
  await folder.write('nomad_token', '')
  await client.get(services, never)
  assert.deepEqual(agent.asked.map(({ token }) => token), ['kept', 'kept'])
})

test('certificate files that are replaced are used for the next connection; half a replacement keeps what there was', async () => {
  await using folder = await makeFolder()
  const [authority, next] = [makeAuthority(), makeAuthority('next')]
  const serve = (by: Authority): TlsServer => createTlsServer({ ...by.issue(['127.0.0.1']), ca: by.ca, requestCert: true }, (request, response) => {
    // Each call with a connection of its own.
    response.writeHead(200, { Connection: 'close', 'X-Nomad-Index': '7' }).end(JSON.stringify([(request.socket as TLSSocket).getPeerCertificate().subject.CN]))
  })
  const write = async (by: Authority, name: string, files: readonly ('ca' | 'cert' | 'key')[]): Promise<void> => {
    const texts = { ca: by.ca, ...by.issue([name]) }
    for (const file of files) await folder.write(`${file}.pem`, texts[file])
  }
  await write(authority, 'first', ['ca', 'cert', 'key'])
  const server = serve(authority).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await using client = clientOf({ address: `https://127.0.0.1:${port}`, tls: { ca: folder.file('ca.pem'), cert: folder.file('cert.pem'), key: folder.file('key.pem') } })
  const ask = async (): Promise<unknown> => {
    const result = await client.get(services, never)
    return result.ok ? result.body : result.reason
  }
  assert.deepEqual(await ask(), ['first'])
  await write(authority, 'half', ['cert'])
  assert.deepEqual(await ask(), ['first'], 'the key does not fit yet')
  await write(authority, 'second', ['cert', 'key'])
  assert.match(String(await ask()), /second/)
  server.setSecureContext({ ...next.issue(['127.0.0.1']), ca: next.ca })
  assert.match(String(await ask()), /unable to verify|certificate|signature/i)
  await write(next, 'third', ['ca', 'cert', 'key'])
  assert.match(String(await ask()), /third/)
  server.close()
})

describe('an answer that does not come', () => {
  const reasonOf = async (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> => {
    await using agent = await startAgent(answer)
    await using client = clientOf({ address: agent.address }, {}, 200)
    const result = await client.get(services, never)
    return result.ok ? 'ok' : `${result.kind}: ${result.reason}`
  }

  test('from an agent that hangs', async () => {
    assert.match(await reasonOf(() => undefined), /^unreachable: .*no answer in 200 ms/)
  })

  test('from one that trickles', async () => {
    assert.match(await reasonOf((_, response) => {
      response.writeHead(200).write('[')
      const timer = setInterval(() => response.write(' '), 20)
      response.once('close', () => clearInterval(timer))
    }), /^unreachable: .*no answer in 200 ms/)
  })

  test('from one that hangs up in the middle', async () => {
    assert.match(await reasonOf((_, response) => {
      response.writeHead(200, { 'Content-Length': '100' }).write('[')
      setImmediate(() => response.destroy())
    }), /^unreachable: /)
  })

  test('from nobody', async () => {
    await using client = clientOf({ address: 'http://127.0.0.1:1' })
    const result = await client.get(services, never)
    assert.match(result.ok ? '' : result.reason, /connection refused/)
  })
})

test('no more connections than were asked for, however many calls, and all of those', async () => {
  const calls = 30
  const waiting: ServerResponse[] = []
  let answered = 0
  // Nobody is answered before three wait at once, or all that are left: three must be open then, and a fourth would be seen.
  await using agent = await startAgent((_, response) => {
    waiting.push(response)
    if (waiting.length < Math.min(3, calls - answered)) return
    for (const each of waiting.splice(0)) {
      answered++
      each.end('[]')
    }
  })
  const client = new NomadClient({ address: findNomad({ address: agent.address }, {}), clock: systemClock, deadlineMs: 30_000, connections: { short: 3, waiting: 1 } })
  const results = await Promise.all(Array.from({ length: calls }, () => client.get(services, never)))
  await client.close()
  assert.ok(results.every(({ ok }) => ok))
  assert.equal(agent.mostOpen, 3)
})
