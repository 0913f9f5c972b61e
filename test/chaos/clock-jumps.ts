import { setTimeout as wait } from 'node:timers/promises'
import { type Receiver, startReceiver } from '../support/start-receiver.ts'
import { audit, type Listening, newestEntry, openRows, untilDelivered } from './audit.ts'
import { type Fault, type Finding, withHook } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'
import type { World } from './world.ts'

const MINUTE_MS = 60_000
/** How far the clock jumps, in turns; each time it jumps back as well. */
const JUMPS_MS = [60, -60, 10, -10].map((minutes) => minutes * MINUTE_MS)
/** How far the clocks of machines that share a PostgreSQL are from its own. */
const APART_MS = [-10, 10, 5].map((minutes) => minutes * MINUTE_MS)
/** One that is due later is not just being sent, its lease ending then. */
const LEASE_MS = MINUTE_MS
/** How long what has gathered may take to go out once its time has come. */
const MOST_GATHERED_MS = 30_000

export const clockJumps: Fault = {
  id: 'T8',
  promise:
    'clocks that jump by up to an hour or disagree by twenty minutes lose nothing, and nothing is sent twice or late by more than the jump',
  databases: ['sqlite', 'postgres'],
  runs: 20,
  async run(world, runs) {
    const findings = [await liveThroughJumps(world, runs)]
    // Processes on one SQLite file share a machine, and so a clock.
    if (world.kind === 'postgres') findings.push(await liveApart(world, runs))
    return {
      figure: findings.map(({ figure }) => figure).join('; '),
      wrong: findings.flatMap(({ wrong }) => wrong),
    }
  },
}

async function liveThroughJumps(world: World, runs: number): Promise<Finding> {
  const databaseUrl = await world.newDatabase()
  const tocsin = await world.start(databaseUrl)
  const place = await openPlace(tocsin)
  const ledger = await openLedger(world)
  const receiver = await startSlowReceiver(world)
  const after = await newestEntry(databaseUrl, place.projectId)
  const listening: Listening[] = [{ endpoint: await openEndpoint(tocsin, place, receiver.url), after }]

  const wrong: string[] = []
  const waiting = new Set<string>()
  for (let run = 0; run < runs; run++) {
    const jumpMs = JUMPS_MS[run % JUMPS_MS.length]!
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
    // A process on PostgreSQL goes by that one's clock.
    const mostLateMs = LEASE_MS + (world.kind === 'postgres' ? 0 : Math.abs(jumpMs))
    for (const { id, lateMs } of await postponed(databaseUrl, place.projectId)) {
      if (!waiting.has(id) && lateMs > mostLateMs)
        wrong.push(`a message waits for ${lateMs} ms more after a jump by ${jumpMs} ms`)
      waiting.add(id)
    }
  }
  // What was put in while the clock was ahead waits until then; it is there again.
  await tocsin.restart(withHook('clock', { CHAOS_CLOCK_MS: `${JUMPS_MS[0]}` }))
  const { ids, ms } = await sendGathered(world, databaseUrl, place.projectId, wrong)
  const twice = receiver.received.length - new Set(ids).size
  if (twice > 0) wrong.push(`${twice} messages were sent twice`)
  await tocsin.stop()
  const found = await audit(databaseUrl, place.projectId, ledger, listening, world.kind === 'postgres')
  return {
    figure:
      `${runs} jumps and back: ${ledger.allAcknowledged().length} alerts, ${found.lost} lost, ${found.doubled} doubled; ` +
      `${ids.length} messages delivered, ${twice} of them twice, ${waiting.size} had to wait for the clock to come ` +
      `where it had been; all had gone out ${(ms / 1000).toFixed(1)} s after that`,
    wrong: [...wrong, ...found.wrong],
  }
}

/** Several processes on one database whose machines never heard of a time service. */
async function liveApart(world: World, runs: number): Promise<Finding> {
  const databaseUrl = await world.newDatabase()
  const processes = []
  for (const aheadMs of APART_MS) {
    processes.push(await world.start(databaseUrl, withHook('clock', { CHAOS_CLOCK_MS: `${aheadMs}` })))
  }
  const [first] = processes
  const place = await openPlace(first!)
  const ledger = await openLedger(world)
  const receiver = await startSlowReceiver(world)
  const after = await newestEntry(databaseUrl, place.projectId)
  const listening: Listening[] = [{ endpoint: await openEndpoint(first!, place, receiver.url), after }]

  const addresses = processes.map(({ address }) => address)
  const load = { place, ledger, random: world.random, addresses, perSecond: 200 }
  const tally = await underLoad(load, () => wait(runs * 1_000))
  const wrong = [...findWrongAnswers(tally, false), ...(await resend({ ...load, address: addresses[0]! }))]

  const { ids, ms } = await sendGathered(world, databaseUrl, place.projectId, wrong)
  const twice = receiver.received.length - new Set(ids).size
  if (twice > 0) wrong.push(`${twice} messages were sent twice by processes with clocks apart`)
  for (const process of processes) await process.stop()
  const found = await audit(databaseUrl, place.projectId, ledger, listening)
  return {
    figure:
      `${processes.length} processes up to 20 minutes apart for ${runs} s: ${ledger.allAcknowledged().length} alerts, ` +
      `${found.lost} lost, ${found.doubled} doubled; ${ids.length} messages delivered, ${twice} of them twice, ` +
      `the last ${(ms / 1000).toFixed(1)} s after the load`,
    wrong: [...wrong, ...found.wrong],
  }
}

/** Messages whose time has yet to come, and in how long that is by the clock of this machine. */
async function postponed(databaseUrl: string, projectId: string): Promise<{ id: string; lateMs: number }[]> {
  const db = await openRows(databaseUrl)
  const rows = await db.rows(
    `select id, due_at from message where project_id = '${projectId}' and status = 'pending' and due_at is not null`,
  )
  await db.close()
  return rows
    .map(({ id, due_at }) => ({ id: id as string, lateMs: Date.parse(due_at as string) - Date.now() }))
    .filter(({ lateMs }) => lateMs > LEASE_MS)
}

/** Waits until everything has gone out that may; answers the ids of all messages, and how long that took. */
async function sendGathered(
  world: World,
  databaseUrl: string,
  projectId: string,
  wrong: string[],
): Promise<{ ids: string[]; ms: number }> {
  const started = performance.now()
  const ids = await untilDelivered(databaseUrl, projectId)
  const ms = performance.now() - started
  if (world.isTimed && ms > MOST_GATHERED_MS)
    wrong.push(`what was due took ${ms.toFixed(0)} ms to be delivered`)
  return { ids, ms }
}

async function startSlowReceiver(world: World): Promise<Receiver> {
  const receiver = await startReceiver(async () => {
    // Takes a while, so that something is always on its way.
    await wait(100)
    return 204
  })
  world.afterwards(receiver.close)
  return receiver
}
