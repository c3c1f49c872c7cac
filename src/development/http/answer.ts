// An answer of the API before it is written: status, meta headers, body.

/** What the consistent-read headers say. */
export interface Meta {
  readonly index: number
  readonly nextToken?: string
}

export interface Answer {
  readonly status: number
  /** The text that is sent: JSON, or Nomad's plain words. */
  readonly body: string
  readonly type: 'json' | 'text' | 'none'
  readonly meta?: Meta
  /** Only an index, as writes answer. */
  readonly index?: number
  /** Answers that come from a client agent vary otherwise. */
  readonly fromClient?: boolean
}

export const json = (value: unknown, meta?: Meta): Answer => ({ status: 200, body: JSON.stringify(value), type: 'json', ...(meta === undefined ? {} : { meta }) })

/** JSON that is text already. */
export const jsonText = (body: string, meta: Meta): Answer => ({ status: 200, body, type: 'json', meta })

export const text = (status: number, body: string, meta?: Meta): Answer => ({ status, body, type: 'text', ...(meta === undefined ? {} : { meta }) })

export const DENIED = text(403, 'Permission denied')
export const WRONG_METHOD = text(405, 'Invalid method')
export const NO_ENDPOINT: Answer = { status: 404, body: '', type: 'none' }
