import { figureGate, rateGate, receivingSuite } from './receiving.ts'

const CASE = 'Alertmanager c=64'

/** Measures the product beside receivers of others, each on one core: how far it is from one that keeps all in memory. */
export const peers = receivingSuite({
  suite: 'peers',
  packages: ['better-sqlite3', 'kysely', 'express'],
  cases: [
    {
      name: CASE,
      connections: 64,
      keepAlive: true,
      duplicates: false,
      variants: ['bare', 'nullStore', 'product', 'alertmanager'],
    },
  ],
  gates: [
    rateGate(CASE, 'product', 'alertmanager', { atLeast: null, target: 0.85 }),
    figureGate(CASE, 'p99Ms', 'product', 'alertmanager', { atMost: null, target: 0.25 }),
  ],
})
