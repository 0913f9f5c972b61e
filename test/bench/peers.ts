import { figureGate, rateGate, receivingSuite } from './receiving.ts'

const CASE = 'others c=64'

/**
 * Measures the product beside receivers of others, each on one core: how far it is from one that keeps all in memory, and
 * from one that starts a command.
 */
export const peers = receivingSuite({
  suite: 'peers',
  packages: ['better-sqlite3', 'kysely', 'express'],
  cases: [
    {
      name: CASE,
      connections: 64,
      keepAlive: true,
      duplicates: false,
      variants: ['bare', 'nullStore', 'product', 'alertmanager', 'webhook'],
    },
  ],
  gates: [
    rateGate(CASE, 'product', 'alertmanager', { atLeast: null, target: 0.85 }),
    rateGate(CASE, 'product', 'webhook', { atLeast: null, target: 1 }),
    figureGate(CASE, 'p99Ms', 'product', 'alertmanager', { atMost: null, target: 0.25 }),
  ],
})
