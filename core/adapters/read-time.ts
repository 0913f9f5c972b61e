/** Years a sender can mean. Earlier ones are "not set" (Go's year 1, the epoch), later ones a wrong unit. */
const EARLIEST = Date.UTC(2000, 0, 1)
const LATEST = Date.UTC(10_000, 0, 1) - 1

const DATE = /(?<year>\d{4})(?<dash>-?)(?<month>\d\d)\k<dash>(?<day>\d\d)/.source
const TIME =
  /(?<hour>\d\d)(?:(?<colon>:?)(?<minute>\d\d)(?:\k<colon>(?<second>\d\d)(?:[.,](?<fraction>\d+))?)?)?/.source
/** A zone, and what Go and Java put behind it. */
const ZONE =
  / ?(?:Z|UTC|GMT|(?<sign>[+\u2212-])(?<hours>\d\d):?(?<minutes>\d\d)?)(?: [A-Z0-9+-]+)?(?: m=\S+)?(?:\[[^\]]+\])?/
    .source
const DATE_TIME = new RegExp(`^${DATE}(?:[T ]${TIME}(?:${ZONE})?)?$`, 'i')
const DIGITS = /^\d{9,19}(?:\.\d+)?$/

/**
 * A moment as ISO UTC text with milliseconds, or null where it is none.
 * Reads ISO 8601 with and without its dashes and colons (without zone as UTC, a date alone as its midnight; no weeks and
 * no days of the year), Go's `2006-01-02 15:04:05.999 -0700 MST`, Java's `…+01:00[Europe/Paris]`, and Unix time in seconds, milliseconds, microseconds or nanoseconds, as a number or as digits.
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
  const parts = DATE_TIME.exec(text)?.groups
  if (!parts) return null

  const [year, month, day] = [Number(parts.year), Number(parts.month), Number(parts.day)]
  const [hour, minute, second] = [
    Number(parts.hour ?? 0),
    Number(parts.minute ?? 0),
    Number(parts.second ?? 0),
  ]
  const milliseconds = Number((parts.fraction ?? '0').slice(0, 3).padEnd(3, '0'))
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null
  if (hour > 24 || minute > 59 || second > 60) return null
  // The end of a day, in ISO 8601 of before 2019 and in Java.
  if (hour === 24 && minute + second + milliseconds > 0) return null

  return Date.UTC(year, month - 1, day, hour, minute, second, milliseconds) - offset(parts)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Distance from UTC in milliseconds. */
function offset({ sign, hours = '0', minutes = '0' }: Partial<Record<string, string>>): number {
  const distance = (Number(hours) * 60 + Number(minutes)) * 60_000
  return sign === '+' ? distance : -distance
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
