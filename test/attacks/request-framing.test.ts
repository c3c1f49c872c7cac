// Request smuggling by framing: wherever two readers could see two ends of a message, nobody may see any.
import { after, before } from 'node:test'
import { FOLLOWER, HOST, openArena, testAttacks } from './arena.ts'
import type { Arena, Attack } from './arena.ts'

let arena: Arena
before(async () => { arena = await openArena() })
after(() => arena[Symbol.asyncDispose]())

const post = (fields: string, body = ''): string => `POST /a HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n${body}`
const chunked = (body: string): string => post('Transfer-Encoding: chunked\r\n', body)
const SMUGGLED = `GET /smuggled HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`

/** Fields that leave no doubt that there is doubt. */
const ambiguous: readonly (readonly [name: string, fields: string, status: number])[] = [
  ['Content-Length before Transfer-Encoding', 'Content-Length: 6\r\nTransfer-Encoding: chunked\r\n', 400],
  ['Transfer-Encoding before Content-Length', 'Transfer-Encoding: chunked\r\nContent-Length: 6\r\n', 400],
  ['Content-Length 0 and Transfer-Encoding', 'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n', 400],
  ['Content-Length and an unknown coding', 'Content-Length: 6\r\nTransfer-Encoding: xchunked\r\n', 400],
  ['two different Content-Lengths', 'Content-Length: 6\r\nContent-Length: 5\r\n', 400],
  ['two equal Content-Lengths', 'Content-Length: 6\r\nContent-Length: 6\r\n', 400],
  ['a list in Content-Length', 'Content-Length: 6, 6\r\n', 400],
  ['an empty Content-Length', 'Content-Length:\r\n', 400],
  ['a signed Content-Length', 'Content-Length: +6\r\n', 400],
  ['a negative Content-Length', 'Content-Length: -6\r\n', 400],
  ['Content-Length in hex', 'Content-Length: 0x6\r\n', 400],
  ['Content-Length with a fraction', 'Content-Length: 6.0\r\n', 400],
  ['Content-Length with an exponent', 'Content-Length: 6e0\r\n', 400],
  ['Content-Length with a space inside', 'Content-Length: 1 6\r\n', 400],
  ['Content-Length with an underscore inside', 'Content-Length: 1_6\r\n', 400],
  ['Content-Length beyond 2^53', 'Content-Length: 9007199254740993\r\n', 400],
  ['Content-Length beyond 2^64', 'Content-Length: 18446744073709551622\r\n', 400],
  ['Content-Length in quotes', 'Content-Length: "6"\r\n', 400],
  ['Content-Length in other digits', 'Content-Length: \xb2\r\n', 400],
  ['two Transfer-Encodings', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', 400],
  ['chunked, then identity', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n', 400],
  ['a list that ends in chunked', 'Transfer-Encoding: gzip, chunked\r\n', 400],
  ['chunked twice in a list', 'Transfer-Encoding: chunked, chunked\r\n', 400],
  ['chunked before another coding', 'Transfer-Encoding: chunked, gzip\r\n', 400],
  ['an empty member before chunked', 'Transfer-Encoding: , chunked\r\n', 400],
  ['a comma behind chunked', 'Transfer-Encoding: chunked,\r\n', 400],
  ['an empty Transfer-Encoding', 'Transfer-Encoding:\r\n', 400],
  ['identity', 'Transfer-Encoding: identity\r\n', 501],
  ['an unknown coding', 'Transfer-Encoding: xchunked\r\n', 501],
  ['chunked in quotes', 'Transfer-Encoding: "chunked"\r\n', 400],
  ['chunked with a parameter', 'Transfer-Encoding: chunked;q=1\r\n', 400],
  ['chunked behind a vertical tab', 'Transfer-Encoding: \x0bchunked\r\n', 400],
  ['chunked behind a form feed', 'Transfer-Encoding: \x0cchunked\r\n', 400],
  ['chunked before a NUL', 'Transfer-Encoding: chunked\0\r\n', 400],
  ['chunked before a no-break space', 'Transfer-Encoding: chunked\xa0\r\n', 400],
  ['a space before the colon of Transfer-Encoding', 'Transfer-Encoding : chunked\r\n', 400],
  ['a tab before the colon of Content-Length', 'Content-Length\t: 6\r\n', 400],
  ['a space before the first name', ' Transfer-Encoding: chunked\r\n', 400],
  ['a folded Transfer-Encoding', 'Transfer-Encoding:\r\n chunked\r\n', 400],
  ['a field folded with a tab', 'X: a\r\n\tTransfer-Encoding: chunked\r\n', 400],
  ['a bare LF before Transfer-Encoding', 'X: a\nTransfer-Encoding: chunked\r\n', 400],
  ['a bare CR before Transfer-Encoding', 'X: a\rTransfer-Encoding: chunked\r\n', 400],
  ['CR CR LF at the end of a line', 'X: a\r\r\nContent-Length: 6\r\n', 400],
  ['NUL in a value', 'X: a\0b\r\nContent-Length: 6\r\n', 400],
  ['NUL in a name', 'X\0Y: a\r\nContent-Length: 6\r\n', 400],
  ['DEL in a value', 'X: a\x7f\r\nContent-Length: 6\r\n', 400],
  ['ESC in a value', 'X: a\x1b[2J\r\nContent-Length: 6\r\n', 400],
  ['a name with a letter beyond ASCII', 'Transfer-Encod\xefng: chunked\r\nContent-Length: 6\r\n', 400],
  ['a name in brackets', '[Transfer-Encoding]: chunked\r\n', 400],
  ['an empty name', ': chunked\r\nContent-Length: 6\r\n', 400],
  ['a line without a colon', 'Transfer-Encoding chunked\r\n', 400],
]

const badChunks: readonly (readonly [name: string, body: string])[] = [
  ['a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a size with a plus', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a space before a size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a space behind a size', '5 \r\nhello\r\n0\r\n\r\n'],
  ['a tab behind a size', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['an empty size', '\r\nhello\r\n0\r\n\r\n'],
  ['a size that is no hex', 'g\r\nhello\r\n0\r\n\r\n'],
  ['an underscore in a size', '0_5\r\nhello\r\n0\r\n\r\n'],
  ['a comma in a size', '5,5\r\nhello\r\n0\r\n\r\n'],
  ['a size beyond 2^64', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a size that wraps 64 bits to zero', '10000000000000000\r\n\r\n'],
  ['a size with more zeros than anybody needs', '00000000000005\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF behind a size', '5\nhello\r\n0\r\n\r\n'],
  ['a bare CR behind a size', '5\rhello\r\n0\r\n\r\n'],
  ['a chunk longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
  ['a chunk shorter than its size', '6\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF behind a chunk', '5\r\nhello\n0\r\n\r\n'],
  ['a bare CR behind a chunk', '5\r\nhello\r0\r\n\r\n'],
  ['nothing behind a chunk', '5\r\nhello0\r\n\r\n'],
  ['a bare LF in an extension', '5;a\nhello\r\n0\r\n\r\n'],
  ['a bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['NUL in an extension', '5;a\0\r\nhello\r\n0\r\n\r\n'],
  ['an extension without end', `5;${'a'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`],
  ['extensions that add up', `${`1;${'a'.repeat(1000)}\r\nx\r\n`.repeat(5)}0\r\n\r\n`],
  ['a bare LF behind the last chunk', '0\n\n'],
  ['a bare LF behind the last size', '0\n\r\n'],
  ['a bare LF in the trailers', '0\r\nX: a\nY: b\r\n\r\n'],
  ['a folded trailer', '0\r\nX: a\r\n b\r\n\r\n'],
  ['a space before the colon of a trailer', '0\r\nX : a\r\n\r\n'],
  ['a trailer that is no field', '0\r\nGET /smuggled HTTP/1.1\r\n\r\n'],
  ['trailers without end', `0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
  ['more trailers than anybody needs', `0\r\n${'X: a\r\n'.repeat(65)}\r\n`],
]

const attacks: readonly Attack[] = [
  ...ambiguous.map(([name, fields, refused]) => ({ name, send: post(fields, `0\r\n\r\n${SMUGGLED}`), refused })),
  ...badChunks.map(([name, body]) => ({ name, send: chunked(`${body}${SMUGGLED}`), refused: 400 })),
  { name: 'HTTP/1.0 with Transfer-Encoding', send: `POST /a HTTP/1.0\r\nHost: ${HOST}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, refused: 400 },
  { name: 'an empty line with a bare LF before the request', send: `\n${SMUGGLED}`, refused: 400 },
  { name: 'more empty lines before a request than anybody needs', send: `\r\n\r\n\r\n${SMUGGLED}`, refused: 400 },
  { name: 'a head with bare LFs alone', send: `GET / HTTP/1.1\nHost: ${HOST}\n\n${SMUGGLED}`, refused: 400 },
  { name: 'an empty line of LF CR LF', send: `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\n\r\n`, refused: 400 },

  { name: 'one empty line before a request is passed over', send: `\r\nGET /a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, sees: ['GET /a'] },
  { name: 'a body that looks like a request stays a body', send: post(`Content-Length: ${FOLLOWER.length}\r\n`, FOLLOWER), sees: [`POST /a ${FOLLOWER}`.trim()] },
  { name: 'a chunk that looks like a request stays a chunk', send: chunked(`${FOLLOWER.length.toString(16)}\r\n${FOLLOWER}\r\n0\r\n\r\n`), sees: [`POST /a ${FOLLOWER}`.trim()] },
  { name: 'Content-Length with leading zeros is a number like any other', send: post('Content-Length: 0005\r\n', 'hello'), sees: ['POST /a hello'] },
  { name: 'the coding in capitals', send: post('tRANSFER-eNCODING: CHUNKED\r\n', '5\r\nhello\r\n0\r\n\r\n'), sees: ['POST /a hello'] },
  { name: 'extensions are read and not passed on', send: chunked('5;a=b;c="d e"\r\nhello\r\n000;x\r\n\r\n'), sees: ['POST /a hello'] },
  { name: 'Content_Length is dropped, not believed', send: `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nContent_Length: 70\r\n\r\n`, sees: ['GET /a'] },
  { name: 'Transfer_Encoding and Transfer.Encoding are dropped, not believed', send: `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer_Encoding: chunked\r\nTransfer.Encoding: chunked\r\n\r\n`, sees: ['GET /a'] },
  { name: 'a GET may have a body, and it is counted', send: `GET /a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\n\r\nhello`, sees: ['GET /a hello'] },
  { name: 'HTTP/1.0 with a length', send: `POST /a HTTP/1.0\r\nHost: ${HOST}\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello`, sees: ['POST /a hello'] },
  {
    name: 'trailers that frame, route or authenticate do not go on, others do',
    send: chunked('0\r\nX-Sum: 1\r\nContent-Length: 5\r\nTransfer_Encoding: chunked\r\nHost: b\r\nAuthorization: x\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: a=b\r\n\r\n'),
    sees: ['POST /a'],
    check: ({ trailers }) => { if (JSON.stringify(trailers.pairs) !== '[["X-Sum","1"]]') throw new Error(`trailers: ${JSON.stringify(trailers.pairs)}`) },
  },
]

testAttacks(() => arena, attacks)
