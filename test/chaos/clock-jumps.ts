import { setTimeout as wait } from 'node:timers/promises'
import { startReceiver } from '../support/start-receiver.ts'
import { audit, type Listening, newestEntry, untilDelivered } from './audit.ts'
import { type Fault, withHook } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'

const HOUR_MS = 3_600_000

export const clockJumps: Fault = {
  id: 'T8',
  promise: 'a clock that jumps by an hour and back loses nothing, and nothing is sent twice',
  databases: ['sqlite', 'postgres'],
  runs: 20,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const tocsin = await world.start(databaseUrl)
    const place = await openPlace(tocsin)
    const ledger = await openLedger(world)
    const receiver = await startReceiver(async () => {
      // Takes a while, so that the jump meets some on their way.
      await wait(100)
      return 204
    })
    world.afterwards(receiver.close)
    const after = await newestEntry(databaseUrl, place.projectId)
    const listening: Listening[] = [{ endpoint: await openEndpoint(tocsin, place, receiver.url), after }]

    const wrong: string[] = []
    for (let run = 0; run < runs; run++) {
      const jumpMs = run % 2 === 0 ? HOUR_MS : -HOUR_MS
      await tocsin.restart(withHook('clock', { CHAOS_JUMP_MS: `${jumpMs}` }))
      const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond: 200 }
      const tally = await underLoad(load, async () => {
        for (const signal of ['SIGUSR2', 'SIGUSR2'] as const) {
          await wait(1_000)
          process.kill(tocsin.pid, signal)
        }
        await wait(500)
      })
      wrong.push(...findWrongAnswers(tally, false), ...(await resend({ ...load, address: tocsin.address })))
      if ((tally.statuses[503] ?? 0) > 0) wrong.push(`${tally.statuses[503]} requests were refused`)
    }
    // What was put in while the clock was ahead waits until then; it is there again.
    await tocsin.restart(withHook('clock', { CHAOS_CLOCK_MS: `${HOUR_MS}` }))
    const ids = await untilDelivered(databaseUrl, place.projectId)
    const twice = receiver.received.length - new Set(ids).size
    if (twice > 0) wrong.push(`${twice} messages were sent twice`)
    await tocsin.stop()
    const found = await audit(databaseUrl, place.projectId, ledger, listening, false)
    return {
      figure:
        `${runs} jumps and back: ${ledger.allAcknowledged().length} alerts, ${found.lost} lost, ${found.doubled} doubled; ` +
        `${ids.length} messages delivered, ${twice} of them twice`,
      wrong: [...wrong, ...found.wrong],
    }
  },
}
