import { mkdirSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { startReceiver } from '../support/start-receiver.ts'
import { until } from '../support/until.ts'
import { audit, type Listening, newestEntry, untilDelivered } from './audit.ts'
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
/** The lease of a message that died with its process, and a while to send what has gathered. */
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
      repeats: 0,
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
      total.repeats += life.repeats
      total.readyMs = Math.max(total.readyMs, life.readyMs)
      total.listeningMs = Math.max(total.listeningMs, life.listeningMs)
      total.openingMs = Math.max(total.openingMs, life.openingMs)
      total.resentMs = Math.max(total.resentMs, life.resentMs)
      world.say(
        `${Math.min(at + KILLS_PER_DATABASE, kills.length)} kills of ${kills.length}: ${JSON.stringify(total)}`,
      )
    }
    const { alerts, lost, doubled, readyMs, listeningMs, openingMs, messages, repeats, resentMs } = total
    if (world.isTimed && readyMs > MOST_READY_MS)
      wrong.push(`ready again only after ${readyMs.toFixed(0)} ms`)
    return {
      figure:
        `${runs} kills at random, ${perStep} at each of ${STEPS.length} steps; ${alerts} alerts: ` +
        `${lost} lost, ${doubled} doubled; ready again in ${(readyMs / 1000).toFixed(1)} s at most: ` +
        `${(listeningMs / 1000).toFixed(1)} s until the process listens, ${(openingMs / 1000).toFixed(2)} s to open the database; ` +
        `${messages} messages all arrived, ${repeats} of them again under the same id, ` +
        `the last ${(resentMs / 1000).toFixed(0)} s after the last kill`,
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
  repeats: number
  resentMs: number
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
  const receiver = await startReceiver(async () => {
    // Takes a while, so that a kill cuts some off.
    await wait(20)
    return 204
  })
  world.afterwards(receiver.close)
  const wrong: string[] = []
  const listening: Listening[] = []
  let [readyMs, listeningMs, openingMs] = [0, 0, 0]

  for (const [cycle, kill] of kills.entries()) {
    const step = kill === 'random' ? undefined : kill
    await tocsin.restart(step && withHook('crash-at', { CHAOS_CRASH_AT: step }))
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
      await wait(world.isTimed ? 200 + world.random.below(1_800) : 200 + world.random.below(600))
      if (step === undefined) return tocsin.kill()
      process.kill(tocsin.pid, 'SIGUSR2')
      return until(`it dies ${step}`, () => tocsin.hasEnded())
    })
    wrong.push(...findWrongAnswers(tally, true))

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
    wrong.push(...(await resend({ place, ledger, random: world.random, address: tocsin.address })))
    if (cycle % 20 === 19) world.say(`${cycle + 1} kills of ${kills.length} on this database`)
  }

  const sending = performance.now()
  if (!world.isTimed) await restartLater(world, tocsin, MOST_RESENT_MS)
  const ids = await untilDelivered(databaseUrl, place.projectId)
  const resentMs = performance.now() - sending
  const arrived = receiver.received.map(({ headers }) => headers['webhook-id'] as string)
  const missing = ids.filter((id) => !arrived.includes(id))
  if (missing.length > 0) wrong.push(`${missing.length} messages say they were delivered, but did not arrive`)
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
    repeats: arrived.length - new Set(arrived).size,
    resentMs,
  }
}
