import { setTimeout as wait } from 'node:timers/promises'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { audit, openRows, type Rows } from './audit.ts'
import type { Fault } from './fault.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { findWrongAnswers, openPlace, type Place, resend, type Tally, underLoad } from './load.ts'
import { refusalsOf, takenOf } from './outage.ts'

/** How long it stands still, in turns: PostgreSQL ends its transaction after five seconds. */
const FROZEN_MS = [2_000, 8_000]
const FROZEN_MS_IN_SHORT = [1_500]
/** The longest an answer of the other process may take. */
const MOST_ANSWER_MS = 900
/** The longest the project may be refused: PostgreSQL's five seconds, the next look at it, and the next request. */
const MOST_HELD_MS = 6_500
/** Of each load. */
const PER_SECOND = 40

export const frozenPeer: Fault = {
  id: 'T30',
  promise:
    'a process that stands still in mid-transaction holds up the projects in it, until PostgreSQL ends that; others go on answering for all other projects, and for these with 503 and Retry-After',
  databases: ['postgres'],
  runs: 20,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const healthy = await world.start(databaseUrl)
    const peer = await world.start(databaseUrl)
    // One that stands still would not hear that it has to end.
    world.afterwards(() => !peer.hasEnded() && process.kill(peer.pid, 'SIGCONT'))
    const db = await openRows(databaseUrl)
    world.afterwards(() => db.close())

    const places: { place: Place; ledger: Ledger }[] = []
    while (places.length < 4) {
      places.push({ place: await openPlace(healthy), ledger: await openLedger(world) })
    }
    const [shared, ...others] = places
    const send = (
      to: TocsinProcess,
      at: (typeof places)[number],
      run: (tally: Readonly<Tally>) => Promise<void>,
    ) => {
      const load = { ...at, random: world.random, addresses: [to.address], perSecond: PER_SECOND }
      return underLoad(load, run)
    }

    const wrong: string[] = []
    const times = world.isTimed ? FROZEN_MS : FROZEN_MS_IN_SHORT
    let [refused, heldMs, heldSlowestMs, othersSlowestMs] = [0, 0, 0, 0]
    for (let run = 0; run < runs; run++) {
      const over = Promise.withResolvers<void>()
      const untilOver = () => over.promise
      const ofOthers = others.map((other) => send(healthy, other, untilOver))
      const ofPeer = send(peer, shared!, async (toPeer) => {
        const ofShared = send(healthy, shared!, async (toHealthy) => {
          await wait(300)
          await freezeInTransaction(db, peer, shared!.place.projectId)
          const [frozen, before] = [performance.now(), takenOf(toHealthy)]
          const thawn = wait(times[run % times.length]).then(() => {
            process.kill(peer.pid, 'SIGCONT')
            return takenOf(toPeer)
          })
          await until('the project is refused', () => refusalsOf(toHealthy) > 0)
          await until('the project is taken again', () => takenOf(toHealthy) > before)
          heldMs = Math.max(heldMs, performance.now() - frozen)
          const takenByPeer = await thawn
          await until('the one that stood still takes alerts', () => takenOf(toPeer) > takenByPeer)
        }).finally(over.resolve)
        const tally = await ofShared
        refused += refusalsOf(tally)
        heldSlowestMs = Math.max(heldSlowestMs, tally.slowestMs)
        wrong.push(...findWrongAnswers(tally, false))
      })
      wrong.push(...findWrongAnswers(await ofPeer, false))
      for (const tally of await Promise.all(ofOthers)) {
        othersSlowestMs = Math.max(othersSlowestMs, tally.slowestMs)
        wrong.push(...findWrongAnswers(tally, false))
        if (refusalsOf(tally) > 0) wrong.push(`${refusalsOf(tally)} alerts of other projects were refused`)
      }
      for (const at of places) {
        wrong.push(...(await resend({ ...at, random: world.random, address: healthy.address })))
      }
      if (run % 5 === 4) world.say(`${run + 1} times of ${runs}`)
    }
    if (world.isTimed && heldMs > MOST_HELD_MS) {
      wrong.push(`the project was refused for ${heldMs.toFixed(0)} ms`)
    }
    if (world.isTimed && Math.max(othersSlowestMs, heldSlowestMs) > MOST_ANSWER_MS) {
      wrong.push(`an answer took ${Math.max(othersSlowestMs, heldSlowestMs).toFixed(0)} ms`)
    }

    for (const tocsin of [healthy, peer]) {
      const { code } = await tocsin.stop()
      if (code !== 0) wrong.push(`a stop afterwards exits with ${code}`)
    }
    let [alerts, lost, doubled] = [0, 0, 0]
    for (const { place, ledger } of places) {
      const found = await audit(databaseUrl, place.projectId, ledger)
      wrong.push(...found.wrong)
      alerts += ledger.allAcknowledged().length
      lost += found.lost
      doubled += found.doubled
    }
    return {
      figure:
        `${runs} times, for ${times.map((ms) => ms / 1000).join(' or ')} s: ${alerts} alerts, ${lost} lost, ${doubled} doubled; ` +
        `the project refused ${refused} times, for ${(heldMs / 1000).toFixed(1)} s at most, slowest answer ${heldSlowestMs.toFixed(0)} ms; ` +
        `three other projects never refused, slowest answer ${othersSlowestMs.toFixed(0)} ms`,
      wrong,
    }
  },
}

/** Stops a process, as often as it takes, until that leaves a transaction open which holds the project. */
async function freezeInTransaction(db: Rows, tocsin: TocsinProcess, projectId: string): Promise<void> {
  const open = async () => {
    const rows = await db.rows(
      `select pid, xact_start::text from pg_stat_activity
       where datname = current_database() and state = 'idle in transaction'`,
    )
    return rows.map((row) => `${row.pid} ${row.xact_start}`)
  }
  await until(
    'one stands still in mid-transaction',
    async () => {
      process.kill(tocsin.pid, 'SIGSTOP')
      const [first] = [await open(), await wait(50)]
      // Those of the other process end at once.
      const stays = (await open()).some((transaction) => first.includes(transaction))
      const free = await db.rows(
        `select id from project where id = '${projectId}' for no key update skip locked`,
      )
      if (stays && free.length === 0) return true
      process.kill(tocsin.pid, 'SIGCONT')
      return false
    },
    { withinMs: 60_000 },
  )
}
