// Heads: parsing requests and responses, and writing what goes on.
import { nothingTold } from '#src/downstream/stream.ts'
import { isFault, parseRequestHead, type RequestHead } from '#src/http1/request-head.ts'
import { parseResponseHead } from '#src/http1/response-head.ts'
import { responseHeadText } from '#src/http1/response-text.ts'
import { forwarding } from '#src/proxy/forwarding.ts'
import { requestText } from '#src/proxy/request-text.ts'
import type { Case } from './measure.ts'

const small = 'GET / HTTP/1.1\r\nHost: h500.example.org\r\n'
const browser = [
  'GET /assets/app.js?v=20260101 HTTP/1.1', 'Host: h500.example.org', 'Connection: keep-alive', 'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
  'sec-ch-ua-mobile: ?0', 'sec-ch-ua-platform: "Linux"',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36', 'Accept: */*',
  'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: script', 'Referer: https://h500.example.org/start',
  'Accept-Encoding: gzip, deflate, br, zstd', 'Accept-Language: en-GB,en;q=0.9,de;q=0.8', 'Cookie: session=0123456789abcdef0123456789abcdef; theme=dark', '',
].join('\r\n')
const response = [
  'HTTP/1.1 200 OK', 'Server: nginx/1.22.1', 'Date: Thu, 01 Jan 2026 00:00:00 GMT', 'Content-Type: text/plain', 'Content-Length: 66', 'Connection: keep-alive', '',
].join('\r\n')
const limits = { headers: 100, via: 'serai-0123456789ab' }
const peer = { address: '203.0.113.9', trusted: false, scheme: 'http', localPort: 80, since: 0, tls: null, instead: '', redirectPort: 0, told: nothingTold() } as const

export const cases: readonly Case[] = [
  { name: 'request head, small (2 lines)', run: (times) => parsed(small, times) },
  { name: 'request head, of a browser (15 lines)', run: (times) => parsed(browser, times) },
  { name: 'response head (6 lines)', run: (times) => responses(times) },
  { name: 'request text with forwarding fields', run: (times) => requestTexts(times) },
  { name: 'response head text', run: (times) => responseTexts(times) },
]

/** As on a connection: from a buffer, decoded anew each time. */
function parsed(text: string, times: number): number {
  const bytes = Buffer.from(text, 'latin1')
  let sum = 0
  for (let time = 0; time < times; time++) sum += requestOf(bytes.latin1Slice(0, bytes.length)).fields.length
  return sum
}

function requestOf(text: string): RequestHead {
  const head = parseRequestHead(text, limits)
  if (isFault(head)) throw new Error(head.reason)
  return head
}

function responses(times: number): number {
  const bytes = Buffer.from(response, 'latin1')
  let sum = 0
  for (let time = 0; time < times; time++) {
    const head = parseResponseHead(bytes.latin1Slice(0, bytes.length), 'GET')
    if (typeof head === 'string') throw new Error(head)
    sum += head.fields.length
  }
  return sum
}

/** Flattened into a buffer, as a write does. */
function requestTexts(times: number): number {
  const head = requestOf(browser)
  const out = Buffer.alloc(4096)
  let sum = 0
  for (let time = 0; time < times; time++) sum += out.latin1Write(requestText(head, head.rawPath, forwarding(head, peer, limits.via, '0123456789abcdef'), ''))
  return sum
}

function responseTexts(times: number): number {
  const head = parseResponseHead(response, 'GET')
  if (typeof head === 'string') throw new Error(head)
  const out = Buffer.alloc(4096)
  const outgoing = { status: 200, reason: 'OK', fields: head.fields, length: 66, bodiless: false }
  let sum = 0
  for (let time = 0; time < times; time++) sum += out.latin1Write(responseHeadText(outgoing, 1, false))
  return sum
}
