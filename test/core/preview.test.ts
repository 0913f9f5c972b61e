import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { payload } from './adapters/payload.ts'
import { refusal, testTocsin } from './open-test-tocsin.ts'

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

  test('says what is wrong with a sample', async () => {
    const project = await t.project()
    const refused = async (adapter: string, sample: unknown) =>
      (await refusal(t.admin.previewSource(project.id, { adapter, sample }))).message
    expect(await refused('runframe', {})).toBe('sample: title is missing: send it as text.')
    expect(await refused('pagerduty-events', { event_action: 'triggered' })).toContain('sample: event_action')
    expect(await refused('no-such-tool', {})).toContain('adapter: unknown')
  })
})
