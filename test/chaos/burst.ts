import { setTimeout as wait } from 'node:timers/promises'
import { cpuOf, percentile } from '../bench/measures.ts'
import { openSender } from '../support/sender.ts'
import { audit } from './audit.ts'
import type { Fault } from './fault.ts'
import { openLedger } from './ledger.ts'
import { exchange, findWrongAnswers, newTally, openPlace, resend } from './load.ts'

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
    const cpu = () => {
      const { user, system } = process.cpuUsage()
      return [user + system, cpuOf(tocsin.pid) ?? Number.NaN]
    }
    let [refused, slowestMs] = [0, 0]

    for (let run = 0; run < runs; run++) {
      // Made and noted before, so that the sender is no slower than a tool that has one alert to send.
      const alerts = Array.from({ length: REQUESTS }, () => ledger.next(world.random))
      for (const alert of alerts) ledger.sent(alert)
      const requests = alerts.map((alert) => place.request(alert, tocsin.address))
      const tally = newTally()
      const taken: number[] = []
      const before = cpu()
      const start = performance.now()
      const worker = async (first: number) => {
        const sender = openSender()
        for (let n = first; n < REQUESTS; n += SOCKETS) {
          const due = start + (n * BURST_MS) / REQUESTS
          await wait(Math.max(0, due - performance.now()))
          if (await exchange(sender, requests[n]!, tally, due)) taken.push(n)
        }
        sender.close()
      }
      await Promise.all(Array.from({ length: SOCKETS }, (_, n) => worker(n)))
      const p99 = percentile(tally.tookMs, 0.99)
      const used = cpu().map((after, n) => ((after - before[n]!) / REQUESTS).toFixed(0))
      world.say(
        `${JSON.stringify(tally.statuses)}, p99 ${p99.toFixed(0)} ms; ` +
          `each took the sender ${used[0]} µs of CPU and Tocsin ${used[1]} µs`,
      )
      for (const n of taken) ledger.acknowledged(alerts[n]!)
      wrong.push(...findWrongAnswers(tally, false), ...(await resend({ ...load, address: tocsin.address })))
      p99s.push(p99)
      refused += tally.statuses[503] ?? 0
      slowestMs = Math.max(slowestMs, tally.slowestMs)
    }
    const worstMs = Math.max(...p99s)
    if (worstMs > MOST_P99_MS) wrong.push(`one in a hundred answers took ${worstMs.toFixed(0)} ms`)

    await tocsin.stop()
    const found = await audit(databaseUrl, place.projectId, ledger)
    return {
      figure:
        `${runs} bursts over ${SOCKETS} connections, ${refused} answers of ${runs * REQUESTS} were 503; ` +
        `p99 ${worstMs.toFixed(0)} ms in the worst burst, slowest ${slowestMs.toFixed(0)} ms; ` +
        `${ledger.allAcknowledged().length} alerts, ${found.lost} lost, ${found.doubled} doubled`,
      wrong: [...wrong, ...found.wrong],
    }
  },
}
