import { figureGate, type IngestGate, ingestOutcome, rateGate } from './ingest.ts'
import { measureCase } from './measure-case.ts'
import { runSuite, type SuiteResult } from './suite.ts'
import type { VariantName } from './variants.ts'

const load = { connections: 64, keepAlive: true, duplicates: false }

/** Each has 10,000 open incidents, and all that came before is of them. */
const CASES: readonly { name: string; grown: VariantName }[] = [
  { name: '100k against 10k', grown: 'after100k' },
  { name: '1M against 10k', grown: 'after1M' },
]

export const GROWTH_CASES = CASES.map(({ name }) => name)

const GATES: readonly IngestGate[] = CASES.flatMap(({ name, grown }) => [
  rateGate(name, grown, 'after10k', { atLeast: 0.6, target: 0.8 }),
  figureGate(name, 'cpuUs', grown, 'after10k', { atMost: 1.5, target: 1.2 }),
])

/** Measures what a long past costs: ingest with many events stored against ingest with few. */
export function benchGrowth({
  rounds,
  cases,
  print,
}: {
  rounds: number
  cases: readonly string[]
  print: (text: string) => void
}): Promise<SuiteResult> {
  return runSuite({
    suite: 'growth',
    rounds,
    packages: ['better-sqlite3', 'kysely', 'express'],
    print,
    cases: CASES.filter(({ name }) => cases.includes(name)).map(({ name, grown }) => async () => {
      const variants = ['bare', 'after10k', grown] as const
      return ingestOutcome(await measureCase({ ...load, name }, { rounds, variants }), GATES)
    }),
  })
}
