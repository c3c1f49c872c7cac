// Texts that are made once and written often, in one piece.

/** The same text: V8 keeps a concatenation as a tree, copies it piece by piece at each write, and joins the pieces when it is first searched. */
export function flat(text: string): string {
  text.indexOf('\0')
  return text
}
