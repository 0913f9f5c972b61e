import { styleText } from 'node:util'
import type { CaseResult, Measured } from './measure-case.ts'
import { VARIANTS, type VariantName } from './variants.ts'

type Column = [title: string, cell: (measured: Measured, name: VariantName, result: CaseResult) => string]

/** Only where there is a database server. */
const SERVER_CPU = 'PG us'

const COLUMNS: Column[] = [
  ['req/s', ({ median }) => median.toFixed(0)],
  ['best', ({ best }) => best.toFixed(0)],
  ['/bare', (_, name, result) => ratioCell(result, name, 'bare', 3)],
  ['/null', (_, name, result) => ratioCell(result, name, 'nullStore', 2)],
  ['/txn', (_, name, result) => ratioCell(result, name, 'transaction', 2)],
  ['p50 ms', ({ p50Ms }) => p50Ms.toFixed(2)],
  ['p99 ms', ({ p99Ms }) => p99Ms.toFixed(2)],
  ['CPU us', ({ cpuUs }) => number(cpuUs)],
  [SERVER_CPU, ({ databaseCpuUs }) => number(databaseCpuUs)],
  ['ev/commit', ({ eventsPerCommit }) => number(eventsPerCommit)],
  ['sent/s', ({ sentPerSecond }) => number(sentPerSecond)],
  ['RSS MB', ({ peakMb }) => number(peakMb)],
  ['B/event', ({ bytesPerEvent }) => number(bytesPerEvent)],
  ['non-2xx', ({ failed }) => `${failed}`],
  ['timeouts', ({ timedOut }) => `${timedOut}`],
  ['rows', rowsCell],
  ['gen %', ({ generatorBusy }) => (generatorBusy * 100).toFixed(0)],
]

/** One case as a table, a line for each variant. */
export function caseTable(result: CaseResult): string {
  const variants = Object.entries(result.variants) as [VariantName, Measured][]
  const hasServer = variants.some(([, { databaseCpuUs }]) => databaseCpuUs !== null)
  const columns = COLUMNS.filter(([title]) => title !== SERVER_CPU || hasServer)
  const header = [result.name, ...columns.map(([title]) => title)]
  const lines = variants.map(([name, measured]) => [
    VARIANTS[name].title,
    ...columns.map(([, cell]) => cell(measured, name, result)),
  ])
  return table([header, ...lines])
}

/** What the tables of a variant take on the disk, in bytes for each event: the dearest, and the others together. */
export function tablesTable({ tables, stored }: Measured): string {
  const perEvent = (bytes: number) => bytes / stored!.events
  const all = tables!.map(
    ({ table, bytes, indexBytes }) => [table, perEvent(bytes), perEvent(indexBytes)] as const,
  )
  const dear = all.filter(([, bytes]) => bytes >= 1)
  const others = all.filter(([, bytes]) => bytes < 1)
  const sum = (at: 1 | 2) => others.reduce((total, line) => total + line[at], 0)
  const lines = [...dear, [`${others.length} others`, sum(1), sum(2)] as const]
  return table([
    ['on disk', 'B/event', 'of these indexes'],
    ...lines.map(([name, bytes, indexBytes]) => [name, bytes.toFixed(0), indexBytes.toFixed(0)]),
  ])
}

/** Lines under a heading, in columns. */
export function table(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)))
  const [head, ...rest] = lines.map((line) =>
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[at]!))).join('  '),
  )
  return [styleText('bold', head!), ...rest].join('\n')
}

function ratioCell(result: CaseResult, of: VariantName, to: VariantName, digits: number): string {
  return result.variants[to] ? result.ratio(of, to).toFixed(digits) : '-'
}

function rowsCell({ stored, acknowledged }: Measured): string {
  if (!stored) return '-'
  const same = stored.events === acknowledged.events && stored.requests === acknowledged.requests
  return same ? `${stored.events}` : `${stored.events} of ${acknowledged.events}`
}

function number(value: number | null): string {
  return value === null ? '-' : value.toFixed(0)
}
