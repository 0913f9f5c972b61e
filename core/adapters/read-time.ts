/** Years a sender can mean. Earlier ones are "not set" (Go's year 1, the epoch), later ones a wrong unit. */
const EARLIEST = Date.UTC(2000, 0, 1)
const LATEST = Date.UTC(10_000, 0, 1) - 1

const DATE_TIME =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?(Z|UTC|GMT|([+-])(\d\d):?(\d\d)?)(?: [A-Z0-9+-]+)?(?: m=\S+)?)?$/i
const DIGITS = /^\d{9,19}(?:\.\d+)?$/

/**
 * A moment as ISO UTC text with milliseconds, or null where it is none.
 * Reads RFC 3339, a date and time without zone (as UTC), Go's `2006-01-02 15:04:05.999 -0700 MST`, and
 * Unix time in seconds, milliseconds, microseconds or nanoseconds, as a number or as digits.
 */
export function readTime(value: unknown): string | null {
  if (typeof value === 'number') return fromEpoch(value)
  if (typeof value !== 'string' || value.length > 80) return null

  const text = value.trim()
  if (DIGITS.test(text)) return fromEpoch(Number(text))
  const milliseconds = ofDateTime(text)
  return milliseconds === null ? null : fromMilliseconds(milliseconds)
}

/** Whether a text is a moment at all, also where it is one no sender can mean, such as Go's year 1. */
export function isTime(text: string): boolean {
  return text.length <= 80 && (DIGITS.test(text.trim()) || ofDateTime(text.trim()) !== null)
}

/** Milliseconds since 1970. */
function ofDateTime(text: string): number | null {
  const parts = DATE_TIME.exec(text)
  if (!parts) return null

  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])]
  const [hour, minute, second] = [Number(parts[4]), Number(parts[5]), Number(parts[6] ?? 0)]
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null
  if (hour > 23 || minute > 59 || second > 60) return null

  const milliseconds = Number((parts[7] ?? '0').slice(0, 3).padEnd(3, '0'))
  const local = Date.UTC(year, month - 1, day, hour, minute, second, milliseconds)
  return local - offset(parts)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Distance from UTC in milliseconds. */
function offset(parts: RegExpExecArray): number {
  const minutes = Number(parts[10] ?? 0) * 60 + Number(parts[11] ?? 0)
  return (parts[9] === '-' ? -minutes : minutes) * 60_000
}

function fromEpoch(value: number): string | null {
  // In the years we accept the four units cannot be taken for one another.
  for (const millisecondsPerUnit of [1000, 1, 1e-3, 1e-6]) {
    const time = fromMilliseconds(Math.round(value * millisecondsPerUnit))
    if (time !== null) return time
  }
  return null
}

function fromMilliseconds(milliseconds: number): string | null {
  const inRange = milliseconds >= EARLIEST && milliseconds <= LATEST
  return inRange ? new Date(milliseconds).toISOString() : null
}
