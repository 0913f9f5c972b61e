import { describe, expect, test } from 'vitest'
import { HOUR, MINUTE, Project, withEpisodes, withIds, withTimes, withTitles } from './harness.ts'

const prom = withEpisodes('prom')
const kuma = withTimes('kuma')
const generic = withIds('generic')
const titles = withTitles('titles')

test('N2 an unknown word joins the open incident, opens and closes nothing', () => {
  const project = new Project()
  expect(project.receive(0, kuma.info('A', { sourceStatus: 'ARCHIVED' }))).toMatchObject({
    outcome: 'info',
    incident: null,
  })
  expect(project.incidents()).toEqual([])

  project.receive(10, kuma.fire('A'))
  expect(project.receive(20, kuma.info('A', { sourceStatus: 'ARCHIVED' }))).toMatchObject({
    outcome: 'info',
    incident: { number: 1, status: 'open' },
  })
  expect(project.timeline().at(-1)!.text).toContain('ARCHIVED')
  expect(project.receive(30, kuma.info('B'))).toMatchObject({ outcome: 'info', incident: null })
  expect(project.receive(40, { ...kuma.info('A'), key: null })).toMatchObject({
    outcome: 'info',
    incident: null,
  })
  expect(project.sent()).toEqual(['INC-1 opened(1)'])
})

test("N3 a sender's own test message opens nothing", () => {
  const project = new Project()
  expect(project.receive(0, kuma.fire('A', { test: true })).outcome).toBe('test')
  expect(project.incidents()).toEqual([])
  expect(project.picture.events.map((event) => event.outcome)).toEqual(['test'])
})

test('N4 the time of an alert from the past is kept as its start', () => {
  const project = new Project()
  project.receive(HOUR, kuma.fire('A', { time: 0 }))
  expect(project.occurrences()).toMatchObject([{ firedAt: 0 }])
  expect(project.timeline()[0]).toMatchObject({ kind: 'opened', at: HOUR })
})

test('N5 a filtered request changes nothing and takes no slot', () => {
  const project = new Project({ hourlyLimit: 1 })
  expect(project.request(0, [kuma.fire('A')], { filtered: 'not this project' })).toMatchObject({
    outcome: 'filtered',
    slotKind: null,
  })
  expect(project.receive(1, kuma.fire('A')).outcome).toBe('opened')
})

describe('D1', () => {
  test('D1 a delivery seen before is a duplicate, within its window and for its source', () => {
    const project = new Project()
    const send = (at: number, source = generic) =>
      project.request(at, [source.fire('x', { time: at })], { delivery: 'd1' }).outcome

    expect(send(0)).toBe('opened')
    expect(send(72 * HOUR)).toBe('duplicate')
    expect(send(72 * HOUR + 1)).toBe('refreshed')
    expect(send(72 * HOUR + 2, withIds('another'))).not.toBe('duplicate')
  })
})

describe('D2', () => {
  test('D2 a generic id opens, repeats, resolves, repeats and opens its next episode', () => {
    const project = new Project()
    const outcomes = [
      generic.fire('x'),
      generic.fire('x'),
      generic.recover('x'),
      generic.recover('x'),
      generic.fire('x'),
    ].map((said, i) => project.receive(i * HOUR, said).outcome)

    expect(outcomes).toEqual(['opened', 'duplicate', 'resolved', 'duplicate', 'opened'])
    expect(project.occurrences().map((o) => o.recoveredAt)).toEqual([2 * HOUR, null])
  })

  test('D2 one id for trigger and resolve is two events', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A', { eventId: 'alert-001' }))
    expect(project.receive(60, kuma.recover('A', { eventId: 'alert-001' })).outcome).toBe('resolved')
  })

  test('D2 a time in the body tells two events apart and the same one again', () => {
    const project = new Project()
    expect(project.receive(0, kuma.fire('A', { time: 0 })).outcome).toBe('opened')
    expect(project.receive(60, kuma.recover('A', { time: 60 })).outcome).toBe('resolved')
    expect(project.receive(90, kuma.fire('A', { time: 0 })).outcome).toBe('duplicate')
    expect(project.receive(5 * HOUR, kuma.fire('A', { time: 5 * HOUR })).outcome).toBe('opened')
    expect(project.receive(5 * HOUR, kuma.recover('A', { time: 60 })).outcome).toBe('duplicate')
    expect(project.incidents().at(-1)).toMatchObject({ number: 2, status: 'open' })
  })

  test("D2 a header's time is no part of the identity", () => {
    const project = new Project()
    const send = (at: number) => project.receive(at, { ...kuma.fire('A', { time: at }), timeIsMoment: false })
    expect(send(0).outcome).toBe('opened')
    expect(send(30).outcome).toBe('duplicate')
  })

  test('D2 cannot swallow the fire of a new stretch', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A'))
    expect(project.receive(2 * HOUR, prom.fire('A')).outcome).toBe('opened')
    expect(project.receive(2 * HOUR + 60, prom.fire('A')).outcome).toBe('duplicate')
    expect(project.receive(2 * HOUR + 90, prom.recover('A')).outcome).toBe('resolved')
  })

  test('D2 an id that never fired has nothing to repeat: its recovery is tried anew each time', () => {
    const project = new Project()
    for (const start of [0, HOUR]) {
      project.receive(start, titles.fire('Disk full', { bodyHash: `body ${start}` }))
      expect(project.receive(start + 60, withIds('titles').recover('disk-1')).outcome).toBe('resolved')
    }
  })

  test('D2 the explicit reopening seen before is a duplicate, whatever came after it', () => {
    const project = new Project()
    const reopened = prom.fire('A', { start: 0, time: 120, reopen: true, eventId: 'reopened 1' })
    project.receive(0, prom.fire('A'))
    project.receive(60, prom.recover('A'))
    expect(project.receive(120, reopened).outcome).toBe('reopened')
    expect(project.receive(180, prom.recover('A', { eventId: 'second recovery' })).outcome).toBe('resolved')
    expect(project.receive(240, reopened).outcome).toBe('duplicate')
  })
})

describe('D4', () => {
  test('D4 a group that says what it said last is a duplicate, however late', () => {
    const project = new Project()
    const group = { status: 'firing', fingerprint: 'A firing' } as const
    const send = (at: number) => project.request(at, [prom.fire('A')], { group }).outcome
    expect(send(0)).toBe('opened')
    expect(send(4 * HOUR)).toBe('duplicate')
    expect(send(8 * HOUR)).toBe('duplicate')
    expect(project.timeline()).toHaveLength(2)
  })

  test('D4 looks at the last notification of the group only', () => {
    const project = new Project()
    const firing = { status: 'firing', fingerprint: 'A firing' } as const
    project.request(0, [prom.fire('A')], { group: firing })
    project.request(60, [prom.recover('A')], {
      group: { status: 'resolved', fingerprint: 'A resolved', greatestEndsAt: 60 },
    })
    expect(project.request(HOUR, [prom.fire('A')], { group: firing }).outcome).toBe('opened')
  })
})

describe('D5', () => {
  test('D5 identical bare bodies within 10 s are one, later ones refresh with an entry', () => {
    const project = new Project()
    const send = (at: number) => project.receive(at, titles.fire('Disk full')).outcome
    expect(send(0)).toBe('opened')
    expect(send(10)).toBe('duplicate')
    const before = project.timeline().length
    expect(send(10.001)).toBe('refreshed')
    expect(project.timeline()).toHaveLength(before + 1)
  })

  test('D5 does not apply where another event of the signal came between', () => {
    const project = new Project()
    expect(project.receive(0, titles.fire('Disk full')).outcome).toBe('opened')
    expect(project.receive(1, titles.recover('Disk full')).outcome).toBe('resolved')
    expect(project.receive(2, titles.fire('Disk full')).outcome).toBe('reopened')
    expect(project.receive(3, titles.recover('Disk full')).outcome).toBe('resolved')
  })

  test('D5 a replay keeps its place in time: an identical body of much later is another one', () => {
    const project = new Project()
    project.receive(HOUR, titles.fire('Disk full'))
    expect(project.request(0, [titles.fire('Disk full')], { decidedAt: HOUR + 1 }).outcome).toBe('refreshed')
  })
})

test('D6 a duplicate is counted and seen, without entry, message or slot', () => {
  const project = new Project({ hourlyLimit: 2 })
  project.receive(0, kuma.fire('A', { time: 0 }))
  const timeline = project.timeline()
  const answer = project.receive(30, kuma.fire('A', { time: 0 }))

  expect(answer).toMatchObject({ outcome: 'duplicate', incident: { number: 1 }, slotKind: 3 })
  expect(answer.events).toMatchObject([{ outcome: 'duplicate', rule: 'D2' }])
  expect(project.timeline()).toEqual(timeline)
  expect(project.picture.events).toHaveLength(1)
  expect(project.picture.repeats).toMatchObject([{ stretch: 0, at: '2026-01-05T12:00:30.000Z' }])
})

describe('D7', () => {
  test('D7 a parked request leaves no marks', () => {
    const project = new Project({ hourlyLimit: 1 })
    project.receive(0, kuma.fire('A'))
    const parked = { delivery: 'd2', group: { status: 'firing', fingerprint: 'B firing' } } as const
    expect(project.request(10, [kuma.fire('B', { time: 10 })], parked).outcome).toBe('parked')
    expect(project.picture.events).toHaveLength(1)

    expect(project.request(HOUR, [kuma.fire('B', { time: 10 })], parked).outcome).toBe('attached')
  })

  test('D7 a replay whose event was accepted meanwhile is a duplicate', () => {
    const project = new Project({ hourlyLimit: 1 })
    project.receive(0, kuma.fire('A'))
    expect(project.receive(10, kuma.fire('B', { time: 10 })).outcome).toBe('parked')
    expect(project.receive(HOUR, kuma.fire('B', { time: 10 })).outcome).toBe('attached')
    expect(project.request(10, [kuma.fire('B', { time: 10 })], { decidedAt: 2 * HOUR }).outcome).toBe(
      'duplicate',
    )
  })

  test('D7 a replay keeps its place in arrival order', () => {
    const project = new Project({ hourlyLimit: 1 })
    project.receive(0, generic.fire('x'))
    expect(project.receive(10, generic.fire('x', { eventId: 'second' })).outcome).toBe('parked')
    expect(project.receive(20, generic.recover('x')).outcome).toBe('resolved')

    const replay = project.request(10, [generic.fire('x', { eventId: 'second' })], { decidedAt: 2 * HOUR })
    expect(replay.outcome).toBe('late')
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })

  test('D7 with the hour full a replay stays parked; one accepted before takes no slot', () => {
    const project = new Project({ hourlyLimit: 1 })
    project.receive(0, kuma.fire('A'))
    expect(project.request(0, [kuma.fire('B')], { decidedAt: 60 })).toMatchObject({
      outcome: 'parked',
      retryAfterSeconds: HOUR - 60,
    })
    expect(project.request(0, [kuma.fire('C')], { decidedAt: 60, freeOfLimit: true })).toMatchObject({
      outcome: 'attached',
      slotKind: null,
    })
  })
})

test('strictExternalId: a repeat of source, id and kind is a duplicate for ever', () => {
  const project = new Project({ policy: { strictExternalId: true } })
  const outcomes = [generic.fire('x'), generic.recover('x'), generic.fire('x'), generic.recover('x')].map(
    (said, i) => project.receive(i * 10 * HOUR, said).outcome,
  )
  expect(outcomes).toEqual(['opened', 'resolved', 'duplicate', 'duplicate'])
  expect(project.receive(50 * HOUR, withIds('another').fire('x')).outcome).toBe('opened')
  expect(project.receive(50 * HOUR + MINUTE, generic.fire('x', { drill: true })).outcome).toBe('opened')
})
