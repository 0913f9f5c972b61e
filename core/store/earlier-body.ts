import { hash } from 'node:crypto'
import { dayOf } from './id-time.ts'

/**
 * A signal that speaks again mostly repeats what it said, but for a time or a state. Its body is then kept as what
 * differs from an earlier one of the same UTC day, which is kept whole. Whole days are forgotten at once, so that the
 * earlier one is there as long as what needs it.
 */

/** A request whose body is kept whole. */
export interface EarlierBody {
  id: string
  body: Buffer
}

/** What stands between the bytes that a body begins and ends with as the earlier one does. */
export interface Difference {
  middle: Buffer
  start: number
  end: number
}

/** Bytes a difference has to save; below that the columns that describe it are not worth it. */
const LEAST_SAVED = 256
/** Bytes; larger bodies are rare and would fill the memory, so of them only those that are the same are told. */
const MOST_COMPARED = 64 * 1024
/** Bytes of bodies that are remembered, and about what each needs besides. */
const MOST_REMEMBERED = 8 * 1024 * 1024
const ENTRY_BYTES = 500

/** What a body says that the earlier one does not; null where that is more than half of it. */
export function difference(earlier: Buffer, body: Buffer): Difference | null {
  const most = Math.min(earlier.length, body.length)
  let start = 0
  while (start < most && earlier[start] === body[start]) start++
  let end = 0
  while (end < most - start && earlier[earlier.length - 1 - end] === body[body.length - 1 - end]) end++
  const saved = start + end
  if (saved < LEAST_SAVED || saved < body.length / 2) return null
  return { middle: body.subarray(start, body.length - end), start, end }
}

/** The body that differs so from the earlier one. */
export function patched(earlier: Buffer, { middle, start, end }: Difference): Buffer {
  return Buffer.concat([earlier.subarray(0, start), middle, earlier.subarray(earlier.length - end)])
}

/** Of a large body its hash is enough to know the same one. */
type Remembered = EarlierBody | { id: string; hash: string; length: number }

/** Remembers the last whole body of each signal, some megabytes of them. */
export function createEarlierBodies(): {
  /** What this body of this request may be compared with. */
  find(signal: string, requestId: string, body: Buffer): EarlierBody | null
  /** A body that is on the disk as it is here. */
  remember(signal: string, requestId: string, body: Buffer): void
} {
  const bodies = new Map<string, Remembered>()
  let bytes = 0

  function forget(signal: string): void {
    const known = bodies.get(signal)
    if (known === undefined) return
    bytes -= bytesOf(known)
    bodies.delete(signal)
  }

  return {
    find(signal, requestId, body) {
      const earlier = bodies.get(signal)
      if (!earlier || dayOf(earlier.id) !== dayOf(requestId)) return null
      if ('body' in earlier) return earlier
      return earlier.length === body.length && earlier.hash === hashOf(body) ? { id: earlier.id, body } : null
    },
    remember(signal, requestId, body) {
      if (body.length < LEAST_SAVED) return
      forget(signal)
      const own =
        body.length > MOST_COMPARED
          ? { id: requestId, hash: hashOf(body), length: body.length }
          : { id: requestId, body: copyOf(body) }
      bodies.set(signal, own)
      bytes += bytesOf(own)
      for (const oldest of bodies.keys()) {
        if (bytes <= MOST_REMEMBERED) break
        forget(oldest)
      }
    },
  }
}

function bytesOf(remembered: Remembered): number {
  return ENTRY_BYTES + ('body' in remembered ? remembered.body.length : 0)
}

/** With memory of its own: a piece of a larger buffer, such as Node's pool, would hold all of that. */
function copyOf(body: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(body.length)
  body.copy(own)
  return own
}

function hashOf(body: Buffer): string {
  return hash('sha256', body, 'base64url')
}
