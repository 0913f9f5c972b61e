import { createHmac } from 'node:crypto'
import type { ApiEndpoint, ApiIncident, ApiMessage } from '@tocsin/core'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { signedHeaders } from '../../core/delivery/sign.ts'
import { messageBody } from '../../ingest/message-schema.ts'
import { databaseKinds } from '../support/databases.ts'
import { openReceiver } from '../support/receiver.ts'
import { send, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { startOn, startSeveral } from './start-on.ts'

interface Made {
  endpoint: ApiEndpoint
  secret: string
}

const createEndpoint = (tocsin: TocsinProcess, body: object) =>
  tocsin.api<Made>('POST', `/projects/${tocsin.projectId}/endpoints`, body)

const KILLS = Number(process.env.TOCSIN_DELIVERY_KILLS ?? 5)

describe.each(databaseKinds)('outgoing webhooks of the real process on %s', (kind) => {
  test('a whole incident verifies with the official library; what was tampered with does not', async () => {
    const { url, received } = await openReceiver()
    const tocsin = await startOn(kind)
    const { secret } = await createEndpoint(tocsin, {
      url,
      preset: 'uptimera',
      policy: 'standard-3d',
      events: ['incident.opened', 'incident.acknowledged', 'incident.resolved', 'incident.reopened'],
    })
    const source = await tocsin.createSource({ adapter: 'generic' })
    const { body } = await send(source, {
      id: 'check-7',
      title: 'Checkout is down',
      severity: 'critical',
      service: 'checkout',
      action: 'trigger',
    })
    const incident = `/projects/${tocsin.projectId}/incidents/${body.incident!.id}`
    await tocsin.api('POST', `${incident}/acknowledge`, {})
    await send(source, { id: 'check-7', title: 'Checkout is up', action: 'resolve' })
    await tocsin.api('POST', `${incident}/reopen`, {})
    await until('four messages are there', () => received.length === 4)

    const bodies = received.map(({ headers, body }) => {
      const verified = new Webhook(secret).verify(body, headers as Record<string, string>)
      expect(headers['x-uptimera-signature']).toBe(createHmac('sha256', secret).update(body).digest('hex'))
      return verified as { type: ApiMessage['type']; data: { sequence: number; incident: ApiIncident } }
    })
    expect(bodies.map(({ type, data }) => [data.sequence, type, data.incident.status])).toEqual([
      [1, 'incident.opened', 'open'],
      [2, 'incident.acknowledged', 'acknowledged'],
      [3, 'incident.resolved', 'resolved'],
      [4, 'incident.reopened', 'open'],
    ])
    for (const one of bodies) expect(messageBody(one.type).parse(one)).toEqual(one)
    expect(bodies[0]!.data).toMatchObject({
      incident: { id: body.incident!.id, signals: [{ key: 'check-7', status: 'firing' }] },
      monitor: { id: null, name: null, url: null },
      project: { id: tocsin.projectId, name: 'default' },
    })

    const [first] = received
    const headers = first!.headers as Record<string, string>
    const verify = (text: string, more: Record<string, string> = {}, key = secret) =>
      new Webhook(key).verify(text, { ...headers, ...more })
    const unsigned = 'No matching signature found'
    const tampered = first!.body.replace('critical', 'low')
    expect(tampered).not.toBe(first!.body)
    expect(() => verify(tampered)).toThrow(unsigned)
    const now = Number(headers['webhook-timestamp'])
    expect(() => verify(first!.body, { 'webhook-timestamp': String(now - 1) })).toThrow(unsigned)
    expect(() => verify(first!.body, {}, `whsec_${Buffer.alloc(32).toString('base64')}`)).toThrow(unsigned)
    // As signed as it was then: what was recorded and sent again later.
    const old = signedHeaders({
      id: headers['webhook-id']!,
      at: (now - 6 * 60) * 1000,
      body: first!.body,
      secrets: [secret],
      signature: null,
    })
    expect(() => verify(first!.body, old)).toThrow('Message timestamp too old')
  })

  test('create, test and verify: the quick start', async () => {
    const { url, received } = await openReceiver()
    const tocsin = await startOn(kind)
    const { endpoint, secret } = await createEndpoint(tocsin, { url })
    const path = `/projects/${tocsin.projectId}`
    const { message } = await tocsin.api<{ message: ApiMessage }>(
      'POST',
      `${path}/endpoints/${endpoint.id}/test`,
    )
    const log = await until('the test has arrived', async () => {
      const found = await tocsin.api<{ message: ApiMessage; attempts: { responseStatus: number }[] }>(
        'GET',
        `${path}/messages/${message.id}`,
      )
      return found.message.status === 'delivered' && found
    })
    expect(log.attempts).toMatchObject([{ responseStatus: 204, error: null }])
    const verified = new Webhook(secret).verify(
      received[0]!.body,
      received[0]!.headers as Record<string, string>,
    )
    expect(verified).toMatchObject({ type: 'test' })
    expect(tocsin.stderr()).not.toContain(secret)
  })

  test(
    `kill -9 while sending, ${KILLS} times: nothing is lost, a repeat carries the same id`,
    async () => {
      // Answers that take a while, so that each kill cuts off some.
      const { url, received } = await openReceiver(async () => {
        await new Promise((resolve) => setTimeout(resolve, 50))
        return 204
      })
      const tocsin = await startOn(kind)
      const path = `/projects/${tocsin.projectId}`
      const endpoints: string[] = []
      const made: string[] = []
      for (let cycle = 0; cycle < KILLS; cycle++) {
        const before = received.length
        // One of its own: the places of the last one are taken until the leases of the dead process end.
        for (const id of endpoints.slice(-1)) {
          await tocsin.api('PATCH', `${path}/endpoints/${id}`, { events: ['test'] })
        }
        endpoints.push((await createEndpoint(tocsin, { url: `${url}/${cycle}` })).endpoint.id)
        for (let i = 0; i < 10; i++) {
          const { incident } = await tocsin.api<{ incident: ApiIncident }>('POST', `${path}/incidents`, {
            title: `Incident ${cycle}-${i}`,
          })
          made.push(incident.id)
        }
        await until(`cycle ${cycle} is being sent`, () => received.length > before, { everyMs: 1 })
        await tocsin.kill()
        await tocsin.restart()
      }

      const delivered = await until(
        'everything has arrived',
        async () => {
          const all: ApiMessage[] = []
          for (const id of endpoints) {
            const address = `${path}/endpoints/${id}/messages?limit=100`
            all.push(...(await tocsin.api<{ messages: ApiMessage[] }>('GET', address)).messages)
          }
          return all.every(({ status }) => status === 'delivered') && all
        },
        // A lease that died with its process runs a minute.
        { withinMs: 90_000, everyMs: 500 },
      )
      expect(delivered.map(({ incidentId }) => incidentId).toSorted()).toEqual(made.toSorted())
      const ids = received.map(({ headers }) => headers['webhook-id'])
      expect([...new Set(ids)].toSorted()).toEqual(delivered.map(({ id }) => id).toSorted())
      // Each kill cut something off, or the test has seen nothing.
      expect(ids.length - new Set(ids).size).toBeGreaterThanOrEqual(KILLS)
    },
    120_000 + KILLS * 5_000,
  )

  test('a stop in the middle of sending: the next process sends what was broken off within five seconds', async () => {
    const never = new Promise<number>(() => {})
    let hangs = true
    const { url, received } = await openReceiver(() => (hangs ? never : 204))
    const tocsin = await startOn(kind)
    const path = `/projects/${tocsin.projectId}`
    for (let i = 0; i < 10; i++) await createEndpoint(tocsin, { url: `${url}/${i}` })
    for (let i = 0; i < 5; i++) await tocsin.api('POST', `${path}/incidents`, { title: `Incident ${i}` })
    await until('fifty are under way', () => received.length === 50)
    const cut = received.map(({ headers }) => headers['webhook-id']).toSorted()

    const stopping = performance.now()
    expect(await tocsin.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - stopping).toBeLessThan(10_000)
    hangs = false
    await tocsin.restart()
    await until('all of it has arrived', () => received.length === 100, { withinMs: 5_000 })
    expect(
      received
        .slice(50)
        .map(({ headers }) => headers['webhook-id'])
        .toSorted(),
    ).toEqual(cut)
  })

  test('a stop leaves nothing behind: the next process goes on within seconds', async () => {
    let answer = 503
    const { url, received } = await openReceiver(() => answer)
    const tocsin = await startOn(kind)
    await createEndpoint(tocsin, { url })
    await tocsin.api('POST', `/projects/${tocsin.projectId}/incidents`, { title: 'Down' })
    await until('it was tried', () => received.length > 0)
    expect(await tocsin.stop()).toEqual({ code: 0, signal: null })
    answer = 204
    await tocsin.restart()
    // The second step of the policy is five seconds.
    await until('it has arrived', () => received.length > 1, { withinMs: 10_000 })
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })
})

test.each(databaseKinds)(
  'two processes on one %s database send each message once, in order',
  async (kind) => {
    const underWay = new Set<string>()
    let twiceAtOnce = 0
    const { url, received } = await openReceiver(async ({ headers }) => {
      const id = headers['webhook-id'] as string
      if (underWay.has(id)) twiceAtOnce += 1
      underWay.add(id)
      await new Promise((resolve) => setTimeout(resolve, 20))
      underWay.delete(id)
      return 204
    })
    const [one, other] = await startSeveral(2, {}, kind)
    await createEndpoint(one!, { url })
    const path = `/projects/${one!.projectId}/incidents`
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const by = i % 2 === 0 ? one! : other!
        const { incident } = await by.api<{ incident: ApiIncident }>('POST', path, { title: `Incident ${i}` })
        await other!.api('POST', `${path}/${incident.id}/acknowledge`, {})
        await one!.api('POST', `${path}/${incident.id}/resolve`, {})
      }),
    )
    await until('everything has arrived', () => received.length >= 60)
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(60)
    expect(received).toHaveLength(60)
    expect(twiceAtOnce).toBe(0)

    const last = new Map<string, number>()
    for (const { body } of received) {
      const { data } = JSON.parse(body) as { data: { sequence: number; incident: ApiIncident } }
      expect(data.sequence).toBe((last.get(data.incident.id) ?? 0) + 1)
      last.set(data.incident.id, data.sequence)
    }
  },
)
