import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { payload } from './adapters/payload.ts'
import { hookRequest, notification, refusal, type TestSource, testTocsin } from './open-test-tocsin.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

describe.each(databaseKinds)('the short address on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  function post(
    source: TestSource,
    body: unknown,
    headers: Record<string, string> = JSON_TYPE,
    method = 'POST',
  ) {
    const sent = hookRequest({
      path: `/webhooks/${source.secret}`,
      headers,
      rawBody: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      receivedAt: clock.at(),
    })
    return t.tocsin.receive({ ...sent, method }, { kind: 'token', token: source.secret, adapter: null })
  }

  test.each(['datadog', 'sentry', 'uptime-kuma', 'betterstack'])(
    "reads a title and nothing of %s's own as Runframe does, also when it is replayed",
    async (adapter) => {
      const project = await t.project()
      const source = await project.source(adapter, { address: 'token' })
      const answer = await post(source, { title: 'Checkout is slow', severity: 'High', region: 'eu' })
      expect(answer).toMatchObject({
        outcome: 'opened',
        incident: { title: 'Checkout is slow', severity: 'high' },
      })
      expect((await project.incident(answer.incident?.id)).metadata).toEqual({ region: 'eu' })
      expect(await t.admin.replayRequest(project.id, answer.requestId, {})).toMatchObject({
        outcome: 'duplicate',
      })
    },
  )

  test("reads a title at grafana-irm as Runframe's, unless address or mapping say what to declare", async () => {
    const project = await t.project()
    const source = await project.source('grafana-irm', { address: 'token' })
    const flat = { title: 'Checkout is slow', severity: 'High', text: 'Timeout' }
    const titleOf = async (query: string, body: unknown = flat) =>
      (
        await t.tocsin.receive(
          hookRequest({
            path: `/webhooks/${source.secret}`,
            query,
            rawBody: Buffer.from(JSON.stringify(body)),
            receivedAt: clock.at(),
          }),
          { kind: 'token', token: source.secret, adapter: null },
        )
      ).incident
    expect(await titleOf('')).toMatchObject({ title: 'Checkout is slow', severity: 'high' })
    expect(await titleOf('title=json(text)')).toMatchObject({ title: 'Timeout', severity: 'medium' })
    expect(await titleOf('', { text: 'x' })).toMatchObject({
      title: 'Incident declared by Grafana IRM incoming webhook',
    })
    await source.set({ mapping: { title: 'json(severity)' } })
    expect(await titleOf('', { ...flat, n: 2 })).toMatchObject({ title: 'High' })
  })

  test("reads a tool's own body as its own, and Alertmanager's on a runframe source", async () => {
    const project = await t.project()
    const datadog = await project.source('datadog')
    expect((await post(datadog, payload('datadog/triggered'))).incident?.title).toBe('Checkout latency')

    const runframe = await project.source('runframe')
    const alert = { fingerprint: 'a1', startsAt: clock.at(-60_000) }
    expect((await post(runframe, notification([alert]))).outcome).toBe('opened')
    const over = notification([{ ...alert, endsAt: clock.at() }])
    expect((await post(runframe, over)).outcome).toBe('resolved')
  })

  test('holds the tool to its methods and types once it is known', async () => {
    const project = await t.project()
    const generic = await project.source('generic', { address: 'token' })
    const kuma = await project.source('uptime-kuma')
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const packed = { ...JSON_TYPE, 'content-encoding': 'gzip' }
    const code = async (answer: Promise<unknown>) => (await refusal(answer)).code
    expect(await code(post(generic, 'title=x', form))).toBe('unsupported_media_type')
    expect(await code(post(generic, '{}', packed))).toBe('unsupported_media_type')
    expect(await code(post(generic, 'title=x', {}, 'GET'))).toBe('method_not_allowed')
    expect(await code(post(kuma, '{}', JSON_TYPE, 'PUT'))).toBe('method_not_allowed')

    const heartbeat = JSON.stringify({ monitorID: 1, status: 0, time: '2026-07-01 11:59:00' })
    const query = new URLSearchParams({ heartbeat, monitor: '{"id":1,"name":"Shop"}', msg: 'm' })
    expect(await post(kuma, query.toString(), {}, 'GET')).toMatchObject({ outcome: 'opened' })
    expect((await project.requests()).map(({ method, status }) => `${method} ${status}`)).toEqual([
      'POST 415',
      'POST 415',
      'GET 405',
      'PUT 405',
      'GET 200',
    ])
  })

  test('what a GET said, and the headers of a CloudEvent, are kept for a replay', async () => {
    const project = await t.project({ plan: 'pro' })
    const kuma = await project.source('uptime-kuma')
    const bus = await project.source('cloudevents', { address: 'token' })
    const query = new URLSearchParams({
      heartbeat: '{"monitorID":1,"status":0,"time":"2026-07-01 11:59:00"}',
      monitor: '{"id":1,"name":"Shop"}',
    })
    const attributes = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/c', 'ce-type': 'a.opened' }
    const sent = [
      await post(kuma, query.toString(), {}, 'GET'),
      await post(bus, '{"title":"Down"}', { ...JSON_TYPE, ...attributes }),
    ]
    for (const { requestId, outcome } of sent) {
      expect(['opened', 'attached']).toContain(outcome)
      expect(await t.admin.replayRequest(project.id, requestId, {})).toMatchObject({ outcome: 'duplicate' })
    }
  })

  test('a Standard Webhook vouches for a generic source, within five minutes of its time', async () => {
    const project = await t.project()
    const key = Buffer.alloc(24, 5)
    const secret = `whsec_${key.toString('base64')}`
    const source = await project.source('generic', { secret })
    const body = '{"title":"Checkout is down","id":"c-1"}'
    const headersAt = (ms: number) => {
      const seconds = String(Math.floor((Date.parse(clock.at()) + ms) / 1000))
      const signature = createHmac('sha256', key).update(`msg_1.${seconds}.${body}`).digest('base64')
      return {
        'x-webhook-secret': '',
        'webhook-id': 'msg_1',
        'webhook-timestamp': seconds,
        'webhook-signature': `v1,AAAA v1,${signature}`,
      }
    }
    const refused = [
      headersAt(-301_000),
      headersAt(301_000),
      { ...headersAt(0), 'webhook-id': 'msg_2' },
      // A right password does not make a wrong signature good.
      { ...headersAt(0), 'webhook-signature': 'v1,AAAA', 'x-webhook-secret': secret },
    ]
    for (const headers of refused) {
      expect((await refusal(source.send(body, { headers }))).code).toBe('unauthorized')
    }
    expect(await source.send(body, { headers: headersAt(-299_000) })).toMatchObject({ outcome: 'opened' })
    expect(await source.send(body, { headers: headersAt(0) })).toMatchObject({ events: [{ rule: 'D1' }] })
  })
})
