/** The later of two ISO UTC times; texts of one format compare as text. */
export function later(a: string, b: string): string {
  if (a > b) return a
  return b
}

/** Milliseconds since the epoch. */
export function ms(time: string): number {
  return Date.parse(time)
}
