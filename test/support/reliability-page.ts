import { availableParallelism, loadavg } from 'node:os'
import { migrations } from '../../core/store/migrations/index.ts'
import { type GeneratedPage, writeBlock } from './generated-blocks.ts'

/** One line of docs/reliability.md: what is promised, what holds it, and how that last went. */
export interface ReliabilityRow {
  /** Such as T1. */
  id: string
  promise: string
  /** Null where the database does not matter. */
  database: 'sqlite' | 'postgres' | null
  /** The file that holds it, from the root of the repository. */
  test: string
  /** Makes the figure again. */
  command: string
  /** What that command found, in its own words. */
  figure: string
  passed: boolean
  /** Day of the run, such as 2026-11-27. */
  on: string
  /** What it ran on, such as "2 cores, load 1.7, Node 24.11.1". */
  machine: string
  /** The newest migration of the program that ran, such as 0018; rows of before name none. */
  schema?: string
}

/** docs/reliability.md, with a block for each command. */
export const reliabilityPage: GeneratedPage<ReliabilityRow> = {
  page: 'docs/reliability.md',
  folder: 'docs/reliability',
  mark: 'rows of',
  keyOf,
  compare: (one, other) => compare(keyOf(one), keyOf(other)),
  render: table,
}

/** Renews the rows that one command found; `block` is its name there, such as `chaos`. */
export function writeReliability(block: string, rows: readonly ReliabilityRow[]): void {
  writeBlock(reliabilityPage, block, rows)
}

/** Where and when a row is found, and with which tables: here and now. */
export function hereAndNow(): Pick<ReliabilityRow, 'on' | 'machine' | 'schema'> {
  return {
    schema: Object.keys(migrations).at(-1)!.slice(0, 4),
    on: new Date().toISOString().slice(0, 10),
    machine: `${availableParallelism()} cores, load ${loadavg()[1]!.toFixed(1)}, Node ${process.versions.node}`,
  }
}

function table(rows: readonly ReliabilityRow[]): string {
  const lines = rows.map(({ id, promise, database, test, command, figure, passed, on, machine, schema }) => {
    const cells = [
      id,
      promise,
      database ?? '–',
      `[${test.split('/').at(-1)}](../${test})`,
      `\`${command}\``,
      `${passed ? '' : '**missed:** '}${figure} (${on}, ${schema === undefined ? '' : `schema ${schema}, `}${machine})`,
    ]
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  })
  return [
    '| | promise | database | test | command | last figure |',
    '|---|---|---|---|---|---|',
    ...lines,
  ].join('\n')
}

function keyOf({ id, database }: Pick<ReliabilityRow, 'id' | 'database'>): string {
  return `${id.replace(/\d+/, (number) => number.padStart(3, '0'))} ${database ?? ''}`
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}
