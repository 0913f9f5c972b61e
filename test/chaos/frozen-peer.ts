import { setTimeout as wait } from 'node:timers/promises'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { audit, openRows, type Rows } from './audit.ts'
import type { Fault } from './fault.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { findWrongAnswers, openPlace, type Place, resend, underLoad } from './load.ts'
import { refusalsOf } from './outage.ts'

/** How long it stands still, in turns: PostgreSQL ends its transaction after two seconds. */
const FROZEN_MS = [1_000, 8_000]
const FROZEN_MS_IN_SHORT = [6_000]
/** The longest an answer of the other process may take: those two seconds, and a batch. */
const MOST_ANSWER_MS = 3_000
/** All of them have alerts in the transaction that stands still, or may have. */
const PROJECTS = 12
/** To each process. */
const PER_SECOND = 200

export const frozenPeer: Fault = {
  id: 'T30',
  promise:
    'a process that stands still in mid-transaction holds others up for as long as PostgreSQL lets it, two seconds; nothing is refused',
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
    while (places.length < PROJECTS) {
      places.push({ place: await openPlace(healthy), ledger: await openLedger(world) })
    }
    const send = (to: TocsinProcess, at: (typeof places)[number], run: () => Promise<void>) => {
      const perSecond = PER_SECOND / PROJECTS
      return underLoad({ ...at, random: world.random, addresses: [to.address], perSecond, senders: 1 }, run)
    }

    const wrong: string[] = []
    const times = world.isTimed ? FROZEN_MS : FROZEN_MS_IN_SHORT
    let slowestMs = 0
    for (let run = 0; run < runs; run++) {
      const over = Promise.withResolvers<void>()
      const untilOver = () => over.promise
      const toHealthy = places.map((at) => send(healthy, at, untilOver))
      const toPeer = places.map((at) => send(peer, at, untilOver))
      const loads = Promise.all([Promise.all(toHealthy), Promise.all(toPeer)])
      try {
        await wait(300)
        await freezeInTransaction(db, peer)
        await wait(times[run % times.length])
      } finally {
        process.kill(peer.pid, 'SIGCONT')
        over.resolve()
      }
      const [ofHealthy, ofPeer] = await loads
      for (const tally of [...ofHealthy, ...ofPeer]) wrong.push(...findWrongAnswers(tally, false))
      for (const tally of ofHealthy) {
        slowestMs = Math.max(slowestMs, tally.slowestMs)
        if (refusalsOf(tally) > 0) wrong.push(`${refusalsOf(tally)} alerts were refused in run ${run + 1}`)
      }
      for (const at of places) {
        wrong.push(...(await resend({ ...at, random: world.random, address: peer.address })))
      }
      if (run % 5 === 4) world.say(`${run + 1} times of ${runs}`)
    }
    if (world.isTimed && slowestMs > MOST_ANSWER_MS) wrong.push(`an answer took ${slowestMs.toFixed(0)} ms`)

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
        `${runs} times, for ${times.map((ms) => ms / 1000).join(' or ')} s, under load to ${PROJECTS} projects of both: ` +
        `${alerts} alerts, ${lost} lost, ${doubled} doubled; slowest answer of the other process ${slowestMs.toFixed(0)} ms, none refused`,
      wrong,
    }
  },
}

/** Stops a process, as often as it takes, until that leaves a transaction open which holds projects. */
async function freezeInTransaction(db: Rows, tocsin: TocsinProcess): Promise<void> {
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
      const first = await open()
      // Those of the other process end at once.
      await wait(50)
      const stays = (await open()).some((transaction) => first.includes(transaction))
      const free = await db.rows('select id from project for no key update skip locked')
      // One project more is there from the first start.
      if (stays && free.length <= PROJECTS) return true
      process.kill(tocsin.pid, 'SIGCONT')
      return false
    },
    { withinMs: 60_000 },
  )
}
