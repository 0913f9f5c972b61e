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
/** Bytes; larger bodies are rare, and comparing them takes a while. */
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

/** Remembers the last whole body of each signal, some megabytes of them. */
export function createEarlierBodies(): {
  /** What the body of this request may be compared with. */
  find(signal: string, requestId: string): EarlierBody | null
  /** A body that is on the disk as it is here. */
  remember(signal: string, requestId: string, body: Buffer): void
} {
  const bodies = new Map<string, EarlierBody>()
  let bytes = 0

  function forget(signal: string): void {
    const known = bodies.get(signal)
    if (known === undefined) return
    bytes -= known.body.length + ENTRY_BYTES
    bodies.delete(signal)
  }

  return {
    find(signal, requestId) {
      const earlier = bodies.get(signal)
      return earlier && dayOf(earlier.id) === dayOf(requestId) ? earlier : null
    },
    remember(signal, requestId, body) {
      if (body.length < LEAST_SAVED || body.length > MOST_COMPARED) return
      forget(signal)
      // A copy with memory of its own: a piece of a larger buffer, such as Node's pool, would hold all of that.
      const own = Buffer.allocUnsafeSlow(body.length)
      body.copy(own)
      bodies.set(signal, { id: requestId, body: own })
      bytes += body.length + ENTRY_BYTES
      for (const oldest of bodies.keys()) {
        if (bytes <= MOST_REMEMBERED) break
        forget(oldest)
      }
    },
  }
}
