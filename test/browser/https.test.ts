// A real browser over TLS: it loads a page and what that asks for, and says clearly when a name has no certificate.
import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { chromium } from 'playwright-core'
import { startHttpBackend } from '#test/support/http-backend.ts'
import { authority, startHttps } from '#test/support/https.ts'
import { needs } from '#test/support/real-servers.ts'

const PAGE = `<!doctype html><title>waiting</title><script>
  Promise.all(Array.from({ length: 20 }, (_, at) => fetch('/part?' + at).then((response) => response.text())))
    .then((parts) => { document.title = parts.join('') })
</script>`

test('chromium loads a page with 20 requests over TLS, and is told when a name has no certificate', async (t) => {
  const executablePath = needs(t, 'chromium')
  if (executablePath === undefined) return
  await using backend = await startHttpBackend(({ url, headers }, response) => {
    if (url === '/') response.setHeader('Content-Type', 'text/html')
    response.end(url === '/' ? PAGE : headers['x-forwarded-proto'] === 'https' ? 'x' : '?')
  })
  const certificate = authority.issue(['a.example.org', 'b.example.org'])
  await using https = await startHttps({
    services: [{ name: 'web', tags: ['serai.host=a.example.org, b.example.org'], instances: [backend.address] }], certificates: { a: certificate },
    tls: { hsts: { maxAge: '1h' } },
  })
  // The browser trusts this one key, and no other: as if the authority were among its own.
  const spki = createHash('sha256').update(new X509Certificate(certificate.cert).publicKey.export({ type: 'spki', format: 'der' })).digest('base64')
  const browser = await chromium.launch({
    executablePath, args: ['--no-sandbox', `--ignore-certificate-errors-spki-list=${spki}`, '--host-resolver-rules=MAP *.example.org 127.0.0.1'],
  })
  try {
    const page = await browser.newPage()
    for (const host of ['a.example.org', 'b.example.org']) {
      const response = await page.goto(`https://${host}:${https.port}/`)
      assert.equal(response?.status(), 200)
      assert.equal((await response?.allHeaders())?.['strict-transport-security'], 'max-age=3600')
      await page.waitForFunction("document.title !== 'waiting'")
      assert.equal(await page.title(), 'x'.repeat(20))
      const protocol = await page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol')
      assert.equal(protocol, 'h2')
      const details = await response?.securityDetails()
      assert.equal(details?.protocol, 'TLS 1.3')
    }
    await assert.rejects(page.goto(`https://none.example.org:${https.port}/`), /ERR_SSL_UNRECOGNIZED_NAME_ALERT/)
  } finally {
    await browser.close()
  }
})
