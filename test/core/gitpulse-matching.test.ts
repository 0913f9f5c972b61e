import { beforeEach, describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { HOUR, MINUTE, type TestProject, type TestSource, testTocsin } from './open-test-tocsin.ts'

describe.each(databaseKinds)("GitPulse's shape on %s", (kind) => {
  const t = testTocsin(kind)
  const { clock } = t
  let project: TestProject
  let source: TestSource

  beforeEach(async () => {
    project = await t.project()
    source = await project.source('gitpulse')
  })

  function say(status: string, fields: Record<string, unknown> = {}) {
    return source.send(
      {
        incident_id: 'db-1',
        project_uuid: project.id,
        status,
        incident_time: clock.at(),
        monitor_name: 'Database',
        ...fields,
      },
      { headers: { 'x-api-key': source.secret } },
    )
  }

  test('R4 a recovery closes the latest alert of its incident_id', async () => {
    await say('DOWN', { monitor_id: 'm-1' })
    await say('DOWN', { incident_id: 'db-2', monitor_id: 'm-1' })
    clock.pass(MINUTE)
    expect(await say('UP', { monitor_id: 'm-1' })).toMatchObject({
      outcome: 'resolved',
      events: [{ rule: 'R1' }],
    })
    const incidents = await project.incidents()
    expect(incidents.map(({ status }) => status)).toEqual(['resolved', 'open'])
  })

  test('R4 else the latest alert of its monitor_id, of several', async () => {
    await say('DOWN', { incident_id: 'a', monitor_id: 'm-1' })
    clock.pass(MINUTE)
    await say('DOWN', { incident_id: 'b', monitor_id: 'm-1' })
    await say('DOWN', { incident_id: 'c', monitor_id: 'm-2' })
    clock.pass(MINUTE)
    const recovery = await say('UP', { incident_id: 'other', monitor_id: 'm-1' })
    expect(recovery).toMatchObject({ outcome: 'resolved', events: [{ rule: 'R1' }] })
    const [a, b, c] = await project.incidents()
    expect([a, b, c].map((incident) => incident?.status)).toEqual(['open', 'resolved', 'open'])
    const [event] = (await project.events(b!.id)).slice(-1)
    expect(event?.receipt.map(({ rule }) => rule)).toEqual(['R4', 'R1'])
  })

  test('R4 without a monitor the only alert, if that has none either and the incident_id is new', async () => {
    await say('DOWN', { incident_id: 'a' })
    clock.pass(MINUTE)
    expect((await say('UP', { incident_id: 'new' })).outcome).toBe('resolved')

    clock.pass(HOUR)
    await say('DOWN', { incident_id: 'b', monitor_id: 'm-1' })
    clock.pass(MINUTE)
    expect((await say('UP', { incident_id: 'newer' })).outcome).toBe('unmatched')

    await say('UP', { incident_id: 'b', monitor_id: 'm-1' })
    await say('DOWN', { incident_id: 'c' })
    await say('DOWN', { incident_id: 'd' })
    clock.pass(MINUTE)
    expect((await say('UP', { incident_id: 'newest' })).outcome).toBe('unmatched')
  })

  test("R4 two monitors down: the recovery of one does not end the other's outage", async () => {
    await say('DOWN', { incident_id: 'a', monitor_id: 'm-1' })
    clock.pass(MINUTE)
    await say('DOWN', { incident_id: 'b', monitor_id: 'm-2' })
    clock.pass(MINUTE)
    await say('UP', { incident_id: 'a', monitor_id: 'm-1' })
    expect((await project.incidents()).map(({ status }) => status)).toEqual(['resolved', 'open'])
  })

  test('R5 a recovery nothing fits is unmatched, and waits', async () => {
    const recoveredAt = clock.at()
    expect(await say('UP', { incident_id: 'late', monitor_id: 'm-9' })).toMatchObject({
      outcome: 'unmatched',
    })
    clock.pass(MINUTE)
    const fire = await say('DOWN', {
      incident_id: 'late',
      monitor_id: 'm-9',
      incident_time: new Date(Date.parse(recoveredAt) - MINUTE).toISOString(),
    })
    expect(fire).toMatchObject({ outcome: 'late', incident: { status: 'resolved' } })
  })

  test("resolveScope incident gives the seed's rule: a recovery ends what is open", async () => {
    await source.set({ resolveScope: 'incident', grouping: 'project' })
    await say('DOWN', { incident_id: 'a', monitor_id: 'm-1' })
    clock.pass(MINUTE)
    expect((await say('UP', { incident_id: 'z', monitor_id: 'm-7' })).outcome).toBe('resolved')
  })

  test('D3 the same time and kind again updates the texts, and nothing else', async () => {
    const incident_time = clock.at()
    const { incident } = await say('DOWN', { incident_time, message: 'timeout', local_time: '14:00' })
    const before = await project.timeline(incident!.id)
    clock.pass(MINUTE)
    const again = await say('DOWN', {
      incident_time,
      message: 'refused',
      monitor_name: 'Main database',
      local_time: '14:01',
    })
    expect(again).toMatchObject({ outcome: 'duplicate', duplicate: true, events: [{ rule: 'D3' }] })

    expect(await project.timeline(incident!.id)).toEqual(before)
    const events = await project.events(incident!.id)
    expect(events).toMatchObject([
      { title: 'Main database', description: 'refused', eventTime: incident_time },
    ])
    const { incidents } = await t.admin.listIncidents(project.id, {})
    expect(incidents).toMatchObject([{ eventCount: 1, signals: [{ title: 'Main database' }] }])
    expect((await project.requests()).at(-1)?.message).toContain('D3')
  })

  test('D3 an alert and its recovery of one time are two, and the recovery ends when it arrives', async () => {
    const incident_time = clock.at(-10_000)
    const { incident } = await say('firing', { incident_time })
    clock.pass(5 * MINUTE)
    expect((await say('resolved', { incident_time })).outcome).toBe('resolved')

    const read = await project.incident(incident?.id)
    expect(read).toMatchObject({ status: 'resolved', startedAt: incident_time, resolvedAt: clock.at() })
    expect(read.durationMs).toBe(5 * MINUTE + 10_000)
    const [, recovery] = await project.events(incident!.id)
    expect(recovery).toMatchObject({ kind: 'recover', sourceTime: incident_time, flags: ['timeInferred'] })

    clock.pass(MINUTE)
    expect(await say('resolved', { incident_time })).toMatchObject({
      outcome: 'duplicate',
      events: [{ rule: 'D3' }],
    })
    expect((await project.events(incident!.id))[1]?.flags).toEqual(['timeInferred'])
  })

  test('D3 the next outage under the same id is another incident', async () => {
    await say('firing')
    clock.pass(MINUTE)
    await say('resolved')
    clock.pass(HOUR)
    expect((await say('firing')).outcome).toBe('opened')
  })
})
