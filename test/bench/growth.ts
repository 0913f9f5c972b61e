import { figureGate, type ReceivingCase, rateGate, receivingSuite } from './receiving.ts'

const load = { connections: 64, keepAlive: true, duplicates: false } as const

/** Each has 10,000 open incidents, and all that came before is of them. */
const GROWN = [
  { name: '100k against 10k', grown: 'after100k' },
  { name: '1M against 10k', grown: 'after1M' },
] as const

/** Measures what a long past costs: ingest with many events stored against ingest with few. */
export const growth = receivingSuite({
  suite: 'growth',
  packages: ['better-sqlite3', 'kysely', 'express'],
  cases: GROWN.map(
    ({ name, grown }): ReceivingCase => ({ ...load, name, variants: ['bare', 'after10k', grown] }),
  ),
  gates: GROWN.flatMap(({ name, grown }) => [
    rateGate(name, grown, 'after10k', { atLeast: 0.6, target: 0.8 }),
    figureGate(name, 'cpuUs', grown, 'after10k', { atMost: 1.5, target: 1.2 }),
  ]),
})
