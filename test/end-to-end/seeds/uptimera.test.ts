import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { reading } from '../../support/reading.ts'
import { send } from '../../support/tocsin-process.ts'
import { until } from '../../support/until.ts'
import { startOn } from '../start-on.ts'
import { post } from './paste.ts'

/** The page "Webhooks" of Uptimera, which shows a header, three types and the facts each carries, but no body. */

const SECRET = 'whsec_dG9jc2luLXRlc3RzLXVwdGltZXJhLXNlY3JldC0x'

test('its three types, signed with its header, open, acknowledge and resolve', async () => {
  const tocsin = await startOn('sqlite')
  const source = await tocsin.createSource({ adapter: 'uptimera', secret: SECRET })
  const say = (type: string, times: Record<string, string>) => {
    const body = JSON.stringify({
      type,
      incident: { id: 'inc_1', started_at: '2025-01-15T10:30:00Z', ...times },
      monitor: { id: 'mon_1', name: 'Shop', url: 'https://shop.example.com' },
      regions: [{ name: 'eu', status: 'down' }],
    })
    return post(source.url, body, {
      'X-Uptimera-Signature': createHmac('sha256', SECRET).update(body).digest('hex'),
    })
  }
  const opened = await say('incident.opened', {})
  expect(opened).toMatchObject({ status: 200, body: { outcome: 'opened' } })
  const acknowledged = await say('incident.acknowledged', { acknowledged_at: '2025-01-15T10:35:00Z' })
  expect(acknowledged).toMatchObject({ status: 200, body: { outcome: 'acknowledged' } })
  const resolved = await say('incident.resolved', { resolved_at: '2025-01-15T10:40:00Z' })
  expect(resolved).toMatchObject({ status: 200, body: { outcome: 'resolved' } })
  expect((await say('incident.resolved', { resolved_at: '2025-01-15T10:40:00Z' })).body.duplicate).toBe(true)

  expect(await reading(tocsin).incident(opened.body.incident.id)).toMatchObject({
    title: 'Shop',
    durationMs: 600_000,
    signals: [{ monitor: { id: 'mon_1', name: 'Shop', url: 'https://shop.example.com' } }],
  })
  const unsigned = await post(source.url, { type: 'incident.opened' })
  expect(unsigned.status).toBe(401)
})

test('what Tocsin sends in its place, a receiver built for it takes: a source of another Tocsin', async () => {
  const receiver = await startOn('sqlite')
  const taking = await receiver.createSource({ adapter: 'uptimera', secret: SECRET })
  const sender = await startOn('sqlite')
  await sender.api('POST', `/projects/${sender.projectId}/endpoints`, {
    url: taking.url,
    secret: SECRET,
    preset: 'uptimera',
  })
  const checks = await sender.createSource({ adapter: 'generic' })
  await send(checks, {
    id: 'c-1',
    title: 'Checkout is down',
    severity: 'critical',
    monitor: { id: 'm', name: 'Checkout' },
  })
  await send(checks, { id: 'c-1', action: 'resolve' })

  const { incidents } = reading(receiver)
  await until('both arrived', async () => (await incidents('status=resolved')).length === 1)
  expect(await incidents()).toMatchObject([{ title: 'Checkout', severity: 'critical', status: 'resolved' }])
})
