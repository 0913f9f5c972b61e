import { cleanLine } from '../untrusted-text.ts'

/** How times, durations and strangers' words stand in a post-mortem. `check` reads the same forms back. */

/** A stranger's text on one line, in quotation marks that it cannot close. */
export function quote(text: string): string {
  return `“${unquoted(text)}”`
}

/** A name as a word of the sentence where it looks like one, else in quotation marks. */
export function called(name: string): string {
  return /^\p{Lu}[\p{L}\p{N}]*(?: \p{Lu}[\p{L}\p{N}]*)*$/u.test(name) ? name : quote(name)
}

/** What stands between the quotation marks. */
export function unquoted(text: string): string {
  return cleanLine(text, MOST_QUOTED).replace(/[“”]/g, "'")
}

const MOST_QUOTED = 200

/** `2026-07-01 12:00:05`, UTC. */
export function dateTime(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)}`
}

/** `2026-07-01 at 12:00:05 UTC`. */
export function dateAtTime(time: string): string {
  return `${time.slice(0, 10)} at ${time.slice(11, 19)} UTC`
}

/** The UTC day of all these times, whose clocks then need no date; nothing where there are several. */
export function onlyDay(times: readonly (string | null)[]): string {
  const days = new Set(times.flatMap((time) => time?.slice(0, 10) ?? []))
  return days.size === 1 ? [...days][0]! : ''
}

/** Only the clock where it is the same day as `day`, another time or nothing. */
export function clock(time: string, day: string): string {
  return time.slice(0, 10) === day.slice(0, 10) ? time.slice(11, 19) : dateTime(time)
}

/** `2 min 10 s`: the two largest units that say something. */
export function duration(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1000)
  if (seconds === 0) return 'less than 1 s'
  const parts = UNITS.map(([name, size], i) => {
    const within = i === 0 ? seconds : seconds % UNITS[i - 1]![1]
    return { name, count: Math.floor(within / size) }
  })
  const first = parts.findIndex(({ count }) => count > 0)
  return parts
    .slice(first, first + 2)
    .filter(({ count }) => count > 0)
    .map(({ name, count }) => `${count} ${name}`)
    .join(' ')
}

const UNITS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const

/** `1 signal`, `2 signals`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}

/** `a`, `a and b`, `a, b and c`. */
export function list(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}
