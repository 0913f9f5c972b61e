/** Less than every id made at this time or later (milliseconds), more than most made before: ids tell their time. */
export function idBefore(time: number): string {
  const hex = time.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}
