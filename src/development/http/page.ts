// Lists of the API cut into pages, after filtering.
import { text } from './answer.ts'
import type { Answer } from './answer.ts'
import { FilterError, parseFilter } from './filter.ts'

export interface Page<T> {
  readonly elements: readonly T[]
  readonly nextToken?: string
}

/** The elements that `filter`, `per_page` and `next_token` ask for. `keys` are the tokens, in the order of the list; `shape` is what filters see. */
export function pageOf<T>(list: readonly T[], query: URLSearchParams, key: (element: T) => string, shape: (element: T) => object): Page<T> | Answer {
  try {
    const matches = parseFilter(query.get('filter') ?? '')
    const kept = list.filter((element) => matches(shape(element) as Readonly<Record<string, unknown>>))
    const size = Number(query.get('per_page') ?? 0)
    const token = query.get('next_token') ?? ''
    const start = token === '' ? 0 : Math.max(0, kept.findIndex((element) => key(element) === token))
    if (!(size > 0)) return { elements: kept.slice(start) }
    const next = kept[start + size]
    return { elements: kept.slice(start, start + size), ...(next === undefined ? {} : { nextToken: key(next) }) }
  } catch (error) {
    if (error instanceof FilterError) return text(400, error.message)
    throw error
  }
}

export const isPage = <T>(page: Page<T> | Answer): page is Page<T> => 'elements' in page
