import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../../support/databases.ts'
import { testTocsin } from '../open-test-tocsin.ts'

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
})
