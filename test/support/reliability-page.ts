import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { inRepository } from './child.ts'

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
  /** What it ran on, such as "2 cores, Node 24.11.1". */
  machine: string
}

const PAGE = 'docs/reliability.md'
const FOLDER = 'docs/reliability'

/**
 * Keeps what one command found beside the page and renews the block of that command. Rows it did not run this time stay.
 * `block`: the name in the page's marks and of the file, such as `chaos`.
 */
export function writeReliability(block: string, rows: readonly ReliabilityRow[]): void {
  const kept = readRows(block).filter((old) => !rows.some((row) => keyOf(row) === keyOf(old)))
  const all = [...kept, ...rows].toSorted((one, other) => compare(keyOf(one), keyOf(other)))
  writeFileSync(inRepository(`${FOLDER}/${block}.json`), `${JSON.stringify(all, null, 2)}\n`)
  writeFileSync(inRepository(PAGE), renderReliability())
}

/** The page as its rows say it should be. Throws where it lacks the marks of a block. */
export function renderReliability(): string {
  const blocks = readdirSync(inRepository(FOLDER)).map((name) => name.replace('.json', ''))
  return blocks.reduce(
    (page, block) => {
      const begin = `<!-- rows of ${block} -->`
      const [from, to] = [page.indexOf(begin), page.indexOf('<!-- end -->', page.indexOf(begin))]
      if (from === -1 || to === -1) throw new Error(`${PAGE} lacks the marks ${begin} and <!-- end -->.`)
      return `${page.slice(0, from + begin.length)}\n\n${table(readRows(block))}\n\n${page.slice(to)}`
    },
    readFileSync(inRepository(PAGE), 'utf8'),
  )
}

function readRows(block: string): ReliabilityRow[] {
  const path = inRepository(`${FOLDER}/${block}.json`)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ReliabilityRow[]) : []
}

function table(rows: readonly ReliabilityRow[]): string {
  const lines = rows.map(({ id, promise, database, test, command, figure, passed, on, machine }) => {
    const cells = [
      id,
      promise,
      database ?? '–',
      `[${test.split('/').at(-1)}](../${test})`,
      `\`${command}\``,
      `${passed ? '' : '**missed:** '}${figure} (${on}, ${machine})`,
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
