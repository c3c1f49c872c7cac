// A service's check, run for real: first after half an interval, then at each interval; one result decides.
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import type { Cancel, Clock } from '#src/development/clock.ts'
import { toMs } from '#src/development/duration.ts'
import type { Check } from '#src/development/job/specification.ts'

/** In the form of the API. */
export interface CheckResult {
  readonly ID: string
  readonly Check: string
  readonly Group: string
  readonly Mode: 'healthiness' | 'readiness'
  readonly Output: string
  readonly Service: string
  readonly Status: 'pending' | 'success' | 'failure'
  /** Of an HTTP answer, if there was one. */
  readonly StatusCode?: number
  /** Only of a task's service. */
  readonly Task?: string
  /** Seconds since 1970. */
  readonly Timestamp: number
}

export interface CheckSubject {
  readonly id: string
  readonly check: Check
  /** The allocation's name. */
  readonly group: string
  readonly task: string
  readonly service: string
  readonly host: string
  readonly port: number
}

type Outcome = Pick<CheckResult, 'Status' | 'Output' | 'StatusCode'>

/** As much of an answer as Nomad keeps. */
const MAX_OUTPUT = 3072

export class CheckRunner {
  readonly subject: CheckSubject
  readonly #clock: Clock
  readonly #onResult: (runner: CheckRunner) => void
  #cancel: Cancel | undefined
  #stopped = false
  #result: CheckResult

  constructor(subject: CheckSubject, clock: Clock, onResult: (runner: CheckRunner) => void) {
    this.subject = subject
    this.#clock = clock
    this.#onResult = onResult
    this.#result = this.#describe({ Status: 'pending', Output: 'nomad: waiting to run' })
    this.#cancel = clock.after(toMs(subject.check.Interval) / 2, () => { this.#run() })
  }

  get result(): CheckResult {
    return this.#result
  }

  stop(): void {
    this.#stopped = true
    this.#cancel?.()
  }

  #run(): void {
    this.#cancel = this.#clock.after(toMs(this.subject.check.Interval), () => { this.#run() })
    const { check, host, port } = this.subject
    void (check.Type === 'tcp' ? connects(host, port, toMs(check.Timeout)) : asks(check, host, port)).then((outcome) => {
      if (this.#stopped) return
      this.#result = this.#describe(outcome)
      this.#onResult(this)
    })
  }

  #describe(outcome: Outcome): CheckResult {
    const { id, check, group, task, service } = this.subject
    const mode = check.OnUpdate === 'ignore' ? 'readiness' : 'healthiness'
    return { ID: id, Check: check.Name, Group: group, Mode: mode, Service: service, Timestamp: Math.floor(this.#clock.now() / 1000), ...(task === '' ? {} : { Task: task }), ...outcome }
  }
}

function connects(host: string, port: number, timeout: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port })
    const answer = (outcome: Outcome): void => {
      socket.destroy()
      resolve(outcome)
    }
    socket.setTimeout(timeout, () => { answer({ Status: 'failure', Output: `dial tcp ${host}:${port}: i/o timeout` }) })
    socket.once('connect', () => { answer({ Status: 'success', Output: 'nomad: tcp ok' }) })
    socket.once('error', () => { answer({ Status: 'failure', Output: `dial tcp ${host}:${port}: connect: connection refused` }) })
  })
}

function asks({ Protocol, Method, Path, Header, Body, Timeout }: Check, host: string, port: number): Promise<Outcome> {
  const method = Method === '' ? 'GET' : Method
  const url = `${Protocol === '' ? 'http' : Protocol}://${host.includes(':') ? `[${host}]` : host}:${port}${Path}`
  const failed = (reason: string): Outcome => ({ Status: 'failure', Output: `nomad: ${method.charAt(0)}${method.slice(1).toLowerCase()} "${url}": ${reason}` })
  return new Promise((resolve) => {
    const request = (Protocol === 'https' ? https : http).request(url, { method, headers: { 'User-Agent': 'Nomad/2.0.6-dev', ...Header }, timeout: toMs(Timeout), rejectUnauthorized: false, agent: false })
    request.once('timeout', () => {
      resolve(failed('context deadline exceeded'))
      request.destroy()
    })
    request.once('error', () => { resolve(failed(`dial tcp ${host}:${port}: connect: connection refused`)) })
    request.once('response', (response) => {
      const { statusCode = 0 } = response
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => { if (text.length < MAX_OUTPUT) text += chunk })
      response.once('close', () => {
        resolve({ Status: statusCode < 400 ? 'success' : 'failure', Output: statusCode === 200 ? 'nomad: http ok' : text.slice(0, MAX_OUTPUT), StatusCode: statusCode })
      })
    })
    request.end(Body)
  })
}
