import { mkdirSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { startReceiver } from '../support/start-receiver.ts'
import { until } from '../support/until.ts'
import { audit, type Listening, newestEntry, openRows, untilDelivered } from './audit.ts'
import { type Fault, type Finding, restartLater, withHook } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'
import type { World } from './world.ts'

/** Steps of a webhook's way, in order, at which the process is killed; then those of a message. */
const STEPS = [
  'before-store',
  'before-commit',
  'after-commit',
  'before-answer',
  'mid-delivery',
  'before-marking',
] as const
/** A database gets so many kills, then is audited; the next ones come to a new one. */
const KILLS_PER_DATABASE = 100
const MOST_READY_MS = 3_000
/** What was being sent goes out again when its lease ends, or as soon as there is a process then. */
const LEASE_MS = 60_000
const MOST_RESENT_MS = 60_000

export const killNine: Fault = {
  id: 'T1',
  promise: 'kill -9 at any moment loses nothing that was answered with a 2xx and doubles nothing',
  databases: ['sqlite', 'postgres'],
  runs: 300,
  async run(world, runs) {
    const perStep = Math.min(20, Math.ceil(runs / 5))
    const kills = [
      ...Array.from({ length: runs }, () => 'random' as const),
      ...STEPS.flatMap((step) => Array.from({ length: perStep }, () => step)),
    ]
    const total = {
      alerts: 0,
      lost: 0,
      doubled: 0,
      readyMs: 0,
      listeningMs: 0,
      openingMs: 0,
      messages: 0,
      cutOff: 0,
      resentMs: 0,
    }
    const wrong: string[] = []
    for (let at = 0; at < kills.length; at += KILLS_PER_DATABASE) {
      const life = await liveThrough(world, kills.slice(at, at + KILLS_PER_DATABASE))
      wrong.push(...life.wrong)
      total.alerts += life.alerts
      total.lost += life.lost
      total.doubled += life.doubled
      total.messages += life.messages
      total.cutOff += life.cutOff
      total.readyMs = Math.max(total.readyMs, life.readyMs)
      total.listeningMs = Math.max(total.listeningMs, life.listeningMs)
      total.openingMs = Math.max(total.openingMs, life.openingMs)
      total.resentMs = Math.max(total.resentMs, life.resentMs)
      world.say(
        `${Math.min(at + KILLS_PER_DATABASE, kills.length)} kills of ${kills.length}: ${JSON.stringify(total)}`,
      )
    }
    const { alerts, lost, doubled, readyMs, listeningMs, openingMs, messages, cutOff, resentMs } = total
    if (cutOff === 0) wrong.push('nothing was being sent at any of the kills')
    if (world.isTimed && readyMs > MOST_READY_MS)
      wrong.push(`ready again only after ${readyMs.toFixed(0)} ms`)
    if (world.isTimed && resentMs > MOST_RESENT_MS)
      wrong.push(`what was cut off was sent again only after ${resentMs.toFixed(0)} ms`)
    return {
      figure:
        `${runs} kills at random, ${perStep} at each of ${STEPS.length} steps; ${alerts} alerts: ` +
        `${lost} lost, ${doubled} doubled; ready again in ${(readyMs / 1000).toFixed(1)} s at most: ` +
        `${(listeningMs / 1000).toFixed(1)} s until the process listens, ${(openingMs / 1000).toFixed(2)} s to open the database; ` +
        `${messages} messages all arrived, ${cutOff} of them were being sent at a kill, each again under the same id ` +
        `within ${(resentMs / 1000).toFixed(1)} s of a process that runs`,
      wrong,
    }
  },
}

interface Life extends Finding {
  alerts: number
  lost: number
  doubled: number
  readyMs: number
  /** Until the process is read and listens. */
  listeningMs: number
  /** From then on: recovery, migrations, first start. */
  openingMs: number
  messages: number
  /** Messages that were being sent at a kill, counted for each. */
  cutOff: number
  /** The longest that one of them took to arrive again: time in which a process was there to send it. */
  resentMs: number
}

/** A message that some process was sending after a kill: the one that was killed, or already the next one. */
interface Held extends Lease {
  isCutOff: boolean
  killed: number
  /** When the next process was. */
  ready: number
}

/** One database, under load through all of these kills. */
async function liveThrough(
  world: World,
  kills: readonly ('random' | (typeof STEPS)[number])[],
): Promise<Life> {
  const databaseUrl = await world.newDatabase()
  const tocsin = await world.start(databaseUrl)
  // As where the key file lies there; what Node has compiled is kept in it from the next start on.
  mkdirSync(tocsin.dataDir, { mode: 0o700 })
  const place = await openPlace(tocsin)
  const ledger = await openLedger(world)
  const arrivals: { id: string; at: number }[] = []
  const receiver = await startReceiver(async ({ headers }) => {
    arrivals.push({ id: headers['webhook-id'] as string, at: performance.now() })
    // Takes a while, so that a kill cuts some off.
    await wait(20)
    return 204
  })
  world.afterwards(receiver.close)
  const wrong: string[] = []
  const listening: Listening[] = []
  const downs: Down[] = []
  const held: Held[] = []
  let [readyMs, listeningMs, openingMs] = [0, 0, 0]

  for (const [cycle, kill] of kills.entries()) {
    const step = kill === 'random' ? undefined : kill
    const stopping = performance.now()
    await tocsin.restart(step && withHook('crash-at', { CHAOS_CRASH_AT: step }))
    downs.push({ from: stopping, to: performance.now() })
    // The places of an endpoint are taken until the leases of the dead process end, so each cycle has one of its own.
    const after = await newestEntry(databaseUrl, place.projectId)
    const last = listening.at(-1)
    if (last) {
      await tocsin.api('PATCH', `/projects/${place.projectId}/endpoints/${last.endpoint}`, {
        events: ['test'],
      })
      last.until = after
    }
    listening.push({ endpoint: await openEndpoint(tocsin, place, `${receiver.url}/${cycle}`), after })

    const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond: 200 }
    const tally = await underLoad(load, async () => {
      await wait(200 + world.random.below(world.isTimed ? 4_800 : 600))
      if (step === undefined) return tocsin.kill()
      process.kill(tocsin.pid, 'SIGUSR2')
      return until(`it dies ${step}`, () => tocsin.hasEnded())
    })
    wrong.push(...findWrongAnswers(tally, true))

    const lastLease = new Date(Date.now() + LEASE_MS).toISOString()
    const started = performance.now()
    const listens = until('it listens', () =>
      fetch(`${tocsin.address}/healthz`).then(() => performance.now()),
    )
    await tocsin.restart()
    const ready = performance.now()
    // It is looked for twice, so that each may see it first.
    const listenedAt = Math.min(await listens, ready)
    readyMs = Math.max(readyMs, ready - started)
    listeningMs = Math.max(listeningMs, listenedAt - started)
    openingMs = Math.max(openingMs, ready - listenedAt)
    downs.push({ from: started, to: ready })
    for (const lease of await leases(databaseUrl, place.projectId)) {
      // Of an earlier kill.
      if (held.some(({ id, token }) => id === lease.id && token === lease.token)) continue
      held.push({ ...lease, isCutOff: lease.until <= lastLease, killed: started, ready })
    }
    wrong.push(...(await resend({ place, ledger, random: world.random, address: tocsin.address })))
    if (cycle % 20 === 19) world.say(`${cycle + 1} kills of ${kills.length} on this database`)
  }

  if (!world.isTimed) await restartLater(world, tocsin, MOST_RESENT_MS)
  const ids = await untilDelivered(databaseUrl, place.projectId)
  const arrived = new Set(arrivals.map(({ id }) => id))
  const missing = ids.filter((id) => !arrived.has(id))
  if (missing.length > 0) wrong.push(`${missing.length} messages say they were delivered, but did not arrive`)
  let resentMs = 0
  for (const { id, killed, ready } of held) {
    const again = arrivals.find((arrival) => arrival.id === id && arrival.at > killed)
    if (again) resentMs = Math.max(resentMs, again.at - ready - downBetween(ready, again.at, downs))
    else wrong.push(`message ${id} was being sent at a kill, and never again`)
  }
  await tocsin.stop()
  const found = await audit(databaseUrl, place.projectId, ledger, listening)
  return {
    figure: '',
    wrong: [...wrong, ...found.wrong],
    alerts: ledger.allAcknowledged().length,
    lost: found.lost,
    doubled: found.doubled,
    readyMs,
    listeningMs,
    openingMs,
    messages: ids.length,
    cutOff: held.filter(({ isCutOff }) => isCutOff).length,
    resentMs,
  }
}

interface Lease {
  /** Of the message. */
  id: string
  token: string
  until: string
}

async function leases(databaseUrl: string, projectId: string): Promise<Lease[]> {
  const db = await openRows(databaseUrl)
  const rows = await db.rows(
    `select id, lease_token, due_at from message
     where project_id = '${projectId}' and status = 'pending' and lease_token is not null`,
  )
  await db.close()
  return rows.map((row) => ({
    id: row.id as string,
    token: row.lease_token as string,
    until: row.due_at as string,
  }))
}

/** Time without a process. */
interface Down {
  from: number
  to: number
}

function downBetween(from: number, to: number, downs: readonly Down[]): number {
  return downs.reduce((sum, down) => sum + Math.max(0, Math.min(to, down.to) - Math.max(from, down.from)), 0)
}
