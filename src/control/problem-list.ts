// Gathers problems: what many instances share is told once.

import type { Problem } from '#src/catalog/catalog.ts'
import { compare } from './carriers.ts'

export interface ProblemList {
  tell(problem: Problem): void
  /** Sorted, and the same for the same problems in any order. */
  toArray(): Problem[]
}

export function createProblemList(): ProblemList {
  const places = new Map<string, { problem: Problem; where: Set<string> }>()
  return {
    tell(problem) {
      const id = JSON.stringify([problem.service, problem.router, problem.tag, problem.reason])
      const entry = places.get(id)
      if (entry === undefined) places.set(id, { problem, where: new Set([problem.where]) })
      else entry.where.add(problem.where)
    },
    toArray() {
      return Array.from(places.values(), ({ problem, where }) => ({ ...problem, where: showPlaces([...where]) }))
        .sort((a, b) => compare(a.service, b.service) || compare(a.router, b.router) || compare(a.tag, b.tag) || compare(a.reason, b.reason))
    },
  }
}

function showPlaces(places: readonly string[]): string {
  const [first = ''] = places.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }) || compare(a, b))
  return places.length === 1 ? first : `${first} and ${places.length - 1} more`
}
