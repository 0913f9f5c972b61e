import { type Case, type CaseResult, measureCase } from './measure-case.ts'
import { caseTable } from './report.ts'
import { type Gate, type Outcome, runSuite, type SuiteResult } from './suite.ts'
import type { VariantName } from './variants.ts'

const keepAlive = { connections: 64, keepAlive: true, duplicates: false }
const VARIANTS = ['bare', 'nullStore', 'transaction', 'product'] as const

export const INGEST_CASES = [
  { ...keepAlive, name: 'keep-alive c=64' },
  { ...keepAlive, name: 'close c=64', keepAlive: false },
  { ...keepAlive, name: 'duplicates 50 % c=64', duplicates: true },
  { ...keepAlive, name: 'keep-alive c=8', connections: 8 },
  { ...keepAlive, name: 'keep-alive c=1', connections: 1 },
] as const satisfies readonly Case[]

interface IngestGate {
  case: string
  of: VariantName
  to: VariantName
  atLeast: number
}

/** Loose enough for any machine; only ratios of one run count. */
const GATES: readonly IngestGate[] = [
  { case: 'keep-alive c=64', of: 'product', to: 'nullStore', atLeast: 0.4 },
  { case: 'close c=64', of: 'product', to: 'nullStore', atLeast: 0.55 },
  { case: 'keep-alive c=64', of: 'product', to: 'transaction', atLeast: 4 },
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
      const result = await measureCase(one, { rounds, variants: VARIANTS })
      return {
        ...ingestOutcome(result, GATES),
        json: {
          ...figuresOf(result),
          productToNullStore: result.ratio('product', 'nullStore'),
          productToTransaction: result.ratio('product', 'transaction'),
          productToBare: result.ratio('product', 'bare'),
        },
      }
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
      .map((gate): Gate => ({ ...gate, ratio: result.ratio(gate.of, gate.to) })),
    table: caseTable(result),
    json: figuresOf(result),
  }
}

function figuresOf({ name, pinned, variants, faults }: CaseResult): object {
  return { name, pinned, variants, faults }
}
