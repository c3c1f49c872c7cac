// Text of others made harmless for a terminal.

/** Control characters and marks that turn the direction of writing, as `\u` escapes: they could steer a terminal, or make a host look like another. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
