// Who belongs to something that outlives them by far: members know their place in an array, so that coming and going costs a write or two.

/** A member carries its place itself. */
export interface Member {
  /** Its place on the roster; -1: on none. Written by `Roster` alone. */
  place: number
}

/**
 * A set in no order, for what lives long while its members come and go by the thousand. A `Set` (or `Map`) makes a new table every so often, and
 * V8 lets each former one lead to the next: once one of them is old, all that ever was a member since is kept until the next whole collection, and
 * moved about by every small one before it (bench/README.md).
 */
export class Roster<M extends Member> {
  readonly #members: M[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: M): void {
    member.place = this.#members.length
    this.#members.push(member)
  }

  /** False: it was no member. */
  delete(member: M): boolean {
    const members = this.#members
    const { place } = member
    if (members[place] !== member) return false
    member.place = -1
    const last = members.pop()!
    if (last === member) return true
    members[place] = last
    last.place = place
    return true
  }

  /** One of them, where there are any: as `turn` grows, each in its turn. */
  inTurn(turn: number): M {
    return this.#members[turn % this.#members.length]!
  }

  /** Who is a member now, whatever becomes of them meanwhile. */
  all(): M[] {
    return [...this.#members]
  }
}
