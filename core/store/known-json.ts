/**
 * JSON that most events of an incident find and leave as it is: parsed once for many that read it, none of which may
 * change it, and written again without being made anew.
 */

const values = new Map<string, object>()
const texts = new WeakMap<object, string>()
/** How many values are kept, the oldest going first. */
const MOST_VALUES = 1_000
/** Texts of more characters are parsed each time. */
const MOST_LENGTH = 2_000

/** What a text says, for many to read and none to change. */
export function valueIn<T extends object>(text: string): T {
  let value = values.get(text) as T | undefined
  if (value === undefined) {
    value = JSON.parse(text) as T
    texts.set(value, text)
    if (text.length <= MOST_LENGTH) values.set(text, value)
    if (values.size > MOST_VALUES) values.delete(values.keys().next().value!)
  }
  return value
}

/** The text of a value: the one it was parsed from, where it was. */
export function textOf(value: object): string {
  return texts.get(value) ?? JSON.stringify(value)
}
