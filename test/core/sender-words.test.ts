import { beforeEach, describe, expect, test } from 'vitest'
import { hmacSha256 } from '../../core/adapters/signatures.ts'
import { databaseKinds } from '../support/databases.ts'
import {
  betterStack,
  HOUR,
  MINUTE,
  type TestProject,
  type TestSource,
  testTocsin,
} from './open-test-tocsin.ts'

describe.each(databaseKinds)('words of senders that think in incidents, on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t
  let project: TestProject
  let source: TestSource
  let events = 0

  beforeEach(async () => {
    project = await t.project()
    source = await project.source('pagerduty')
  })

  function pagerduty(word: string, { id = 'Q1', at = clock.at() } = {}) {
    events += 1
    const body = JSON.stringify({
      event: {
        id: `e-${events}`,
        event_type: `incident.${word}`,
        occurred_at: at,
        data: { id, type: 'incident', title: `Incident ${id}`, urgency: 'high' },
      },
    })
    return source.send(body, {
      headers: { 'x-pagerduty-signature': `v1=${hmacSha256(body, source.secret)}` },
    })
  }

  test('A PagerDuty acknowledges once, at its own time, and unacknowledged takes nothing back', async () => {
    const { incident } = await pagerduty('triggered')
    clock.pass(2 * MINUTE)
    const at = clock.at(-MINUTE)
    expect(await pagerduty('acknowledged', { at })).toMatchObject({
      outcome: 'acknowledged',
      events: [{ rule: 'A' }],
    })
    expect(await pagerduty('unacknowledged')).toMatchObject({
      outcome: 'info',
      incident: { id: incident?.id },
    })
    expect(await project.incident(incident?.id)).toMatchObject({ status: 'acknowledged', acknowledgedAt: at })
    expect(await pagerduty('acknowledged', { id: 'unknown' })).toMatchObject({
      outcome: 'info',
      incident: null,
    })
  })

  test('N2 other events of an incident join it', async () => {
    const { incident } = await pagerduty('triggered')
    expect(await pagerduty('priority_updated')).toMatchObject({
      outcome: 'info',
      incident: { id: incident?.id },
    })
  })

  test('T2 reopened begins the next stretch, in the same incident within the window', async () => {
    const { incident } = await pagerduty('triggered')
    clock.pass(MINUTE)
    await pagerduty('resolved')
    clock.pass(MINUTE)
    expect(await pagerduty('reopened')).toMatchObject({ outcome: 'reopened', incident: { id: incident?.id } })
    clock.pass(MINUTE)
    expect(await pagerduty('resolved')).toMatchObject({ outcome: 'resolved' })
    expect((await project.incident(incident?.id)).reopenCount).toBe(1)
  })

  test('O1 past the window it is a new incident', async () => {
    await pagerduty('triggered')
    await pagerduty('resolved', { at: clock.at(1000) })
    clock.pass(HOUR)
    expect(await pagerduty('reopened')).toMatchObject({ outcome: 'opened' })
  })

  test('H2 a person resolved it: what goes on opens nothing, an explicit reopening does', async () => {
    const { incident } = await pagerduty('triggered')
    clock.pass(MINUTE)
    await t.admin.resolveIncident(project.id, incident!.id, {})
    clock.pass(MINUTE)
    expect(await pagerduty('acknowledged')).toMatchObject({ outcome: 'info' })
    expect(await pagerduty('triggered')).toMatchObject({ outcome: 'refreshed', events: [{ rule: 'H2' }] })
    clock.pass(MINUTE)
    const again = await pagerduty('reopened')
    expect(again.outcome).toBe('opened')
    expect(again.incident?.id).not.toBe(incident?.id)
  })

  test("H2 the sender's own resolution of what a person closed changes nothing", async () => {
    const { incident } = await pagerduty('triggered')
    clock.pass(MINUTE)
    await t.admin.resolveIncident(project.id, incident!.id, {})
    const { resolvedAt } = await project.incident(incident?.id)
    clock.pass(MINUTE)
    expect(await pagerduty('resolved')).toMatchObject({ outcome: 'recovered', events: [{ rule: 'H2' }] })
    expect((await project.incident(incident?.id)).resolvedAt).toBe(resolvedAt)
  })

  test("H2 Better Stack's reopened after a person resolved is a new incident", async () => {
    const monitors = await project.source('betterstack')
    const outage = { id: '7', monitor: 'm-1', startedAt: clock.at() }
    const { incident } = await monitors.send(betterStack('started', outage))
    clock.pass(MINUTE)
    await t.admin.resolveIncident(project.id, incident!.id, {})
    clock.pass(MINUTE)
    const again = await monitors.send(betterStack('reopened', outage))
    expect(again.outcome).toBe('opened')
    expect(again.incident?.id).not.toBe(incident?.id)
  })

  test('D1 a retry of PagerDuty is known by its delivery id', async () => {
    const data = { id: 'S', type: 'service' }
    const body = JSON.stringify({ event: { id: 'x', event_type: 'service.updated', data } })
    const headers = {
      'x-pagerduty-signature': `v1=${hmacSha256(body, source.secret)}`,
      'x-webhook-id': 'delivery-1',
    }
    expect(await source.send(body, { headers })).toMatchObject({ outcome: 'info' })
    expect(await source.send(body, { headers })).toMatchObject({
      outcome: 'duplicate',
      events: [{ rule: 'D1' }],
    })
  })

  test('T6 a Datadog warning that becomes an alert is one outage of higher severity', async () => {
    const monitors = await project.source('datadog')
    const say = (transition: string, cycle_key = 'c-1') =>
      monitors.send({
        id: `d-${clock.at()}-${transition}`,
        alert_id: '7',
        cycle_key,
        transition,
        title: 'Slow',
        date: String(Date.parse(clock.at())),
        priority: 'P1',
      })
    const { incident } = await say('Warn')
    expect(incident?.severity).toBe('medium')
    clock.pass(MINUTE)
    expect(await say('Triggered')).toMatchObject({
      outcome: 'refreshed',
      events: [{ rule: 'T6' }],
      incident: { severity: 'critical' },
    })
    clock.pass(MINUTE)
    expect(await say('Renotify')).toMatchObject({ outcome: 'refreshed' })
    clock.pass(MINUTE)
    expect(await say('Recovered')).toMatchObject({ outcome: 'resolved' })
    clock.pass(HOUR)
    expect(await say('Triggered', 'c-2')).toMatchObject({ outcome: 'opened' })
  })

  test('D2 the second outage of an Uptime Kuma monitor is never a duplicate', async () => {
    const kuma = await project.source('uptime-kuma')
    const beat = async (status: number) => {
      const time = clock.at().replace('T', ' ').slice(0, -1)
      const heartbeat = { monitorID: 12, status, time, msg: 'm' }
      return (await kuma.send({ heartbeat, monitor: { id: 12, name: 'Shop' }, msg: 'm' })).outcome
    }
    expect([await beat(0), await beat(0)]).toEqual(['opened', 'duplicate'])
    clock.pass(HOUR)
    expect([await beat(1), await beat(1)]).toEqual(['resolved', 'duplicate'])
    clock.pass(HOUR)
    expect([await beat(0), await beat(0)]).toEqual(['opened', 'duplicate'])
  })

  test('R1 one CloudEvent of a batch resolves, the other opens', async () => {
    const bus = await project.source('cloudevents')
    const event = (id: string, subject: string, word: string) => ({
      specversion: '1.0',
      id,
      source: '/checks',
      type: `check.${word}`,
      subject,
      time: clock.at(),
    })
    await bus.send([event('1', 'a', 'opened'), event('2', 'b', 'opened')])
    clock.pass(MINUTE)
    const { events } = await bus.send([event('3', 'a', 'resolved'), event('4', 'c', 'opened')])
    expect(events.map(({ outcome }) => outcome)).toEqual(['resolved', 'opened'])
    expect((await project.incidents()).map(({ status }) => status)).toEqual(['resolved', 'open', 'open'])
  })
})
