// What the demo says once it runs: what is where, and what to try.
import type { Instance } from './instances.ts'

export interface Place {
  readonly instances: readonly Instance[]
  readonly services: string
  readonly httpPort: number
  readonly adminPort: number
  /** Since the command began. */
  readonly startedMs: number
}

/** The text for a terminal of 100 columns. */
export function screen({ instances, services, httpPort, adminPort, startedMs }: Place): string {
  const hosts: Readonly<Record<string, string>> = { web: 'a.example.org', api: 'a.example.org/api', shop: 'shop.example.org' }
  const rows = [...new Set(instances.map(({ service }) => service))].map((service) => {
    const members = instances.filter((each) => each.service === service).map(({ name, pid }) => `${name} (pid ${pid})`)
    return `  ${service.padEnd(6)}${(hosts[service] ?? '').padEnd(20)}${members.join('  ')}`
  })
  const victim = instances[0]
  return `
Serai runs at http://localhost:${httpPort} (${(startedMs / 1000).toFixed(1)} s), its admin page at http://localhost:${adminPort}

${rows.join('\n')}

Try, in another terminal:

  a request           curl -H 'Host: a.example.org' http://localhost:${httpPort}/
  in a browser        http://a.localhost:${httpPort}  http://a.localhost:${httpPort}/api
  a canary            for i in $(seq 100); do curl -s http://shop.localhost:${httpPort}/; done | grep ^shop | sort | uniq -c
  a slow answer       curl -N http://a.localhost:${httpPort}/slow
  kill an instance    kill ${victim?.pid}
    and see no error  for i in $(seq 20); do curl -s -o /dev/null -w '%{http_code} ' http://a.localhost:${httpPort}/; done
  add a service       edit ${services}
                      (take the # off its last three lines, save, open http://new.localhost:${httpPort})
  break the file      write nonsense into it: the routes stay, and http://localhost:${adminPort}/api/problems says what is wrong

Ctrl-C stops all of it.

`
}
