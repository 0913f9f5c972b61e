import type { Received } from '../support/start-receiver.ts'
import { startReceiver } from '../support/start-receiver.ts'
import { until } from '../support/until.ts'
import { audit, type Listening, untilDelivered } from './audit.ts'
import type { Fault } from './fault.ts'
import { openLedger } from './ledger.ts'
import { findWrongAnswers, openEndpoint, openPlace, resend, underLoad } from './load.ts'

const ENDPOINTS = 10
/** Five places at each. */
const IN_FLIGHT = 50
const MOST_STOP_MS = 10_000
const MOST_RESENT_MS = 5_000

export const gracefulStop: Fault = {
  id: 'T26',
  promise:
    'a stop under load cuts off no request it has taken, exits with 0 within 10 s and gives back what it was sending',
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
    if (notReady < runs) wrong.push(`${runs - notReady} processes stopped without having said so`)
    if (world.isTimed && stopMs > MOST_STOP_MS) wrong.push(`a stop took ${stopMs.toFixed(0)} ms`)
    if (world.isTimed && resentMs > MOST_RESENT_MS)
      wrong.push(`sending went on after ${resentMs.toFixed(0)} ms`)

    await tocsin.stop()
    const found = await audit(databaseUrl, place.projectId, ledger, listening)
    wrong.push(...found.wrong)
    return {
      figure:
        `${runs} stops with ${IN_FLIGHT} messages being sent; ${ledger.allAcknowledged().length} alerts: ` +
        `${found.lost} lost, ${found.doubled} doubled, exit within ${(stopMs / 1000).toFixed(1)} s; ` +
        `what was broken off arrived ${(resentMs / 1000).toFixed(1)} s after the next start at most`,
      wrong,
    }
  },
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
