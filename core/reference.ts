/** The number people use: INC-042, at least three digits (design.md 6). */
export function reference(number: number): string {
  return `INC-${String(number).padStart(3, '0')}`
}

/** The number of a reference such as INC-042 or inc-42; undefined for anything else, such as an id. */
export function numberOf(text: string): number | undefined {
  const digits = /^inc-(\d{1,9})$/i.exec(text)?.[1]
  return digits === undefined ? undefined : Number(digits)
}
