// Hashing for the hash policy: the same on every machine, cheap, and even; not against enemies, for which the policy's bound on load is there.

/** 32 bits of a text (FNV-1a over its UTF-16 units, then mixed). */
export function hash32(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return scramble(hash)
}

/** A number in (0, 1) from 32 bits: close inputs give unrelated numbers. */
export const mix = (bits: number): number => ((scramble(bits) >>> 0) + 0.5) / 4_294_967_296

/** The finaliser of MurmurHash3: each bit of the input turns about half of the output's. */
function scramble(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}
