import { randomUUID } from 'node:crypto'

/**
 * Makes a maker of UUIDv7 text (RFC 9562, 5.7). Ids of one maker only ever increase, so they sort as they were made,
 * also inside a millisecond and when the clock goes back. `random` is `randomBytes` of node:crypto.
 */
export function createIds(now: () => Date, random: (size: number) => Buffer): () => string {
  let time = 0
  let counter = 0
  let timeText = ''
  let pool: Buffer = Buffer.alloc(0)
  let used = 0

  function take(size: number): number {
    if (used + size > pool.length) {
      pool = random(8192)
      used = 0
    }
    used += size
    return used - size
  }

  function startMillisecond(at: number): void {
    time = at
    // A random start that leaves half of the range to count in (RFC 9562, 6.2, method 1).
    const place = take(4)
    counter = pool.readUInt32BE(place) >>> (32 - COUNTER_BITS + 1)
    const hex = time.toString(16).padStart(12, '0')
    timeText = `${hex.slice(0, 8)}-${hex.slice(8)}-7`
  }

  return () => {
    const at = now().getTime()
    if (at > time) startMillisecond(at)
    else if (counter < COUNTER_MAX) counter++
    else startMillisecond(time + 1)

    // The counter fills rand_a and, after the variant bits, the first 14 bits of rand_b.
    const a = counter >>> 14
    const b = 0x8000 | (counter & 0x3fff)
    const place = take(6)
    return (
      `${timeText + HEX[a >>> 8]!.charAt(1) + HEX[a & 0xff]!}-${HEX[b >>> 8]!}${HEX[b & 0xff]!}-` +
      pool.toString('hex', place, place + 6)
    )
  }
}

/** Projects stand in addresses that strangers see, so their ids tell no time. */
export function newProjectId(): string {
  return randomUUID()
}

const COUNTER_BITS = 26
const COUNTER_MAX = 2 ** COUNTER_BITS - 1
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
