// HTML as a template tag that escapes whatever is put into it.

/** Text that is safe HTML already; only `html` makes it. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Value = string | number | Html | readonly Html[]

/** Everything put in is escaped, unless `html` made it. Tags, hosts and reasons are hostile input. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(parts.reduce((text, part, at) => text + rendered(values[at - 1]!) + part))
}

function rendered(value: Value): string {
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.map(({ text }) => text).join('')
  return escaped(String(value))
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escaped(text: string): string {
  // Marks that reverse the direction of writing could make a host look like another.
  return text.replace(/[&<>"']/g, (char) => entities[char]!).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
}
