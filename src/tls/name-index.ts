// Values by host name: the exact name, then its wildcard of one label, as in certificates (RFC 9525 6.3).

export class NameIndex<T> {
  readonly #values = new Map<string, T>()

  /** `name` is a host in lower case, or `*.` and the rest of one. */
  set(name: string, value: T): void {
    this.#values.set(name, value)
  }

  delete(name: string): void {
    this.#values.delete(name)
  }

  get(name: string): T | undefined {
    return this.#values.get(name)
  }

  /** What stands for a host: its own, or that of its wildcard. */
  find(host: string): T | undefined {
    const own = this.#values.get(host)
    if (own !== undefined || host === '') return own
    const dot = host.indexOf('.')
    return dot < 1 ? undefined : this.#values.get(`*${host.slice(dot)}`)
  }
}
