import { setTimeout as wait } from 'node:timers/promises'
import { percentile } from '../bench/measures.ts'
import { audit } from './audit.ts'
import type { Fault } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openPlace, resend, underLoad } from './load.ts'

const REQUESTS = 5_000
const BURST_MS = 5_000
const SOCKETS = 500
/** Sentry waits a second. */
const MOST_P99_MS = 900

export const burst: Fault = {
  id: 'T11',
  promise:
    '5,000 alerts in five seconds over 500 connections are answered within 900 ms or refused with Retry-After, and no connection is reset',
  databases: ['sqlite', 'postgres'],
  runs: 5,
  onDemand: { counts: 'bursts', file: 'test/chaos/burst.ts' },
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const tocsin = await world.start(databaseUrl)
    const place = await openPlace(tocsin)
    const ledger = await openLedger(world)
    const load = { place, ledger, random: world.random, addresses: [tocsin.address] }
    const wrong: string[] = []
    const p99s: number[] = []
    let [answers, refused, slowestMs] = [0, 0, 0]

    for (let run = 0; run < runs; run++) {
      const perSecond = (REQUESTS * 1_000) / BURST_MS
      const tally = await underLoad({ ...load, perSecond, senders: SOCKETS }, () => wait(BURST_MS))
      const p99 = percentile(tally.tookMs, 0.99)
      world.say(`${tally.tookMs.length} answers ${JSON.stringify(tally.statuses)}, p99 ${p99.toFixed(0)} ms`)
      wrong.push(...findWrongAnswers(tally, false), ...(await resend({ ...load, address: tocsin.address })))
      p99s.push(p99)
      answers += tally.tookMs.length
      refused += tally.statuses[503] ?? 0
      slowestMs = Math.max(slowestMs, tally.slowestMs)
    }
    const worstMs = Math.max(...p99s)
    if (worstMs > MOST_P99_MS) wrong.push(`one in a hundred answers took ${worstMs.toFixed(0)} ms`)
    // A sender whose answer is late sends less, which must not make the burst a small one.
    if (answers < 0.95 * runs * REQUESTS)
      wrong.push(`only ${answers} of ${runs * REQUESTS} alerts went out in time`)

    await tocsin.stop()
    const found = await audit(databaseUrl, place.projectId, ledger)
    return {
      figure:
        `${runs} bursts over ${SOCKETS} connections, ${answers} answers, ${refused} of them 503, no reset; ` +
        `p99 ${worstMs.toFixed(0)} ms in the worst burst, slowest ${slowestMs.toFixed(0)} ms; ` +
        `${ledger.allAcknowledged().length} alerts, ${found.lost} lost, ${found.doubled} doubled`,
      wrong: [...wrong, ...found.wrong],
    }
  },
}
