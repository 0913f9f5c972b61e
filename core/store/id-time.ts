const DAY_MS = 24 * 3_600_000

/** Less than every id made at this time or later (milliseconds), more than most made before: ids tell their time. */
export function idBefore(time: number): string {
  const hex = time.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

/** The UTC day an id was made on, counted from 1970. */
export function dayOf(id: string): number {
  return Math.floor(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) / DAY_MS)
}

/** The start of the UTC day a time lies in (milliseconds). */
export function startOfDay(time: number): number {
  return time - (time % DAY_MS)
}
