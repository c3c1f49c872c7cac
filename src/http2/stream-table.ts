// The open streams of one connection by their ids: a small table whose streams are linked where they collide, so that nothing is left of those that have gone.
import type { Stream } from './stream.ts'

const LEAST = 16

/** In place of a `Map`, for the reason that `io/roster.ts` gives. */
export class StreamTable {
  size = 0
  /** Streams whose ids end alike, each the first of those in its place; a power of two. */
  #places: (Stream | null)[] = emptyPlaces(LEAST)

  get(id: number): Stream | undefined {
    let stream = this.#places[this.#placeOf(id)]!
    while (stream !== null && stream.id !== id) stream = stream.next!
    return stream ?? undefined
  }

  /** One that is not in it. */
  add(stream: Stream): void {
    if (++this.size > this.#places.length) this.#grow()
    this.#enter(stream)
  }

  /** One that is in it. */
  delete(stream: Stream): void {
    const place = this.#placeOf(stream.id)
    let before = this.#places[place]!
    if (before === stream) this.#places[place] = stream.next
    else {
      while (before.next !== stream) before = before.next!
      before.next = stream.next
    }
    stream.next = null
    this.size--
  }

  /** Those that are open now, whatever becomes of them meanwhile; the oldest first. */
  all(): Stream[] {
    const all: Stream[] = []
    for (const first of this.#places) for (let stream = first; stream !== null; stream = stream.next) all.push(stream)
    return all.sort((a, b) => a.id - b.id)
  }

  /** Ids of streams are odd. */
  #placeOf(id: number): number {
    return (id >>> 1) & (this.#places.length - 1)
  }

  #enter(stream: Stream): void {
    const place = this.#placeOf(stream.id)
    stream.next = this.#places[place]!
    this.#places[place] = stream
  }

  #grow(): void {
    const streams = this.all()
    this.#places = emptyPlaces(2 * this.#places.length)
    for (const stream of streams) this.#enter(stream)
  }
}

const emptyPlaces = (count: number): (Stream | null)[] => new Array<Stream | null>(count).fill(null)
