import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { payload } from './adapters/payload.ts'
import { hookRequest, refusal, testTocsin } from './open-test-tocsin.ts'

describe.each(databaseKinds)('previewing a body on %s', (kind) => {
  const t = testTocsin(kind)

  test('answers what is read by a mapping and what would come of it, and stores nothing', async () => {
    const project = await t.project()
    const before = await t.tables()
    const sample = {
      check: { key: 'c-7', text: 'Checkout is slow', state: 'PROBLEM', level: 'P1' },
      tags: ['eu'],
    }
    const { events, decisions } = await t.admin.previewSource(project.id, {
      adapter: 'generic',
      mapping: {
        title: 'json(check.text)',
        id: 'json(check.key)',
        action: 'json(check.state)',
        severity: 'json(check.level)',
        labels: 'json(tags)',
        service: 'checkout',
      },
      sample,
    })
    expect(events).toMatchObject([
      {
        kind: 'fire',
        signalKey: 'c-7',
        title: 'Checkout is slow',
        severity: 'critical',
        sourceStatus: 'PROBLEM',
        services: ['checkout'],
        labels: { eu: 'true' },
        metadata: sample,
      },
    ])
    expect(decisions).toMatchObject([{ outcome: 'opened', rule: 'M4', incidentId: null }])
    expect(await t.tables()).toEqual(before)
  })

  test('decides as the source of that tool would, with the mapping it has', async () => {
    const project = await t.project()
    const source = await project.source('generic', {
      settings: { mapping: { id: 'json(key)', title: 'json(text)' } },
    })
    const body = { key: 'a-1', text: 'Search is down' }
    const { incident } = await source.send(body)
    const preview = (sample: unknown) => t.admin.previewSource(project.id, { adapter: 'generic', sample })

    expect((await preview(body)).decisions).toMatchObject([
      { outcome: 'duplicate', rule: 'D2', incidentId: incident?.id },
    ])
    expect((await preview({ ...body, action: 'resolve' })).decisions).toMatchObject([
      { outcome: 'resolved', rule: 'R1', incidentId: incident?.id },
    ])
    expect((await project.incident(incident?.id)).status).toBe('open')
  })

  test('reads every alert of a notification', async () => {
    const project = await t.project()
    const { events, decisions } = await t.admin.previewSource(project.id, {
      adapter: 'alertmanager',
      sample: payload('alertmanager/firing'),
    })
    expect(events.length).toBeGreaterThan(1)
    expect(decisions).toHaveLength(events.length)
  })

  test('reads a body as the path would that it is for', async () => {
    const project = await t.project()
    const preview = async (adapter: string, sample: unknown, path?: string) =>
      (await t.admin.previewSource(project.id, { adapter, sample, ...(path !== undefined && { path }) }))
        .events
    const change = { payload: { summary: 'Deployed 1.4.2', source: 'ci' } }
    expect(await preview('pagerduty-events', change, '/v2/change/enqueue')).toMatchObject([
      { kind: 'info', title: 'Deployed 1.4.2', sourceStatus: 'change' },
    ])
    await expect(preview('pagerduty-events', change)).rejects.toThrow(/^sample: event_action/)

    const title = { report: { title: 'Website is gone' } }
    const irm =
      '/api/experimental/incoming-webhooks/grafana.incident.create?title=json(report.title)&drill=true'
    expect(await preview('grafana-irm', title, irm)).toMatchObject([
      { title: 'Website is gone', drill: true },
    ])
    expect(await preview('grafana-irm', title, '?title=json(report.title)')).toMatchObject([
      { title: 'Website is gone' },
    ])
    // At the short address a title alone is read as Runframe's, whatever the source.
    expect(await preview('sentry', { title: 'Down', region: 'eu' }, '/webhooks/token')).toMatchObject([
      { kind: 'fire', title: 'Down', metadata: { region: 'eu' } },
    ])
  })

  test('says of a recovery that fits nothing that it changes nothing', async () => {
    const project = await t.project()
    const sample = { id: 'nobody', title: 'Over', action: 'resolve' }
    const { decisions } = await t.admin.previewSource(project.id, { adapter: 'generic', sample })
    expect(decisions).toMatchObject([{ outcome: 'unmatched' }])
    expect(decisions[0]!.text).toMatch(/^A recovery that fits nothing that fires: .* Nothing fires from this/)
  })

  test('refuses a mapping that the tool does not read', async () => {
    const project = await t.project()
    const mapped = { adapter: 'sentry', mapping: { title: 'json(a)' }, sample: {} }
    const { code, message } = await refusal(t.admin.previewSource(project.id, mapped))
    expect(code).toBe('invalid_request')
    expect(message).toBe('mapping: not read by sentry, only by grafana-irm and generic. Leave it out.')
  })

  test('decides a change event as the real path does', async () => {
    const project = await t.project()
    const { secret } = await project.source('pagerduty-events')
    const sample = { routing_key: secret, payload: { summary: 'Deployed 1.4.2', source: 'ci' } }
    const path = '/v2/change/enqueue'
    const send = () =>
      t.tocsin.receive(
        hookRequest({ path, rawBody: Buffer.from(JSON.stringify(sample)), receivedAt: t.clock.at() }),
        { kind: 'drop-in', adapter: 'pagerduty-events', sourceId: null },
      )
    const outcomes = new Set<string>()
    for (let i = 0; i < 2; i++) {
      const { decisions } = await t.admin.previewSource(project.id, {
        adapter: 'pagerduty-events',
        sample,
        path,
      })
      const { events } = await send()
      expect(decisions).toMatchObject(events)
      outcomes.add(events[0]!.outcome)
    }
    expect(outcomes).toEqual(new Set(['info', 'duplicate']))
  })

  test('sees the repeat of a bare title that the real path would see', async () => {
    const source = await (await t.project()).source()
    const body = { title: 'Disk is full' }
    await source.send(body)
    const preview = await t.admin.previewSource(source.project.id, { adapter: 'generic', sample: body })
    expect(preview.decisions).toMatchObject([{ outcome: 'duplicate', rule: 'D5' }])
  })

  test('says what is wrong with a sample', async () => {
    const project = await t.project()
    const refused = async (adapter: string, sample: unknown) =>
      (await refusal(t.admin.previewSource(project.id, { adapter, sample }))).message
    expect(await refused('runframe', {})).toBe('sample: title is missing: send it as text.')
    expect(await refused('pagerduty-events', { event_action: 'triggered' })).toContain('sample: event_action')
    expect(await refused('no-such-tool', {})).toContain('adapter: unknown')
    const broken = { adapter: 'generic', mapping: { title: 'json(a' }, sample: {} }
    expect((await refusal(t.admin.previewSource(project.id, broken))).message).toMatch(/^mapping\.title: /)
  })
})
