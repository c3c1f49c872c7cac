// Each file of golden/tags: the tags of one instance, and what they must be read as.
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { parse } from 'yaml'
import { readSeraiTags } from '#src/tags/serai.ts'

interface Case {
  readonly tags: readonly string[]
  readonly defaultHost?: string
  readonly prefix?: string
  readonly expect: unknown
}

const folder = new URL('tags/', import.meta.url)

for (const name of (await readdir(folder)).sort()) {
  test(`tags: ${name.replace('.yaml', '')}`, async () => {
    const { tags, defaultHost = '', prefix = 'serai', expect } = parse(await readFile(new URL(name, folder), 'utf8')) as Case
    const { enabled, routers, service, problems } = readSeraiTags(tags, prefix, { defaultHost })
    const shown = {
      enabled,
      routers: Object.fromEntries(routers.map(({ name, matches, policy, refuse }) => [name, {
        matches: matches.map(({ host, path, kind }) => `${host === '' ? '*' : host} ${kind === 'exact' ? '=' : ''}${path}`),
        ...(Object.keys(policy).length > 0 ? { policy } : {}),
        ...(refuse === '' ? {} : { refuse }),
      }])),
      service,
      problems: problems.map(({ router, tag, reason }) => `[${router}] ${tag}: ${reason}`),
    }
    assert.deepEqual(shown, expect)
  })
}
