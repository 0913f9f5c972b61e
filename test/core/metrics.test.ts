import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { MINUTE, notification, testTocsin } from './open-test-tocsin.ts'

describe.each(databaseKinds)('the metrics of a project on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  async function measured() {
    const project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source()
    const fire = async (id: string, more: object = {}) =>
      (await source.send({ id, title: id, ...more })).incident!.id
    const metrics = (query = {}) => t.admin.getMetrics(project.id, query)
    return { project, source, fire, metrics }
  }

  test('of nothing are null', async () => {
    const { metrics } = await measured()
    const nothing = { mttaMs: null, mttrMs: null, incidents: 0, unacknowledged: 0, excluded: 0 }
    expect(await metrics()).toEqual(nothing)
  })

  test('are means of first acknowledgements and of open stretches, without drills', async () => {
    const { project, source, fire, metrics } = await measured()
    const a = await fire('a')
    const b = await fire('b')
    await fire('c')
    await fire('drill', { drill: true })
    clock.pass(MINUTE)
    await t.admin.acknowledgeIncident(project.id, a, {})
    clock.pass(2 * MINUTE)
    await t.admin.acknowledgeIncident(project.id, b, {})
    await source.send({ id: 'a', action: 'resolve' })
    clock.pass(3 * MINUTE)
    await source.send({ id: 'b', action: 'resolve' })
    expect(await metrics()).toEqual({
      mttaMs: 2 * MINUTE,
      mttrMs: 4.5 * MINUTE,
      incidents: 3,
      unacknowledged: 1,
      excluded: 1,
    })
  })

  test('a reopening adds its stretch and keeps the first acknowledgement', async () => {
    const { project, source, fire, metrics } = await measured()
    const id = await fire('a')
    clock.pass(MINUTE)
    await t.admin.acknowledgeIncident(project.id, id, {})
    await source.send({ id: 'a', action: 'resolve' })
    clock.pass(10 * MINUTE)
    await t.admin.reopenIncident(project.id, id, {})
    expect(await metrics()).toMatchObject({ mttaMs: MINUTE, mttrMs: null, unacknowledged: 0 })
    clock.pass(2 * MINUTE)
    await t.admin.acknowledgeIncident(project.id, id, {})
    await t.admin.resolveIncident(project.id, id, {})
    expect(await metrics()).toMatchObject({ mttaMs: MINUTE, mttrMs: 3 * MINUTE, incidents: 1 })
  })

  test('take the filters of the list of incidents', async () => {
    const { project, fire, metrics } = await measured()
    const other = await project.source('alertmanager')
    await fire('a', { severity: 'critical', service: 'shop' })
    await fire('b', { severity: 'low' })
    clock.pass(MINUTE)
    const since = clock.at()
    await other.send(notification([{ fingerprint: 'x', startsAt: clock.at() }]))
    const incidents = async (query: object) => (await metrics(query)).incidents
    expect(await incidents({})).toBe(3)
    expect(await incidents({ severity: ['critical', 'low'] })).toBe(2)
    expect(await incidents({ service: ['shop'] })).toBe(1)
    expect(await incidents({ source: ['alertmanager'] })).toBe(1)
    expect(await incidents({ since })).toBe(1)
    expect(await incidents({ until: clock.at(-1) })).toBe(2)
  })

  test('leave out what was heard late, or without a time of its sender, where asked to', async () => {
    const { project, source, fire, metrics } = await measured()
    await fire('untimed')
    await source.send({ id: 'late', action: 'resolve', time: clock.at(-MINUTE) })
    await source.send({ id: 'late', title: 'Late', time: clock.at(-2 * MINUTE) })
    expect(await project.incidents()).toMatchObject([{ status: 'open' }, { status: 'resolved' }])
    expect(await metrics()).toMatchObject({ incidents: 2, excluded: 0, mttrMs: MINUTE })
    expect(await metrics({ exclude: ['late'] })).toMatchObject({ incidents: 1, excluded: 1, mttrMs: null })
    expect(await metrics({ exclude: ['timeInferred'] })).toMatchObject({ incidents: 1, mttrMs: MINUTE })
    expect(await metrics({ exclude: ['drill', 'stale'] })).toMatchObject({ incidents: 2, excluded: 0 })
    expect(await metrics({ exclude: ['late', 'timeInferred'] })).toMatchObject({ incidents: 0, excluded: 2 })
  })

  test('each occurrence says how long it fired', async () => {
    const { project, source, fire } = await measured()
    const id = await fire('a')
    const durations = async () =>
      (await t.admin.listIncidentSignals(project.id, id, {})).signals.map((signal) => signal.durationMs)
    expect(await durations()).toEqual([null])
    clock.pass(MINUTE)
    await source.send({ id: 'a', action: 'resolve' })
    expect(await durations()).toEqual([MINUTE])
  })
})
