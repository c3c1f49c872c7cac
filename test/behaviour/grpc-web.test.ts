// gRPC-Web as browsers speak it, over HTTP/1.1 and HTTP/2, in octets and in base64, to a service that speaks gRPC.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { DataPlaneSettings } from '#src/snapshot.ts'
import { service, startDataPlane, type DataPlane } from '#test/support/data-plane.ts'
import { bodyOf, startClient, startPairBackend, type PairBackend } from '#test/support/pairs.ts'

let plane: DataPlane
let backend: PairBackend
const change = (same: DataPlaneSettings): DataPlaneSettings => ({ ...same, listeners: same.listeners.map((each) => ({ ...each, h2c: true })) })
const message = (text: string): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(text.length, 1)
  return Buffer.concat([head, Buffer.from(text)])
}
/** The messages of a body, and the lines of its trailers. */
function taken(body: Buffer): { readonly messages: string[]; readonly trailers: string } {
  const messages: string[] = []
  let trailers = ''
  for (let at = 0; at < body.length;) {
    const size = body.readUInt32BE(at + 1)
    const text = body.toString('latin1', at + 5, at + 5 + size)
    if ((body[at]! & 0x80) === 0) messages.push(text)
    else trailers = text
    at += 5 + size
  }
  return { messages, trailers }
}

before(async () => {
  backend = await startPairBackend('h2', async (request, response) => {
    const body = await bodyOf(request)
    assert.deepEqual([request.headers['content-type'], request.headers['te'], request.headers['x-grpc-web']], ['application/grpc+proto', 'trailers', undefined])
    response.writeHead(200, { 'content-type': 'application/grpc+proto', trailer: 'grpc-status' })
    response.write(body)
    setImmediate(() => {
      response.write(message('second'))
      response.addTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' })
      response.end()
    })
  })
  plane = await startDataPlane({ workers: 1, settings: change })
  plane.publish([service('web', [backend.address], { scheme: 'grpc' }), service('dead', ['127.0.0.1:1'], { scheme: 'grpc' })])
  await plane.settled()
})
after(async () => {
  await plane[Symbol.asyncDispose]()
  await backend[Symbol.asyncDispose]()
})

for (const protocol of ['h1', 'h2'] as const) {
  test(`${protocol}: octets`, async () => {
    await using client = startClient(protocol, plane.port)
    const sent = message('hello')
    const { status, headers, body } = await client.ask({ method: 'POST', path: '/test.Echo/Unary', body: [sent], headers: { 'content-type': 'application/grpc-web+proto', 'content-length': String(sent.length), 'x-grpc-web': '1' } }).answer
    assert.deepEqual([status, headers['content-type']], [200, 'application/grpc-web+proto'])
    const { messages, trailers } = taken(body)
    assert.deepEqual(messages, ['hello', 'second'])
    assert.match(trailers, /^(?=[^]*grpc-status: 0\r\n)(?=[^]*grpc-message: fine\r\n)/)
  })

  test(`${protocol}: base64, in pieces that end anywhere`, async () => {
    await using client = startClient(protocol, plane.port)
    const text = message('hello, base64').toString('base64')
    const { headers, body } = await client.ask({ method: 'POST', path: '/test.Echo/Unary', body: [Buffer.from(text.slice(0, 5)), Buffer.from(text.slice(5, 6)), Buffer.from(text.slice(6))], headers: { 'content-type': 'application/grpc-web-text+proto', 'transfer-encoding': 'chunked' } }).answer
    assert.equal(headers['content-type'], 'application/grpc-web-text+proto')
    const octets = Buffer.concat([...body.toString().matchAll(/[^=]+={0,2}/g)].map(([piece]) => Buffer.from(piece, 'base64')))
    assert.deepEqual(taken(octets).messages, ['hello, base64', 'second'])
    const broken = await client.ask({ method: 'POST', path: '/test.Echo/Unary', body: [Buffer.from('not*base64!')], headers: { 'content-type': 'application/grpc-web-text', 'content-length': '11' } }).answer
    assert.deepEqual([broken.status, broken.headers['grpc-status']], [200, '13'])
  })

  test(`${protocol}: an error of ours`, async () => {
    await using client = startClient(protocol, plane.port)
    const { status, headers } = await client.ask({ method: 'POST', path: '/test.Echo/Unary', host: 'dead.example.org', body: [message('x')], headers: { 'content-type': 'application/grpc-web', 'content-length': '6' } }).answer
    assert.deepEqual([status, headers['grpc-status'], headers['content-type']], [200, '14', 'application/grpc-web'])
  })
}
