import type { InsertStep } from './statement.ts'

/** Parts of SQL that writes rows, the same for both databases. */

/** What becomes of a row whose key is there already. */
export function conflict({ columns, onConflict }: InsertStep): string {
  if (!onConflict) return ''
  const target = onConflict.columns ? ` (${names(onConflict.columns)})` : ''
  if (onConflict.do === 'ignore') return ` on conflict${target} do nothing`
  const others = columns.filter((column) => !onConflict.columns.includes(column))
  return ` on conflict${target} do update set ${others.map((name) => `${quoted(name)} = excluded.${quoted(name)}`)}`
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function names(columns: readonly string[]): string {
  return columns.map(quoted).join(', ')
}
