// Services that answer badly over HTTP/2: 502 or a cut, never somebody's answer; and those that say in good order that they did not take a request.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { CutError } from '#test/support/inbox.ts'
import { connect, get as ask } from '#test/support/client.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { block, frame, readFrames, rst, settings, SETTINGS_ACK, type, windowUpdate, word } from '#test/support/http2-frames.ts'
import { startPairBackend } from '#test/support/pairs.ts'

const OK = block([[':status', '200'], ['content-type', 'text/plain']])
let plane: DataPlane
let port = 0
/** What the service does with each request. */
let answer: (id: number, socket: Socket, index: number) => void
let requests = 0
const server = createServer((socket) => {
  let rest: Buffer = Buffer.alloc(0)
  let greeted = false
  socket.on('error', () => undefined)
  socket.write(settings())
  socket.on('data', (chunk: Buffer) => {
    let bytes = Buffer.concat([rest, chunk])
    if (!greeted) {
      bytes = bytes.subarray(24)
      greeted = true
    }
    const { frames, rest: left } = readFrames(bytes)
    rest = left
    for (const each of frames) {
      if (each.type === type.SETTINGS && (each.flags & 1) === 0) socket.write(SETTINGS_ACK)
      if (each.type === type.HEADERS) answer(each.id, socket, requests++)
    }
  })
})

before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  plane = await startDataPlane({ workers: 1 })
  plane.publish([service('bad', [`127.0.0.1:${port}`], { scheme: 'h2c' })])
  await plane.settled()
})
after(async () => {
  await plane[Symbol.asyncDispose]()
  server.close()
})

const bad: readonly (readonly [name: string, answer: (id: number, socket: Socket) => void])[] = [
  ['no :status', (id, socket) => socket.write(frame('HEADERS', 5, id, block([['x', 'y']])))],
  [':status behind a field', (id, socket) => socket.write(frame('HEADERS', 5, id, block([['x', 'y'], [':status', '200']])))],
  ['two :status', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], [':status', '201']])))],
  ['a :status that is none', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '2OO']])))],
  ['101', (id, socket) => socket.write(frame('HEADERS', 4, id, block([[':status', '101']])))],
  ['an interim answer that ends', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '103']])))],
  ['a connection field', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], ['connection', 'close']])))],
  ['transfer-encoding', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], ['transfer-encoding', 'chunked']])))],
  ['an upper-case name', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], ['X-Upper', 'y']])))],
  ['CR LF in a value', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], ['x', 'a\r\nSet-Cookie: evil=1']])))],
  ['two content-lengths', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], ['content-length', '0'], ['content-length', '0']])))],
  ['a content-length and no body', (id, socket) => socket.write(frame('HEADERS', 5, id, block([[':status', '200'], ['content-length', '5']])))],
  ['DATA before a head', (id, socket) => socket.write(frame('DATA', 1, id, 'evil'))],
  ['endless interim answers', (id, socket) => { for (let at = 0; at < 100; at++) socket.write(frame('HEADERS', 4, id, block([[':status', '103']]))) }],
  ['a push', (id, socket) => socket.write(frame('PUSH_PROMISE', 4, id, Buffer.concat([word(2), block([[':method', 'GET'], [':path', '/']])])))],
  ['HEADERS on a stream that nobody opened', (id, socket) => socket.write(frame('HEADERS', 5, id + 100, OK))],
  ['no HPACK', (id, socket) => socket.write(frame('HEADERS', 5, id, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff])))],
  ['a frame too large', (_, socket) => socket.write(Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1]))],
  ['HTTP/1.1', (_, socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')],
  ['a reset', (id, socket) => socket.write(rst(id, 2))],
]

suite('an answer over HTTP/2 that is none: 502', () => {
  for (const [name, respond] of bad) {
    test(name, async () => {
      answer = respond
      await using client = await connect(plane.port)
      client.send('POST / HTTP/1.1\r\nHost: bad.example.org\r\nContent-Length: 0\r\n\r\n')
      const { status, text } = await client.receiveResponse()
      assert.equal(status, 502, text)
      assert.doesNotMatch(text, /evil/)
    })
  }
})

suite('an answer over HTTP/2 that breaks off: cut', () => {
  const cut: readonly (readonly [name: string, answer: (id: number, socket: Socket) => void])[] = [
    ['less than content-length', (id, socket) => socket.write(Buffer.concat([frame('HEADERS', 4, id, block([[':status', '200'], ['content-length', '10']])), frame('DATA', 1, id, 'short')]))],
    ['more than content-length', (id, socket) => socket.write(Buffer.concat([frame('HEADERS', 4, id, block([[':status', '200'], ['content-length', '10']])), frame('DATA', 0, id, 'short'), frame('DATA', 1, id, 'and too long')]))],
    ['a reset', (id, socket) => socket.write(Buffer.concat([frame('HEADERS', 4, id, OK), frame('DATA', 0, id, 'begun'), rst(id, 0)]))],
    ['trailers with a pseudo-header field', (id, socket) => socket.write(Buffer.concat([frame('HEADERS', 4, id, OK), frame('DATA', 0, id, 'begun'), frame('HEADERS', 5, id, block([[':status', '200']]))]))],
    ['the end of the connection', (id, socket) => socket.end(Buffer.concat([frame('HEADERS', 4, id, OK), frame('DATA', 0, id, 'begun')]))],
  ]
  for (const [name, respond] of cut) {
    test(name, async () => {
      answer = respond
      await using client = await connect(plane.port)
      client.get('/', 'bad.example.org')
      await assert.rejects(client.receiveResponse(), CutError)
    })
  }
})

suite('an answer that is complete by its length, and whose stream ends later, or by a reset', () => {
  for (const [name, last] of [['an empty frame later', (id: number) => frame('DATA', 1, id)], ['a reset', (id: number) => rst(id, 0)]] as const) {
    test(`${name}: it is complete, once it is, and the client's connection goes on`, async () => {
      let socketOf: Socket | undefined
      let idOf = 0
      answer = (id, socket) => {
        socket.write(Buffer.concat([frame('HEADERS', 4, id, block([[':status', '200'], ['content-length', '4']])), frame('DATA', 0, id, 'whol')]))
        socketOf = socket
        idOf = id
      }
      await using client = await connect(plane.port)
      for (let at = 0; at < 3; at++) {
        client.get('/', 'bad.example.org')
        await client.receiveHead()
        socketOf!.write(last(idOf))
        assert.equal((await client.receiveBytes(4)).toString(), 'whol')
      }
    })
  }

  test('padding alone behind the last octet takes none of them away', async () => {
    answer = (id, socket) => void socket.write(Buffer.concat([frame('HEADERS', 4, id, block([[':status', '200'], ['content-length', '4']])), frame('DATA', 0, id, 'whol'), frame('DATA', 8, id, [1, 0]), frame('DATA', 9, id, [1, 0])]))
    assert.equal((await ask(plane.port, '/', 'bad.example.org')).text, 'whol')
  })

  test('an empty body by its length', async () => {
    answer = (id, socket) => void socket.write(frame('HEADERS', 4, id, block([[':status', '200'], ['content-length', '0']])))
    assert.equal((await ask(plane.port, '/', 'bad.example.org')).status, 200)
  })
})

suite('a service that did not take a request', () => {
  test('REFUSED_STREAM and GOAWAY: another endpoint is asked, a POST with its body too', async () => {
    for (const refuse of [
      (id: number, socket: Socket) => void socket.write(rst(id, 7)),
      (_: number, socket: Socket) => void socket.write(frame('GOAWAY', 0, 0, Buffer.concat([word(0), word(0)]))),
    ]) {
      let refused = 0
      answer = (id, socket) => {
        if (refused++ < 1) refuse(id, socket)
        else socket.write(Buffer.concat([frame('HEADERS', 4, id, OK), frame('DATA', 1, id, 'taken')]))
      }
      await using other = await startGood()
      plane.publish([service('mixed', [`127.0.0.1:${port}`, other.address], { scheme: 'h2c', balance: 'rr' })])
      await plane.settled()
      await using client = await connect(plane.port)
      for (let at = 0; at < 4; at++) {
        client.send('POST / HTTP/1.1\r\nHost: mixed.example.org\r\nContent-Length: 4\r\n\r\nbody')
        assert.match((await client.receiveResponse()).text, /taken/)
      }
      assert.equal(refused > 0, true)
    }
  })

  test('an answer before the end of the request', async () => {
    answer = (id, socket) => void socket.write(Buffer.concat([windowUpdate(id, 1), frame('HEADERS', 4, id, OK), frame('DATA', 1, id, 'early')]))
    assert.equal((await ask(plane.port, '/', 'bad.example.org')).text, 'early')
  })
})

/** A second endpoint that answers everything in good order. */
const startGood = (): ReturnType<typeof startPairBackend> => startPairBackend('h2', (request, response) => {
  request.resume()
  response.end('taken')
})

test('nothing of all that was a mistake of ours', async () => {
  assert.match(await plane.metrics(), /^serai_internal_errors_total(\{.*\})? 0$/m)
})
