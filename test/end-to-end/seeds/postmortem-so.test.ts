import { createHmac } from 'node:crypto'
import type { ApiReceived } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { rawPayload } from '../../core/adapters/payload.ts'
import { databaseKinds } from '../../support/databases.ts'
import { reading } from '../../support/reading.ts'
import { type SendingSource, send } from '../../support/tocsin-process.ts'
import { startOn } from '../start-on.ts'
import { curl, paste } from './paste.ts'

/** The pair of examples of https://postmortem.so: one id opens and resolves. */
const trigger = {
  title: 'High error rate on /api/checkout',
  description: 'Error rate exceeded 5% for 3 consecutive minutes.',
  id: 'alert-001',
  severity: 'critical',
  action: 'trigger',
}
const resolve = { title: 'High error rate on /api/checkout', id: 'alert-001', action: 'resolve' }

describe.each(databaseKinds)('a sender built for postmortem.so, on %s', (kind) => {
  test('opens and resolves with one id, and its next trigger never vanishes', async () => {
    const tocsin = await startOn(kind)
    const source = await tocsin.createSource({ adapter: 'generic', name: 'Scripts' })

    expect(await received(source, trigger)).toMatchObject({ outcome: 'opened', duplicate: false })
    expect(await received(source, trigger)).toMatchObject({ outcome: 'duplicate', duplicate: true })
    expect(await received(source, resolve)).toMatchObject({ outcome: 'resolved', duplicate: false })
    expect(await received(source, resolve)).toMatchObject({ outcome: 'duplicate', duplicate: true })
    const again = await received(source, trigger)
    expect(again.duplicate).toBe(false)
    expect(['opened', 'reopened']).toContain(again.outcome)

    const { incidents } = reading(tocsin)
    expect(await incidents('status=open')).toMatchObject([{ id: again.incident!.id, firingCount: 1 }])
  })

  test('finds each delivery once, however often it is retried', async () => {
    const tocsin = await startOn(kind)
    const source = await tocsin.createSource({ adapter: 'generic' })
    const bytes = [trigger, resolve, trigger].map((body) => JSON.stringify(body))

    for (const body of bytes) for (let time = 0; time < 5; time++) await received(source, body)

    const { incidents, events, timeline } = reading(tocsin)
    const found = await incidents()
    const kinds = (await Promise.all(found.map(({ id }) => events(id)))).flat().map(({ kind }) => kind)
    expect(kinds.toSorted()).toEqual(['fire', 'fire', 'recover'])
    const entries = (await Promise.all(found.map(({ id }) => timeline(id)))).flat()
    expect(entries.filter(({ kind }) => kind === 'context')).toHaveLength(3)
    expect(entries.filter(({ sequence }) => sequence !== null)).toHaveLength(3)
    const open = found.filter(({ status }) => status === 'open')
    expect(open).toHaveLength(1)
  })

  test('may use the other names of its fields, and resolve the one open incident without an id', async () => {
    const tocsin = await startOn(kind)
    const source = await tocsin.createSource({ adapter: 'generic' })
    const { incident, events, incidents } = reading(tocsin)

    const first = await received(source, {
      alert_title: 'Queue is stuck',
      message: 'No order was taken for 10 minutes.',
      event_id: 'queue-7',
      priority: 'P2',
    })
    expect(await incident(first.incident!.id)).toMatchObject({ title: 'Queue is stuck', severity: 'high' })
    expect(await events(first.incident!.id)).toMatchObject([
      { externalId: 'queue-7', description: 'No order was taken for 10 minutes.', sourceSeverity: 'P2' },
    ])
    // Another alert of the project is context of the incident that is open.
    const second = await received(source, { name: 'Checkout is slow' })
    expect(second).toMatchObject({ outcome: 'attached', incident: { id: first.incident!.id } })
    expect(await received(source, { title: 'All is well', action: 'resolve' })).toMatchObject({
      outcome: 'resolved',
      incident: { id: first.incident!.id },
    })
    expect(await incidents('status=open')).toEqual([])
  })

  test('sends the secret in X-Webhook-Secret to /api/v1/webhooks/{projectId}/generic', async () => {
    const tocsin = await startOn(kind)
    const source = await tocsin.createSource({ adapter: 'generic' })
    expect(source.url).toBe(`${tocsin.address}/api/v1/webhooks/${tocsin.projectId}/generic`)
    expect((await send({ url: source.url, secret: `${source.secret}x` }, trigger)).status).toBe(401)
    expect((await send(source, trigger)).status).toBe(200)
  })
})

describe('the headers of its examples', () => {
  const example = async () => {
    const tocsin = await startOn('sqlite')
    const { url, secret } = await tocsin.createSource({ adapter: 'generic' })
    // Bytes, to which fetch adds no type of its own.
    const say = async (headers: Record<string, string>, body: string) => {
      const answer = await fetch(url, { method: 'POST', headers, body: Buffer.from(body) })
      return { status: answer.status, body: (await answer.json()) as ApiReceived }
    }
    return { say, url, secret: secret! }
  }

  test('are X-Webhook-Secret alone, and nothing that says it is JSON', async () => {
    const { say, secret } = await example()
    const headers = { 'X-Webhook-Secret': secret }
    expect(await say(headers, JSON.stringify(trigger))).toMatchObject({
      status: 200,
      body: { outcome: 'opened' },
    })
    expect(await say(headers, JSON.stringify(resolve))).toMatchObject({
      status: 200,
      body: { outcome: 'resolved' },
    })
    expect((await say({}, JSON.stringify(trigger))).status).toBe(401)
    expect((await say(headers, 'title=x')).status).toBe(400)
  })

  test.runIf(curl)('as curl sends them, which calls every body a form', async () => {
    const { url, secret } = await example()
    const line = `curl -X POST -H 'X-Webhook-Secret: ${secret}' '${url}'`
    expect(await paste(`${line} -d '${JSON.stringify(trigger)}'`)).toMatchObject({
      status: 200,
      body: { outcome: 'opened' },
    })
    expect(await paste(`${line} -d 'title=x'`)).toMatchObject({
      status: 415,
      body: { error: { code: 'unsupported_media_type' } },
    })
  })

  test('do not let a page in a browser send with the password the browser keeps', async () => {
    const { say, secret } = await example()
    const Authorization = `Basic ${Buffer.from(`tool:${secret}`).toString('base64')}`
    const body = JSON.stringify(trigger)
    expect((await say({ Authorization }, body)).status).toBe(415)
    const form = { Authorization, 'Content-Type': 'application/x-www-form-urlencoded' }
    expect((await say(form, body)).status).toBe(415)
    expect((await say({ Authorization, 'Content-Type': 'text/plain' }, body)).status).toBe(415)
    expect((await say({ Authorization, 'Content-Type': 'application/json' }, body)).status).toBe(200)
  })
})

async function received(source: SendingSource, body: unknown) {
  const { status, body: answer } = await send(source, body)
  expect(status).toBe(200)
  return answer
}

describe('the other adapters of its page', () => {
  test('Sentry at its address, signed with the secret it was given', async () => {
    const tocsin = await startOn('sqlite')
    const source = await tocsin.createSource({ adapter: 'sentry', settings: { sentryProject: 'shop' } })
    expect(source.url).toBe(`${tocsin.address}/api/v1/webhooks/${tocsin.projectId}/sentry`)
    const say = async (name: string, resource = 'issue') => {
      const body = rawPayload(`sentry/${name}`).toString()
      const signature = createHmac('sha256', source.secret!).update(body).digest('hex')
      const headers = {
        'sentry-hook-resource': resource,
        'sentry-hook-signature': signature,
        'sentry-hook-timestamp': String(Math.floor(Date.now() / 1000)),
      }
      return (await send({ url: source.url, secret: undefined }, body, headers)).body
    }
    expect(await say('issue-created')).toMatchObject({ outcome: 'opened' })
    expect(await say('issue-resolved')).toMatchObject({ outcome: 'resolved' })
    expect(await say('metric-alert-critical', 'metric_alert')).toMatchObject({ outcome: 'opened' })
    expect(await say('metric-alert-resolved', 'metric_alert')).toMatchObject({ outcome: 'resolved' })
    expect(await say('event-alert-message', 'event_alert')).toMatchObject({ outcome: 'opened' })

    const path = `/projects/${tocsin.projectId}/sources/${source.id}`
    await tocsin.api('PATCH', path, { settings: { sentryProject: 'another' } })
    expect(await say('event-alert', 'event_alert')).toMatchObject({ outcome: 'filtered', incident: null })
  })

  test('Grafana with its secret in X-Webhook-Secret, or as HMAC; one delivery is one entry', async () => {
    const tocsin = await startOn('sqlite')
    const source = await tocsin.createSource({ adapter: 'grafana' })
    expect(source.url).toBe(`${tocsin.address}/api/v1/webhooks/${tocsin.projectId}/grafana`)
    const firing = rawPayload('grafana/firing').toString()
    const opened = await received(source, firing)
    expect(opened.outcome).toBe('opened')
    const entries = await reading(tocsin).timeline(opened.incident!.id)
    expect(entries.filter(({ kind }) => kind === 'context')).toHaveLength(1)
    expect(await received(source, firing)).toMatchObject({ duplicate: true })

    const resolved = rawPayload('grafana/resolved').toString()
    const signature = createHmac('sha256', source.secret!).update(resolved).digest('hex')
    const unsigned = { url: source.url, secret: undefined }
    const { status } = await send(unsigned, resolved, { 'X-Grafana-Alerting-Signature': signature })
    expect(status).toBe(200)
  })

  test('Better Stack with the token in its address, which stops working once rotated', async () => {
    const tocsin = await startOn('sqlite')
    const source = await tocsin.createSource({ adapter: 'betterstack' })
    expect(source.url).toMatch(new RegExp(`^${tocsin.address}/api/webhooks/betterstack/[\\w-]+$`))
    const say = (name: string) => send(source, rawPayload(`betterstack/${name}`).toString())
    expect((await say('started')).body).toMatchObject({ outcome: 'opened' })
    expect((await say('resolved')).body).toMatchObject({ outcome: 'resolved' })
    // As its page says it: a monitor that is down, then up.
    const monitor = (status: string) =>
      send(source, { data: { id: 'i-9', attributes: { name: 'Blog', status } } })
    expect((await monitor('down')).body).toMatchObject({ outcome: 'opened', incident: { title: 'Blog' } })
    expect((await monitor('up')).body).toMatchObject({ outcome: 'resolved' })
    await tocsin.api('POST', `/projects/${tocsin.projectId}/sources/${source.id}/rotate`, {})
    expect((await say('started')).status).toBe(401)
  })
})
