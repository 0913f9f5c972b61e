import { describe, expect, test } from 'vitest'
import { MINUTE, Project, withEpisodes, withIds, withTimes } from './harness.ts'

const prom = withEpisodes('prom')
const kuma = withTimes('kuma')

describe('T1', () => {
  test('T1 the episode that starts later is the current one, whichever arrives first', () => {
    const project = new Project()
    project.receive(100, prom.fire('A', { start: 50 }))
    project.receive(101, prom.fire('A', { start: 0 }))
    expect(project.occurrences()).toMatchObject([
      { firedAt: 0, recoveredAt: 50, closedBy: 'episode' },
      { firedAt: 50, recoveredAt: null },
    ])
  })

  test('T1 a recovery closes the stretch of its episode, whatever the clocks say', () => {
    const project = new Project()
    project.receive(100, prom.fire('A', { start: 100 }))
    expect(project.receive(101, prom.recover('A', { start: 100, time: 90 })).outcome).toBe('resolved')
    expect(project.occurrences()).toMatchObject([{ firedAt: 100, recoveredAt: 100 }])
  })

  test('T1 a stretch opened by an explicit, later reopening keeps firing', () => {
    const project = new Project()
    const reopened = prom.fire('A', { start: 0, time: 120, reopen: true, eventId: 'reopened' })
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A', { time: 60 }))
    project.receive(121, reopened)
    const late = prom.recover('A', { time: 70, eventId: 'late' })
    expect(project.receive(122, late).outcome).toBe('recovered')
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 1 }])
    expect(project.receive(180, prom.recover('A')).outcome).toBe('resolved')
  })

  test('T1 the recovery that comes after the reopening it preceded closes the first stretch', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(121, prom.fire('A', { start: 0, time: 120, reopen: true, eventId: 'reopened' }))
    project.receive(122, prom.recover('A', { time: 60 }))
    expect(project.occurrences()).toMatchObject([
      { firedAt: 0, recoveredAt: 60, closedBy: 'recover' },
      { firedAt: 120, recoveredAt: null },
    ])
  })

  test('T1 where a time is inferred, arrival decides', () => {
    const project = new Project()
    const generic = withIds('generic')
    project.receive(100, generic.fire('x'))
    const ahead = generic.recover('x', { time: 90 })
    expect(project.receive(101, ahead).outcome).toBe('resolved')
  })
})

describe('T2', () => {
  test('T2 an old firing notification within 15 min of the recovery is stale', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A'))
    const again = prom.fire('A', { eventId: 'from the other peer' })
    expect(project.receive(60 + 15 * MINUTE, again).outcome).toBe('stale')
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
    expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)'])
  })

  test('T2 one that is still sent later is the next stretch, from when it arrived', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A'))
    expect(project.receive(61 + 15 * MINUTE, prom.fire('A')).outcome).toBe('opened')
    expect(project.occurrences()).toMatchObject([
      { firedAt: 0, recoveredAt: 60 },
      { firedAt: 61 + 15 * MINUTE, recoveredAt: null },
    ])
    expect(project.all().at(-1)).toMatchObject({ stretch: 2, firedTimeInferred: true })
  })

  test('T2 a later event time is the next stretch at once, from that time', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A'))
    expect(project.receive(75, prom.fire('A', { time: 70 })).outcome).toBe('reopened')
    expect(project.occurrences().at(-1)).toMatchObject({ firedAt: 70, recoveredAt: null })
  })

  test('T2 an explicit reopening is the next stretch at once, whatever the clocks say', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A', { time: 60 }))
    expect(project.receive(65, prom.fire('A', { time: 50, reopen: true })).outcome).toBe('reopened')
    expect(project.occurrences().at(-1)).toMatchObject({ firedAt: 65, recoveredAt: null })
  })

  test('T2 an inferred recovery of a group that is contradicted is withdrawn', () => {
    const project = new Project()
    const group = { status: 'firing' } as const
    project.request(0, [prom.fire('A'), prom.fire('B')], { group })
    project.request(60, [prom.recover('A')], { group: { status: 'resolved', greatestEndsAt: 60 } })
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])

    expect(project.request(120, [prom.fire('B')], { group }).outcome).toBe('reopened')
    expect(project.occurrences().at(-1)).toMatchObject({ key: 'B', firedAt: 0, recoveredAt: null })
    project.request(180, [prom.recover('B')], { group: { status: 'resolved', greatestEndsAt: 180 } })
    expect(project.state().durationMs).toBe(180_000)
  })

  test('T2 what was withdrawn after the reopen window fires on in a new incident', () => {
    const project = new Project({ policy: { reopenWindowMs: 0 } })
    const group = { status: 'firing' } as const
    project.request(0, [prom.fire('A'), prom.fire('B')], { group })
    project.request(60, [prom.recover('A')], { group: { status: 'resolved', greatestEndsAt: 60 } })
    expect(project.request(120, [prom.fire('B')], { group }).outcome).toBe('opened')
  })

  test('T2 a fire that had an orphan is a straggler when it is sent again, however old the orphan (R5)', () => {
    const project = new Project()
    project.receive(300, prom.recover('A', { start: 0 }))
    expect(project.receive(20 * MINUTE, prom.fire('A')).outcome).toBe('late')
    expect(project.receive(20 * MINUTE + 1, prom.fire('A', { eventId: 'peer' })).outcome).toBe('stale')
  })

  test('T2 a fire from before an explicit reopening is not one of it', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(61, prom.fire('A', { time: 60, reopen: true, eventId: 'reopened' }))
    expect(project.receive(62, prom.fire('A')).outcome).toBe('duplicate')
    expect(project.receive(63, prom.fire('A', { eventId: 'peer' })).outcome).toBe('stale')
    expect(project.incidents()).toMatchObject([{ firing: 1 }])
  })

  test('T2 an old episode still sent while a newer one fires opens no second stretch', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(10, prom.fire('A', { start: 10 }))
    const fromTheOtherPeer = prom.fire('A', { start: 0, eventId: 'peer' })
    expect(project.receive(30 * MINUTE, fromTheOtherPeer).outcome).toBe('stale')
    expect(project.incidents()).toMatchObject([{ firing: 1 }])
  })

  test('T2 the recovery of a newer episode makes stragglers of older ones, too', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(60, prom.fire('A', { start: 60 }))
    project.receive(1000, prom.recover('A', { start: 60 }))
    const fromTheOtherPeer = prom.fire('A', { start: 0, eventId: 'peer' })
    expect(project.receive(1010, fromTheOtherPeer).outcome).toBe('stale')
    expect(project.receive(1001 + 15 * MINUTE, fromTheOtherPeer).outcome).toBe('opened')
  })
})

describe('T3', () => {
  test('T3 a fire not later than a recovery is late: a closed occurrence, no state change', () => {
    const project = new Project()
    project.receive(100, kuma.fire('A'))
    project.receive(200, kuma.recover('A'))
    const before = project.sent()
    expect(project.receive(210, kuma.fire('A', { time: 50 })).outcome).toBe('late')
    expect(project.occurrences()).toMatchObject([
      { firedAt: 50, recoveredAt: 200 },
      { firedAt: 100, recoveredAt: 200 },
    ])
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
    expect(project.sent()).toEqual(before)
  })

  test('T3 a fire inside a stretch that has ended belongs to it', () => {
    const project = new Project()
    project.receive(100, kuma.fire('A'))
    project.receive(200, kuma.recover('A'))
    expect(project.receive(210, kuma.fire('A', { time: 150 })).outcome).toBe('late')
    expect(project.occurrences()).toHaveLength(1)
  })

  test('T3 without a recovery in time it is closed at the next fire', () => {
    const project = new Project({ policy: { resolveScope: 'incident' } })
    project.receive(100, kuma.fire('A'))
    project.receive(110, kuma.fire('B'))
    project.receive(200, kuma.recover('B'))
    expect(project.receive(210, kuma.fire('A', { time: 50 })).outcome).toBe('late')
    expect(project.occurrences()[0]).toMatchObject({ firedAt: 50, recoveredAt: 100, closedBy: 'episode' })
  })

  test("T3 a person's resolve is no recovery: what comes after the quiet time opens", () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.resolve(100)
    expect(project.receive(20 * MINUTE, kuma.fire('A', { time: 50 })).outcome).toBe('opened')
  })

  test('T3 holds also where a person closed a later occurrence', () => {
    const project = new Project()
    project.receive(10, kuma.fire('A'))
    project.receive(20, kuma.recover('A'))
    project.receive(30, kuma.fire('A'))
    project.resolve(40)
    expect(project.receive(20 * MINUTE, kuma.fire('A', { time: 5 })).outcome).toBe('late')
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })
})

describe('T4', () => {
  test('T4 a recovery of an older episode closes its own occurrence, never the newer one', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(100, prom.fire('A', { start: 100 }))
    expect(project.receive(110, prom.recover('A', { start: 0, time: 60 })).outcome).toBe('recovered')
    expect(project.occurrences()).toMatchObject([
      { firedAt: 0, recoveredAt: 60, closedBy: 'recover' },
      { firedAt: 100, recoveredAt: null },
    ])
  })

  test('T4 a recovery from before a counted stretch does not close it', () => {
    const project = new Project()
    project.receive(100, kuma.fire('A'))
    expect(project.receive(110, kuma.recover('A', { time: 60 })).outcome).toBe('unmatched')
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 1 }])
  })
})

describe('T5', () => {
  test('T5 an old episode that is reopened is the newer one', () => {
    const project = new Project()
    project.receive(300, prom.fire('A', { start: 300 }))
    project.receive(900, prom.fire('A', { start: 0, time: 900, reopen: true }))
    expect(project.occurrences()).toMatchObject([
      { firedAt: 300, recoveredAt: 900, closedBy: 'episode' },
      { firedAt: 900, recoveredAt: null },
    ])
  })

  test('T5 a newer episode on a firing signal ends the one before it', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    expect(project.receive(100, prom.fire('A', { start: 90 }))).toMatchObject({ outcome: 'attached' })
    expect(project.occurrences()).toMatchObject([
      { incident: 1, firedAt: 0, recoveredAt: 90, closedBy: 'episode' },
      { incident: 1, firedAt: 90, recoveredAt: null },
    ])
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 1 }])
    expect(project.sent()).toEqual(['INC-1 opened(1)'])
  })
})

describe('T6', () => {
  test('T6 a fire on the firing episode refreshes it', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { severity: 'low' }))
    const again = prom.fire('A', {
      severity: 'critical',
      eventId: 'again',
      title: 'Worse',
      customerImpact: true,
    })
    expect(project.receive(60, again).outcome).toBe('refreshed')
    expect(project.occurrences()).toHaveLength(1)
    expect(project.state()).toMatchObject({ severity: 'critical', title: 'A', customerImpact: true })
    expect(project.state().firing).toMatchObject({ low: 0, critical: 1 })
    expect([...project.picture.signals.values()]).toMatchObject([{ title: 'Worse' }])
  })

  test('T6 a refresh of a signal that is not firing is a fire (N1)', () => {
    const project = new Project()
    expect(project.receive(0, kuma.refresh('A')).outcome).toBe('opened')
  })

  test('T6 an episode starts with its first event, whichever arrives first', () => {
    const project = new Project()
    const uptimera = (time: number) => ({
      ...prom.fire('A', { time, eventId: `at ${time}` }),
      start: undefined,
    })
    project.receive(100, uptimera(90))
    expect(project.receive(101, uptimera(30)).outcome).toBe('refreshed')
    expect(project.occurrences()).toMatchObject([{ firedAt: 30 }])

    const counted = new Project()
    counted.receive(100, kuma.fire('A', { time: 90 }))
    expect(counted.receive(101, kuma.fire('A', { time: 30 })).outcome).toBe('refreshed')
    expect(counted.occurrences()).toMatchObject([{ firedAt: 30 }])
  })
})

test('T7 an older, unseen episode is late: closed at the start of the next one', () => {
  const project = new Project()
  project.receive(100, prom.fire('A', { start: 100 }))
  project.receive(150, prom.recover('A', { start: 100 }))
  expect(project.receive(160, prom.fire('A', { start: 20 })).outcome).toBe('late')
  expect(project.receive(161, prom.fire('A', { start: 60 })).outcome).toBe('late')
  expect(project.occurrences()).toMatchObject([
    { firedAt: 20, recoveredAt: 60, closedBy: 'episode' },
    { firedAt: 60, recoveredAt: 100, closedBy: 'episode' },
    { firedAt: 100, recoveredAt: 150, closedBy: 'recover' },
  ])
  expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)'])
})

test('T7 how long an incident lasted does not depend on when its late member was told', () => {
  const before = new Project()
  before.receive(100, prom.fire('A', { start: 100 }))
  before.receive(110, prom.fire('A', { start: 50 }))
  before.receive(300, prom.recover('A', { start: 100 }))
  const after = new Project()
  after.receive(100, prom.fire('A', { start: 100 }))
  after.receive(300, prom.recover('A', { start: 100 }))
  after.receive(310, prom.fire('A', { start: 50 }))
  expect(before.state().durationMs).toBe(250_000)
  expect(after.state().durationMs).toBe(250_000)
})

describe('T8', () => {
  test("T8 the sender's own recovery replaces an inferred one", () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(50, prom.fire('A', { start: 50 }))
    expect(project.receive(90, prom.recover('A', { start: 0, time: 80 })).outcome).toBe('recovered')
    expect(project.occurrences()[0]).toMatchObject({ recoveredAt: 80, closedBy: 'recover' })
  })

  test('T8 the incident resolves at the last of all recoveries, replaced ones included', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(50, prom.fire('A', { start: 50 }))
    project.receive(90, prom.recover('A', { start: 0, time: 80 }))
    project.receive(95, prom.recover('A', { start: 50, time: 70 }))
    expect(project.state()).toMatchObject({ status: 'resolved', durationMs: 80_000 })
  })
})
