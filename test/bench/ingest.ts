import { type Case, type CaseResult, measureCase } from './measure-case.ts'
import { caseTable } from './report.ts'
import { type Bound, type Gate, type Outcome, runSuite, type SuiteResult } from './suite.ts'
import type { VariantName } from './variants.ts'

const keepAlive = { connections: 64, keepAlive: true, duplicates: false }
const VARIANTS = ['bare', 'nullStore', 'transaction', 'product'] as const

export const INGEST_CASES = [
  { ...keepAlive, name: 'keep-alive c=64' },
  { ...keepAlive, name: 'close c=64', keepAlive: false },
  { ...keepAlive, name: 'duplicates 50 % c=64', duplicates: true },
  { ...keepAlive, name: 'keep-alive c=8', connections: 8 },
  { ...keepAlive, name: 'keep-alive c=1', connections: 1 },
  { ...keepAlive, name: 'a minute c=64', warmUpMs: 60_000, variants: ['bare', 'product'] },
] as const satisfies readonly (Case & { variants?: readonly VariantName[] })[]

/** A bound on what a case of ingest shows. */
export interface IngestGate {
  case: string
  what: string
  value: (result: CaseResult) => number
  bound: Bound
}

/** Of the rates of two variants. */
export function rateGate(name: string, of: VariantName, to: VariantName, bound: Bound): IngestGate {
  return { case: name, what: `${of} / ${to}`, value: (result) => result.ratio(of, to), bound }
}

/** Of another figure of two variants. */
export function figureGate(
  name: string,
  figure: 'cpuUs' | 'p99Ms',
  of: VariantName,
  to: VariantName,
  bound: Bound,
): IngestGate {
  return {
    case: name,
    what: `${figure} ${of} / ${to}`,
    value: ({ variants }) => (variants[of]![figure] ?? Number.NaN) / (variants[to]![figure] ?? Number.NaN),
    bound,
  }
}

const SOAK = 'a minute c=64'

const GATES: readonly IngestGate[] = [
  rateGate('keep-alive c=64', 'product', 'nullStore', { atLeast: 0.5, target: 0.7 }),
  rateGate('close c=64', 'product', 'nullStore', { atLeast: 0.65, target: 0.85 }),
  rateGate('keep-alive c=64', 'product', 'transaction', { atLeast: 4, target: 6 }),
  figureGate('keep-alive c=64', 'cpuUs', 'product', 'nullStore', { atMost: 1.7, target: 1.3 }),
  figureGate('keep-alive c=64', 'p99Ms', 'product', 'nullStore', { atMost: 4, target: 2 }),
  {
    case: SOAK,
    what: 'bytes on disk per event',
    value: ({ variants }) => variants.product!.bytesPerEvent!,
    bound: { atMost: 4_500, target: 3_000 },
  },
  {
    case: SOAK,
    what: 'MB of memory',
    value: ({ variants }) => variants.product!.peakMb ?? Number.NaN,
    bound: { atMost: 256, target: 180 },
  },
]

/** Measures durable ingest against its references; answers what to write as JSON, and whether all is well. */
export function benchIngest({
  rounds,
  cases,
  print,
}: {
  rounds: number
  cases: readonly string[]
  print: (text: string) => void
}): Promise<SuiteResult> {
  return runSuite({
    suite: 'ingest',
    rounds,
    packages: ['better-sqlite3', 'kysely', 'express'],
    print,
    cases: INGEST_CASES.filter(({ name }) => cases.includes(name)).map((one) => async () => {
      const variants = 'variants' in one ? one.variants : VARIANTS
      return ingestOutcome(await measureCase(one, { rounds, variants }), GATES)
    }),
  })
}

/** A measured case of ingest, as any suite reports it. */
export function ingestOutcome(result: CaseResult, gates: readonly IngestGate[]): Outcome {
  return {
    name: result.name,
    pinned: result.pinned,
    bareRates: result.variants.bare!.rates,
    faults: result.faults,
    gates: gates
      .filter((gate) => gate.case === result.name)
      .map(({ what, value, bound }): Gate => ({ case: result.name, what, value: value(result), ...bound })),
    table: caseTable(result),
    json: { name: result.name, pinned: result.pinned, variants: result.variants, faults: result.faults },
  }
}
