import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../../support/databases.ts'
import { HOUR, MINUTE, notification, testTocsin } from '../open-test-tocsin.ts'

describe.each(databaseKinds)('an occurrence on %s', (kind) => {
  const t = testTocsin(kind)

  test('R3 is found by the title it was last called by, also where nothing else has changed', async () => {
    const project = await t.project()
    const source = await project.source()
    await source.send({ id: 'a', title: 'Disk 90 % full', time: t.clock.at() })
    const { incident } = await source.send({ id: 'b', title: 'Database away', time: t.clock.at() })
    t.clock.pass(1000)
    const { outcome } = await source.send({ id: 'a', title: 'Disk 95 % full', time: t.clock.at() })
    expect(outcome).toBe('refreshed')
    expect(await source.send({ title: 'Disk 95 % full', action: 'resolve' })).toMatchObject({
      outcome: 'recovered',
    })
    const { signals } = await t.admin.listIncidentSignals(project.id, incident!.id, {})
    expect(signals.map(({ title, status }) => [title, status]).toSorted()).toEqual([
      ['Database away', 'firing'],
      ['Disk 95 % full', 'recovered'],
    ])
  })

  test('T2 is not opened again by a straggler while the newest episode was just heard of', async () => {
    const project = await t.project()
    const source = await project.source('alertmanager')
    const starts = Array.from({ length: 8 }, (_, i) => t.clock.at((i - 20) * HOUR))
    for (const [i, startsAt] of starts.entries()) {
      if (i === starts.length - 1) t.clock.pass(HOUR)
      await source.send(notification([{ fingerprint: 'a', startsAt }]))
      const endsAt = new Date(Date.parse(startsAt) + MINUTE).toISOString()
      await source.send(notification([{ fingerprint: 'a', startsAt, endsAt }]))
    }
    t.clock.pass(MINUTE)
    const { events } = await source.send(notification([{ fingerprint: 'a', startsAt: starts[0]! }]))
    expect(events).toMatchObject([{ outcome: 'duplicate' }])
    const rows = (await t.tables()).get('occurrence')!.filter(({ project_id }) => project_id === project.id)
    expect(rows).toHaveLength(8)
  })
})
