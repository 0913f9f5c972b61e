import { hash } from 'node:crypto'
import type { Insertable } from 'kysely'
import type { SharedTextTable } from './schema.ts'

/**
 * A signal that fires again mostly says the same once more. Such text is kept once per project, under its hash, as long
 * as the project. Bodies of requests before 0012 are kept without its longest part.
 */

/** Text below this many characters is not worth a row of its own. */
const LEAST = 256

/** Metadata of an event as text to share; null where it is too short for that. */
export function sharedText(
  projectId: string,
  metadata: Record<string, unknown>,
): Insertable<SharedTextTable> | null {
  const known = texts.get(metadata)
  if (known !== undefined) return known
  const text = JSON.stringify(metadata)
  const shared =
    text.length < LEAST
      ? null
      : { project_id: projectId, hash: hash('sha256', text, 'base64url').slice(0, 32), text }
  texts.set(metadata, shared)
  return shared
}

const texts = new WeakMap<object, Insertable<SharedTextTable> | null>()

/** The body that it was cut out of. */
export function putBack(rest: Buffer, text: string, at: number): Buffer {
  return Buffer.concat([rest.subarray(0, at), longestOf(text), rest.subarray(at)])
}

/** The longest string of a JSON text, as it stands there, without its quotes. */
function longestOf(text: string): Buffer {
  let longest = ''
  for (const [string] of text.matchAll(STRING)) if (string.length > longest.length) longest = string
  return Buffer.from(longest.slice(1, -1))
}

const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"/g
