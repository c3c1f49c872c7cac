// The services file that Serai is given, written as an operator would write it.
import { hostName } from './peer.ts'

/** `count` services, each with a host of its own; `instances` gives the addresses of one by its number. */
export function servicesFile(count: number, instances: (index: number) => readonly string[]): string {
  const entries = Array.from({ length: count }, (_, index) =>
    `  - name: s${index}\n    tags: ["serai.host=${hostName(index)}"]\n    instances:\n${instances(index).map((address) => `      - ${address}\n`).join('')}`)
  return `services:\n${entries.join('')}`
}
