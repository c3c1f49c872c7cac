// What the demo says once it runs: what is where, and what to try.
import { keys } from './keys.ts'
import type { SampleCluster } from './sample-cluster.ts'
import { places } from './sample-jobs.ts'
import type { SampleName } from './sample-jobs.ts'

export interface Place {
  readonly cluster: SampleCluster
  readonly httpPort: number
  readonly httpsPort: number
  /** The path of the authority that signed the demo's certificate. */
  readonly ca: string
  readonly adminPort: number
  /** Since the command began. */
  readonly startedMs: number
}

/** The text for a terminal of 110 columns. */
export function screen({ cluster, httpPort, httpsPort, ca, adminPort, startedMs }: Place): string {
  const rows = (['web', 'api', 'shop'] satisfies SampleName[]).map((name) => {
    const members = cluster.running(name).map(({ instance, version, pid }) => `${instance} ${version} (pid ${pid})`)
    return `  ${name.padEnd(6)}${places[name].padEnd(20)}${members.join('  ')}`
  })
  return `
Serai runs at http://localhost:${httpPort} (${(startedMs / 1000).toFixed(1)} s), its admin page at http://localhost:${adminPort},
and the Nomad that it watches, a small one of its own, at http://${cluster.address}/v1/services

${rows.join('\n')}

Press a key, and watch what a client sees:

${keys.map(({ key, what }) => `  ${key}   ${what}`).join('\n')}

Try, in another terminal:

  a request           curl -H 'Host: a.example.org' http://localhost:${httpPort}/
  in a browser        http://a.localhost:${httpPort}  http://a.localhost:${httpPort}/api
  with TLS            curl --cacert ${ca} https://a.localhost:${httpsPort}/
  in a browser        https://a.localhost:${httpsPort}, once ${ca} is among its authorities
                      (their key is nowhere: after the demo it is of no more use; remove it then)
  see no error        while sleep 0.1; do curl -s -o /dev/null -w '%{http_code} ' http://a.localhost:${httpPort}/; done
  a canary            for i in $(seq 100); do curl -s http://shop.localhost:${httpPort}/; done | grep ^shop | sort | uniq -c
  a slow answer       curl -N http://a.localhost:${httpPort}/slow
  a job of your own   NOMAD_ADDR=http://${cluster.address} nomad job run -detach FILE.nomad.hcl   (raw_exec tasks are run)

Ctrl-C stops all of it.

`
}
