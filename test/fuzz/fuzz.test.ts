import { adapterSlugs } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { databaseKinds, freshDatabase } from '../support/databases.ts'
import { fuzz, MOST_MS } from './fuzz.ts'

/** `npm run fuzz` sends 100,000 of each, with a new seed every time. */
const RUNS = { sqlite: 2000, postgres: 200 }

describe.each(databaseKinds)('spoiled bodies of every tool, on %s', (kind) => {
  test('are answered without a 5xx and without holding the process up, and what was taken can be read', async () => {
    const database = await freshDatabase(kind)
    const { reports, longestMs } = await fuzz({
      databaseUrl: database.url,
      adapters: adapterSlugs,
      runs: RUNS[kind],
      seed: 1,
    }).finally(() => database.dispose())

    for (const { adapter, requests, failures, statuses } of reports) {
      expect([adapter, requests, failures]).toEqual([adapter, RUNS[kind], []])
      // A fuzzer that is refused everywhere tests nothing.
      const taken = (statuses[200] ?? 0) + (statuses[202] ?? 0)
      expect(taken, adapter).toBeGreaterThan(RUNS[kind] / 10)
      expect(statuses[401], adapter).toBeUndefined()
    }
    expect(longestMs).toBeLessThan(MOST_MS)
  }, 600_000)
})
