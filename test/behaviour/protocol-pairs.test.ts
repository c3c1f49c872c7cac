// One suite for the pairs of protocols: HTTP/1.1 or HTTP/2 from the client, HTTP/1.1 or HTTP/2 to the service. What holds, holds for each.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { bodyOf, startClient, startPairBackend, type BackendRequest, type BackendResponse, type PairBackend, type PairClient, type Protocol } from '#test/support/pairs.ts'
import { until, within } from '#test/support/until.ts'

const pairs: readonly (readonly [Protocol, Protocol])[] = [['h1', 'h1'], ['h2', 'h1'], ['h1', 'h2'], ['h2', 'h2']]
const MIB = 1024 * 1024
const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const settings = (same: DataPlaneSettings): DataPlaneSettings => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })), client: { ...same.client, bodyMs: 3000 } })

for (const [down, up] of pairs) {
  suite(`${down} to ${up}`, () => {
    let plane: DataPlane
    let backend: PairBackend
    let client: PairClient
    let handler: (request: BackendRequest, response: BackendResponse) => void | Promise<void>
    before(async () => {
      plane = await startDataPlane({ workers: 1, settings })
      backend = await startPairBackend(up, (request, response) => handler(request, response))
      plane.publish([service('web', [backend.address], { scheme: up === 'h1' ? 'http' : 'h2c' })])
      await plane.settled()
      client = startClient(down, plane.port)
    })
    after(async () => {
      await client[Symbol.asyncDispose]()
      await backend[Symbol.asyncDispose]()
      await plane[Symbol.asyncDispose]()
    })
    const ok = (request: BackendRequest, response: BackendResponse): void => {
      request.resume()
      response.end('ok')
    }
    const gauge = async (name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(await plane.metrics())?.[1])

    test('a request and its answer', async () => {
      let seen: Record<string, unknown> = {}
      handler = (request, response) => {
        seen = { method: request.method, url: request.url, host: request.headers.host ?? request.headers[':authority'], ...request.headers }
        response.writeHead(201, { 'content-type': 'text/x', 'x-own': 'A b', 'set-cookie': ['a=1', 'b=2'] })
        response.end('hello')
      }
      const { status, headers, body } = await client.ask({ path: '/a/b?c=d', headers: { 'x-asked': 'Yes', 'x-forwarded-for': '6.6.6.6' } }).answer
      assert.deepEqual([status, headers['content-type'], headers['x-own'], headers['set-cookie'], body.toString()], [201, 'text/x', 'A b', ['a=1', 'b=2'], 'hello'])
      assert.deepEqual([seen['method'], seen['url'], seen['host'], seen['x-asked'], seen['x-forwarded-for'], seen['x-forwarded-proto']], ['GET', '/a/b?c=d', 'web.example.org', 'Yes', '127.0.0.1', 'http'])
      assert.match(String(seen['via']), down === 'h1' ? /^1\.1 / : /^2\.0 /)
      assert.equal(seen['connection'] === undefined || up === 'h1', true)
    })

    test('bodies with and without a length, and empty ones', async () => {
      handler = async (request, response) => {
        const body = await bodyOf(request)
        response.setHeader('x-length', request.headers['content-length'] ?? 'none')
        response.end(body)
      }
      const bytes = randomBytes(100_000)
      const known = await client.ask({ method: 'POST', headers: { 'content-length': '100000' }, body: [bytes] }).answer
      assert.deepEqual([known.headers['x-length'], digest(known.body)], ['100000', digest(bytes)])
      const unknown = await client.ask({ method: 'POST', body: [bytes.subarray(0, 10), bytes.subarray(10, 50_000), bytes.subarray(50_000)], headers: { 'transfer-encoding': 'chunked' } }).answer
      assert.equal(digest(unknown.body), digest(bytes))
      const empty = await client.ask({ method: 'POST', headers: { 'content-length': '0' }, body: [] }).answer
      assert.equal(empty.body.length, 0)
      const small = await client.ask({ method: 'PUT', body: [Buffer.from('x')], headers: { 'content-length': '1' } }).answer
      assert.equal(small.body.toString(), 'x')
    })

    test('answers of unknown length, HEAD, 204 and 304', async () => {
      handler = (request, response) => {
        request.resume()
        if (request.url === '/stream') {
          response.write('one ')
          response.write('two ')
          setImmediate(() => response.end('three'))
        } else if (request.url === '/head') {
          response.setHeader('content-length', '1234')
          response.end()
        } else {
          response.writeHead(Number(request.url?.slice(1)), request.url === '/304' ? { etag: '"x"' } : {})
          response.end()
        }
      }
      assert.equal((await client.ask({ path: '/stream' }).answer).body.toString(), 'one two three')
      const head = await client.ask({ method: 'HEAD', path: '/head' }).answer
      assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '1234', 0])
      const none = await client.ask({ path: '/204' }).answer
      assert.deepEqual([none.status, none.headers['content-length'], none.body.length], [204, undefined, 0])
      const same = await client.ask({ path: '/304' }).answer
      assert.deepEqual([same.status, same.headers['etag'], same.body.length], [304, '"x"', 0])
    })

    test('trailers both ways', async () => {
      let seen: unknown
      handler = async (request, response) => {
        const body = await bodyOf(request)
        seen = request.trailers['x-sum']
        response.writeHead(200, { trailer: 'x-back' })
        response.write(body)
        response.addTrailers({ 'x-back': 'done' })
        response.end()
      }
      const { body, trailers } = await client.ask({ method: 'POST', body: [Buffer.from('abc')], headers: { 'transfer-encoding': 'chunked', te: 'trailers' }, trailers: { 'x-sum': '6' } }).answer
      assert.deepEqual([seen, body.toString(), trailers['x-back']], ['6', 'abc', 'done'])
    })

    test('interim answers: 103 and 100', async () => {
      handler = async (request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload' })
        await bodyOf(request)
        response.end('ok')
      }
      const { status, interim } = await client.ask({ path: '/early' }).answer
      assert.deepEqual([status, interim], [200, [103]])
      const expecting = await client.ask({ method: 'POST', headers: { expect: '100-continue', 'content-length': '3' }, body: [Buffer.from('abc')] }).answer
      assert.equal(expecting.status, 200)
    })

    test('cookies arrive as one field', async () => {
      let seen: unknown
      handler = (request, response) => {
        seen = request.headers.cookie
        ok(request, response)
      }
      await client.ask({ headers: { cookie: down === 'h2' ? ['a=1', 'b=2', 'c=3'] : 'a=1; b=2; c=3' } }).answer
      assert.equal(seen, 'a=1; b=2; c=3')
    })

    test('a body that the service cuts short never comes to a clean end', async () => {
      handler = (_, response) => {
        response.writeHead(200, { 'content-length': '100000' })
        response.write(Buffer.alloc(50_000))
        setImmediate(() => response.socket?.destroy())
      }
      await assert.rejects(client.ask({ path: '/cut' }).answer)
      handler = (_, response) => {
        response.write('endless')
        setImmediate(() => backend.cut())
      }
      await assert.rejects(client.ask({ path: '/cut-unknown' }).answer)
      handler = ok
      assert.equal((await client.ask({}).answer).status, 200)
    })

    test('a client that goes away ends the work for it', async () => {
      const aborted = Promise.withResolvers<void>()
      const begun = Promise.withResolvers<void>()
      const other = Promise.withResolvers<void>()
      handler = (request, response) => {
        if (request.url === '/other') return void other.promise.then(() => response.end('fine'))
        request.on('aborted', () => aborted.resolve())
        response.on('close', () => aborted.resolve())
        begun.resolve()
      }
      const goesOn = client.ask({ path: '/other' }) // an idle connection to the service would be closed before long, and end the work too
      const running = client.ask({ path: '/wait' })
      await begun.promise
      running.abort()
      await within(aborted.promise, 5000, () => 'the service to hear of it')
      await assert.rejects(running.answer)
      other.resolve()
      assert.equal(String((await goesOn.answer).body), 'fine')
      await until(async () => await gauge('serai_client_aborts_total') > 0, { what: 'the abort to be counted' })
    })

    test('a service that is not there is a 502', async () => {
      plane.publish([service('nowhere', ['127.0.0.1:1'], { scheme: up === 'h1' ? 'http' : 'h2c' })])
      await plane.settled()
      const { status, body } = await client.ask({ host: 'nowhere.example.org' }).answer
      assert.equal(status, 502)
      assert.match(body.toString(), /could not be reached/)
      assert.equal((await client.ask({ host: 'unknown.example.org' }).answer).status, 404)
      assert.equal((await client.ask({ path: '/a/../../b' }).answer).status, 400)
    })

    test('an answer that comes before the end of the body is passed on, and the connection lives', async () => {
      handler = (request, response) => {
        response.writeHead(413)
        response.end('enough')
        request.resume()
      }
      const answer = await client.ask({ method: 'POST', body: [Buffer.alloc(10), Buffer.alloc(200_000)], headers: { 'transfer-encoding': 'chunked' } }).answer.catch((error: unknown) => error)
      assert.ok(answer instanceof Error ? down === 'h1' : (answer as { status: number }).status === 413)
      handler = ok
      assert.equal((await client.ask({}).answer).status, 200)
    })

    test('100 requests at once, each of 1 MiB there and back, no two mixed up', async (t) => {
      handler = (request, response) => {
        response.writeHead(200, { 'content-length': request.headers['content-length'] ?? '0' })
        request.pipe(response)
      }
      const begun = performance.now()
      const rounds = await Promise.all(Array.from({ length: 100 }, async (_, at) => {
        const bytes = Buffer.alloc(MIB, at)
        bytes.writeUInt32BE(at, at * 1000)
        const { body } = await client.ask({ method: 'POST', path: `/${at}`, headers: { 'content-length': String(MIB) }, body: [bytes.subarray(0, 300_000), bytes.subarray(300_000)] }).answer
        return body.equals(bytes)
      }))
      assert.deepEqual(rounds.filter((same) => !same), [])
      t.diagnostic(`200 MiB in ${(performance.now() - begun).toFixed(0)} ms`)
    })

    test('slow readers and slow services hold up nobody else', async () => {
      const gates: (() => void)[] = []
      handler = async (request, response) => {
        if (request.url === '/slow-service') {
          await new Promise<void>((resolve) => gates.push(resolve))
          response.end(digest(await bodyOf(request)))
        } else if (request.url === '/large') {
          response.writeHead(200, { 'content-length': String(MIB) })
          response.end(Buffer.alloc(MIB, 7))
        } else response.end(digest(await bodyOf(request)))
      }
      // Downloads that nobody reads yet, and uploads that the service does not take yet.
      const unread = await Promise.all(Array.from({ length: 8 }, () => client.ask({ path: '/large' }).opened))
      const bytes = randomBytes(MIB)
      const waiting = Array.from({ length: 4 }, () => client.ask({ method: 'POST', path: '/slow-service', headers: { 'content-length': String(MIB) }, body: [bytes] }))
      await until(() => gates.length === 4, { what: 'the uploads to have begun' })
      const quick = await Promise.all(Array.from({ length: 20 }, (_, at) => client.ask(at % 2 === 0 ? { path: '/quick' } : { method: 'POST', body: [bytes.subarray(0, 50_000)], headers: { 'content-length': '50000' } }).answer))
      assert.ok(quick.every(({ status }) => status === 200))
      for (const open of gates) open()
      const done = await Promise.all(waiting.map(({ answer }) => answer))
      assert.deepEqual(new Set(done.map(({ body }) => body.toString())), new Set([digest(bytes)]))
      const sizes = await Promise.all(unread.map(async ({ readable }) => {
        let size = 0
        for await (const part of readable) size += (part as Buffer).length
        return size
      }))
      assert.deepEqual(new Set(sizes), new Set([MIB]))
    })

    test('nothing is left over', async () => {
      handler = ok
      await client.ask({}).answer
      await until(async () => await gauge('serai_exchanges') === 0, { what: 'no exchange in flight' })
      await until(async () => await gauge('serai_body_buffer_bytes') === 0, { what: 'no body in memory' })
      assert.doesNotMatch(plane.logs.join('\n'), /error/)
      assert.equal(await gauge('serai_internal_errors_total'), 0)
    })
  })
}
