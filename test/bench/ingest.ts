import { figureGate, type ReceivingCase, rateGate, receivingSuite } from './receiving.ts'

const keepAlive = {
  connections: 64,
  keepAlive: true,
  duplicates: false,
  variants: ['bare', 'nullStore', 'transaction', 'product'],
} as const
const SOAK = 'a minute c=64'
const SLOW = 'slow disk c=64'

const CASES: readonly ReceivingCase[] = [
  { ...keepAlive, name: 'keep-alive c=64' },
  { ...keepAlive, name: 'close c=64', keepAlive: false },
  { ...keepAlive, name: 'duplicates 50 % c=64', duplicates: true },
  { ...keepAlive, name: 'keep-alive c=8', connections: 8 },
  { ...keepAlive, name: 'keep-alive c=1', connections: 1 },
  { ...keepAlive, name: '10k open incidents c=64', signals: 10_000 },
  { ...keepAlive, name: '50 alerts a POST c=8', connections: 8, alerts: 50 },
  { ...keepAlive, name: SLOW, variants: ['bare', 'slow0', 'slow2', 'slow10'] },
  { ...keepAlive, name: SOAK, warmUpMs: 60_000, variants: ['bare', 'product'], tablesOf: 'product' },
]

/** Measures durable ingest against its references. */
export const ingest = receivingSuite({
  suite: 'ingest',
  packages: ['better-sqlite3', 'kysely', 'express'],
  cases: CASES,
  gates: [
    rateGate('keep-alive c=64', 'product', 'nullStore', { atLeast: 0.5, target: 0.7 }),
    rateGate('close c=64', 'product', 'nullStore', { atLeast: 0.65, target: 0.85 }),
    rateGate('keep-alive c=64', 'product', 'transaction', { atLeast: 4, target: 6 }),
    figureGate('keep-alive c=64', 'cpuUs', 'product', 'nullStore', { atMost: 1.7, target: 1.3 }),
    figureGate('keep-alive c=64', 'p99Ms', 'product', 'nullStore', { atMost: 4, target: 2 }),
    rateGate(SLOW, 'slow2', 'slow0', { atLeast: 0.45, target: 0.6 }),
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
  ],
})
