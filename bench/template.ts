// Configuration files with places to fill in.

/** `@name@` becomes the value of that name. Throws for a name that is not given. */
export function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/@([a-z0-9]+)@/gi, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`no value for @${name}@`)
    return String(value)
  })
}
