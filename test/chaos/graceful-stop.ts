import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { findLost, fingerprint, loadRelease, releases } from '../core/store/releases/load.ts'
import { SECRET_KEY } from '../core/store/releases/secret-key.ts'
import { type Exit, inRepository, pinnedNode, startChild } from '../support/child.ts'
import { scratchDir } from '../support/scratch.ts'
import type { Received } from '../support/start-receiver.ts'
import { startReceiver } from '../support/start-receiver.ts'
import { until } from '../support/until.ts'
import { audit, type Listening, untilDelivered } from './audit.ts'
import { type Fault, type Finding, restartLater, withHook } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'
import type { World } from './world.ts'

const ENDPOINTS = 10
/** Five places at each. */
const IN_FLIGHT = 50
const MOST_STOP_MS = 10_000
const MOST_RESENT_MS = 5_000
/** A second signal that comes sooner is the first one, passed on by npm. */
const SAME_SIGNAL_MS = 1_000
const REPEAT_MS = 100
const MOST_SECOND_STOP_MS = 1_000
const LEASE_MS = 60_000

export const gracefulStop: Fault = {
  id: 'T26',
  promise:
    'a stop under load cuts off no request it has taken, exits with 0 within 10 s and gives back what it was sending; a second signal ends it at once, one in a migration loses nothing',
  databases: ['sqlite', 'postgres'],
  runs: 50,
  async run(world, runs) {
    const databaseUrl = await world.newDatabase()
    const tocsin = await world.start(databaseUrl)
    const place = await openPlace(tocsin)
    const ledger = await openLedger(world)
    const idOf = ({ headers }: Received) => headers['webhook-id'] as string
    let hangs = false
    const hanging = new Set<string>()
    const receiver = await startReceiver((received) => {
      if (!hangs) return 204
      hanging.add(idOf(received))
      return new Promise(() => {})
    })
    world.afterwards(receiver.close)
    const listening: Listening[] = []
    for (let i = 0; i < ENDPOINTS; i++) {
      listening.push({ endpoint: await openEndpoint(tocsin, place, `${receiver.url}/${i}`), after: '' })
    }

    const wrong: string[] = []
    let [stopMs, resentMs, notReady] = [0, 0, 0]
    for (let run = 0; run < runs; run++) {
      hangs = true
      hanging.clear()
      const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond: 200 }
      const tally = await underLoad(load, async () => {
        await until('fifty are being sent', () => hanging.size >= IN_FLIGHT)
        const stopping = performance.now()
        const exit = tocsin.stop()
        if (await saysNotReady(tocsin.address)) notReady += 1
        const { code, signal } = await exit
        stopMs = Math.max(stopMs, performance.now() - stopping)
        if (code !== 0) wrong.push(`it exited with ${code ?? signal}`)
      })
      // What was refused a connection was never taken; a request that was written and then cut off would have been.
      const { ECONNREFUSED: _refused, ...cutOff } = tally.cutOff
      wrong.push(...findWrongAnswers({ ...tally, cutOff }, false))

      hangs = false
      const cut = new Set(hanging)
      const before = receiver.received.length
      await tocsin.restart()
      const restarted = performance.now()
      await until('what was broken off has arrived', () => {
        const again = new Set(receiver.received.slice(before).map(idOf))
        return cut.isSubsetOf(again)
      })
      resentMs = Math.max(resentMs, performance.now() - restarted)
      wrong.push(...(await resend({ place, ledger, random: world.random, address: tocsin.address })))
      await untilDelivered(databaseUrl, place.projectId)
      if (run % 10 === 9) world.say(`${run + 1} stops of ${runs}`)
    }

    hangs = true
    hanging.clear()
    const load = { place, ledger, random: world.random, addresses: [tocsin.address], perSecond: 200 }
    let secondMs = 0
    const tally = await underLoad(load, async () => {
      await until('fifty are being sent', () => hanging.size >= IN_FLIGHT)
      // Never sends the rest, so that the stop has to wait for it.
      const slow = connect(Number(new URL(tocsin.address).port), '127.0.0.1')
      slow.on('error', () => {})
      slow.write('POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n')
      await fetch(`${tocsin.address}/readyz`)
      void tocsin.stop()
      // A busy process takes notice of the first signal late, and the second counts from then.
      await saysNotReady(tocsin.address)
      await wait(SAME_SIGNAL_MS + 100)
      if (tocsin.hasEnded()) wrong.push('a stop did not wait for a request under way')
      const asked = performance.now()
      const { code } = await tocsin.stop()
      secondMs = performance.now() - asked
      if (code !== 1) wrong.push(`a second signal made it exit with ${code}`)
    })
    wrong.push(...findWrongAnswers(tally, true))
    if (world.isTimed && secondMs > MOST_SECOND_STOP_MS)
      wrong.push(`a second signal took ${secondMs.toFixed(0)} ms`)
    hangs = false
    await (world.isTimed ? tocsin.restart() : restartLater(world, tocsin, LEASE_MS))
    wrong.push(...(await resend({ place, ledger, random: world.random, address: tocsin.address })))
    await untilDelivered(databaseUrl, place.projectId)

    if (notReady < runs) wrong.push(`${runs - notReady} processes stopped without having said so`)
    if (world.isTimed && stopMs > MOST_STOP_MS) wrong.push(`a stop took ${stopMs.toFixed(0)} ms`)
    if (world.isTimed && resentMs > MOST_RESENT_MS)
      wrong.push(`sending went on after ${resentMs.toFixed(0)} ms`)

    await tocsin.stop()
    const found = await audit(databaseUrl, place.projectId, ledger, listening)
    wrong.push(...found.wrong)
    const migrating = await stopWhileMigrating(world)
    wrong.push(...migrating.wrong)
    return {
      figure:
        `${runs} stops with ${IN_FLIGHT} messages being sent; ${ledger.allAcknowledged().length} alerts: ` +
        `${found.lost} lost, ${found.doubled} doubled, exit within ${(stopMs / 1000).toFixed(1)} s; ` +
        `what was broken off arrived ${(resentMs / 1000).toFixed(1)} s after the next start at most; ` +
        `a second signal ended it in ${(secondMs / 1000).toFixed(1)} s; ${migrating.figure}`,
      wrong,
    }
  },
}

/** Signals until it ends, where nothing tells when the process took notice of the first signal. */
async function insist(stop: () => Promise<Exit>): Promise<Exit> {
  for (;;) {
    const exit = await Promise.race([stop(), wait(REPEAT_MS)])
    if (exit) return exit
  }
}

/** Whether a process that was asked to stop says so to who looks at /readyz, before it takes no more connections. */
function saysNotReady(address: string): Promise<boolean> {
  return until('it is not ready, or gone', async () => {
    const status = await fetch(`${address}/readyz`).then(
      (response) => response.status,
      () => 'gone' as const,
    )
    return status === 'gone' ? { said: false } : status === 503 && { said: true }
  }).then(({ said }) => said)
}

/** One signal, and two, to a process in the middle of an upgrade; then another one that completes it. */
async function stopWhileMigrating(world: World): Promise<Finding> {
  const dir = await scratchDir()
  world.afterwards(dir.remove)
  const wrong: string[] = []
  const ends: string[] = []
  for (const signals of [1, 2]) {
    const databaseUrl = await world.newDatabase()
    await loadRelease(databaseUrl, releases[0]!)
    const before = await fingerprint(databaseUrl)
    const child = await startChild(pinnedNode, [inRepository('ingest/main.ts')], {
      cwd: dir.path,
      env: {
        DATABASE_URL: databaseUrl,
        TOCSIN_PORT: '0',
        TOCSIN_SECRET_KEY: SECRET_KEY,
        ...withHook('slow-migration', {}),
      },
    })
    world.afterwards(() => child.end('SIGKILL'))
    await until('it migrates', () => child.stderr().includes('migrating'))
    const asked = performance.now()
    const exit = child.end('SIGTERM')
    if (signals === 2) {
      await wait(SAME_SIGNAL_MS + 100)
      const again = () => child.end('SIGTERM')
      await (world.kind === 'postgres' ? insist(again) : again())
    }
    const { code, signal } = await exit
    const ms = performance.now() - asked
    ends.push(`exit with ${code} after ${(ms / 1000).toFixed(1)} s`)
    // SQLite does all of an upgrade before the process hears anything.
    if (code !== (signals === 2 && world.kind === 'postgres' ? 1 : 0)) {
      wrong.push(`${signals} signals while migrating: it exited with ${code ?? signal}`)
    }
    if (world.isTimed && ms > MOST_STOP_MS) wrong.push(`a stop while migrating took ${ms.toFixed(0)} ms`)
    const next = await world.start(databaseUrl, { TOCSIN_SECRET_KEY: SECRET_KEY })
    await next.stop()
    // The admin key of this world has come in.
    const lost = findLost(before, await fingerprint(databaseUrl)).filter(
      (name) => !name.startsWith('api_key.'),
    )
    if (lost.length > 0) wrong.push(`${signals} signals while migrating: other values in ${lost}`)
  }
  return { figure: `while migrating one signal: ${ends[0]}, two: ${ends[1]}, no value lost`, wrong }
}
