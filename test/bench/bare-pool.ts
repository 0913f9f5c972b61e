/** Reference: what undici's Pool alone can do. Signs a body and sends it, again and again; keeps nothing. */
import { createHmac, randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import { carryOut } from './helper.ts'
import { MESSAGE_BODIES } from './messages.ts'

export interface BareOrder {
  origin: string
  inFlight: number
  durationMs: number
}

export interface BareReport {
  delivered: number
  failed: number
}

const key = Buffer.alloc(32, 7)
let pool: Pool | undefined

carryOut(async ({ origin, inFlight, durationMs }: BareOrder): Promise<BareReport> => {
  pool ??= new Pool(origin, { connections: inFlight, pipelining: 1 })
  const report: BareReport = { delivered: 0, failed: 0 }
  const end = performance.now() + durationMs
  const send = async (at: Pool) => {
    while (performance.now() < end) {
      const id = randomUUID()
      const timestamp = `${Math.floor(Date.now() / 1_000)}`
      const body = MESSAGE_BODIES[report.delivered % MESSAGE_BODIES.length]!
      const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
      const answer = await at.request({
        method: 'POST',
        path: '/hook',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': timestamp,
          'webhook-signature': `v1,${signature}`,
        },
        body,
      })
      await answer.body.dump()
      if (answer.statusCode === 204) report.delivered += 1
      else report.failed += 1
    }
  }
  await Promise.all(Array.from({ length: inFlight }, () => send(pool!)))
  return report
})
