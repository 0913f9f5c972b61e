import { describe, expect, test } from 'vitest'
import { HOUR, MINUTE, Project, withEpisodes, withIds, withTimes, withTitles } from './harness.ts'

const prom = withEpisodes('prom')
const kuma = withTimes('kuma')
const generic = withIds('generic')
const titles = withTitles('generic')

describe('R1', () => {
  test('R1 closes the occurrence; the incident resolves when none fires, at the last recovery', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(1, kuma.fire('B'))
    expect(project.receive(100, kuma.recover('A', { time: 95 }))).toMatchObject({
      outcome: 'recovered',
      stillFiring: 1,
    })
    expect(project.receive(110, kuma.recover('B', { time: 90 }))).toMatchObject({
      outcome: 'resolved',
      stillFiring: null,
      incident: { number: 1 },
    })
    expect(project.state()).toMatchObject({ status: 'resolved', resolvedBy: 'auto', durationMs: 95_000 })
    expect(project.incidents()[0]!.acceptsNew).toBe(false)
  })

  test('R1 resolves at once, even if the time of the recovery lies ahead', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    expect(project.receive(60, kuma.recover('A', { time: 120 })).outcome).toBe('resolved')
    expect(project.state().durationMs).toBe(120_000)
  })

  test('R1 one request that tells a short outage opens and resolves, in order', () => {
    const project = new Project()
    const answer = project.receive(
      60,
      prom.fire('A', { start: 0 }),
      prom.recover('A', { start: 0, time: 30 }),
    )
    expect(answer).toMatchObject({ outcome: 'opened', incident: { status: 'resolved' } })
    expect(answer.events.map((event) => event.outcome)).toEqual(['opened', 'resolved'])
    expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)'])
  })

  test('R1 one request that ends and begins leaves its incident open', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(60, prom.recover('A', { start: 0 }), prom.fire('B', { start: 60 }))
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 1 }])
    expect(project.sent()).toEqual(['INC-1 opened(1)'])
  })
})

describe('resolveGrace', () => {
  const graced = () => {
    const project = new Project({ policy: { resolveGraceMs: 120_000 } })
    project.receive(0, kuma.fire('A'))
    expect(project.receive(60, kuma.recover('A')).outcome).toBe('recovered')
    return project
  }

  test('resolveGrace resolves when the time has come, at the recovery', () => {
    const project = graced()
    project.tick(179)
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 0 }])
    project.tick(180)
    expect(project.state()).toMatchObject({ status: 'resolved', durationMs: 60_000, resolveDueAt: null })
    expect(project.timeline().at(-1)).toMatchObject({ kind: 'resolved', at: 180 })
    project.tick(181)
    expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)'])
    expect(project.picture.log).toMatchObject([{ kind: 'due' }])
  })

  test('resolveGrace ends where something fires again', () => {
    const project = graced()
    expect(project.receive(100, kuma.fire('B')).outcome).toBe('attached')
    project.tick(500)
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 1 }])
  })

  test('resolveGrace is not prolonged by a late report', () => {
    const project = graced()
    expect(project.receive(170, kuma.fire('A', { time: -50 })).outcome).toBe('late')
    project.tick(180)
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })

  test('resolveGrace does not wait for an outage that was over before it was told (R5)', () => {
    const project = new Project({ policy: { resolveGraceMs: 120_000 } })
    project.receive(0, prom.recover('A', { start: -60 }))
    project.receive(1, prom.fire('A', { start: -60 }))
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })
})

describe('R2', () => {
  const group = (
    status: 'firing' | 'resolved',
    more: { truncated?: number; greatestEndsAt?: number } = {},
  ) => ({
    group: { status, ...more },
  })
  const three = () => {
    const project = new Project()
    const fires = [
      prom.fire('A', { start: 0 }),
      prom.fire('B', { start: 10 }),
      prom.fire('C', { start: 200 }),
    ]
    project.request(0, fires, group('firing'))
    return project
  }

  test('R2 a resolved group ends what it does not list, if it began by the greatest end, at that end', () => {
    const project = three()
    project.request(
      100,
      [prom.recover('A', { start: 0, time: 90 })],
      group('resolved', { greatestEndsAt: 90 }),
    )
    expect(project.occurrences()).toMatchObject([
      { key: 'A', recoveredAt: 90, closedBy: 'recover' },
      { key: 'B', recoveredAt: 90, closedBy: 'group' },
      { key: 'C', recoveredAt: null },
    ])
  })

  test('R2 without an end they have ended when it arrived, inferred', () => {
    const project = three()
    project.request(300, [prom.recover('A', { start: 0 })], group('resolved'))
    expect(project.occurrences().slice(1)).toMatchObject([{ recoveredAt: 300 }, { recoveredAt: 300 }])
    expect(project.all()[1]).toMatchObject({ closedBy: 'group', recoveredTimeInferred: true })
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })

  test('R2 listed alerts go by their own status', () => {
    const project = three()
    const listed = [prom.recover('A', { start: 0 }), prom.fire('B', { start: 10, eventId: 'still' })]
    project.request(300, listed, group('resolved', { greatestEndsAt: 300 }))
    expect(project.occurrences().map((o) => o.recoveredAt)).toEqual([300, null, 300])
  })

  test('R2 another group and another source are left alone', () => {
    const project = three()
    project.request(1, [prom.fire('D')], { group: { status: 'firing', key: 'another' } })
    const other = withEpisodes('mimir')
    project.request(2, [other.fire('E')], group('firing'))
    project.request(300, [prom.recover('A', { start: 0 })], group('resolved'))
    expect(project.occurrences().filter((o) => o.recoveredAt === null)).toMatchObject([
      { key: 'D' },
      { key: 'E' },
    ])
  })

  test('R2 where alerts were cut off only listed ones change, and the timeline says so once', () => {
    const project = three()
    const partial = () => project.timeline().filter((entry) => entry.kind === 'partial').length
    project.request(50, [prom.fire('D')], group('firing', { truncated: 3 }))
    expect(partial()).toBe(1)
    project.request(
      100,
      [prom.recover('A', { start: 0 })],
      group('resolved', { truncated: 3, greatestEndsAt: 100 }),
    )
    expect(partial()).toBe(1)
    expect(project.occurrences().filter((o) => o.recoveredAt === null)).toHaveLength(3)
  })

  test('R2 the next time the group is cut off it is said again', () => {
    const project = new Project()
    for (const [start, incident] of [
      [0, 1],
      [HOUR, 2],
    ] as const) {
      project.request(start, [prom.fire('A', { start })], group('firing', { truncated: 3 }))
      project.request(start + 60, [prom.recover('A', { start })], group('resolved', { truncated: 3 }))
      expect(project.timeline(incident).filter((entry) => entry.kind === 'partial')).toHaveLength(1)
    }
  })

  test('R2 absence from a firing group never recovers', () => {
    const project = three()
    project.request(300, [prom.fire('A', { start: 0, eventId: 'again' })], group('firing'))
    project.request(400, [prom.recover('A', { start: 0 })], group('firing'))
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 2 }])
  })

  test('R2 a resolved group whose listed alert was never seen still ends the others', () => {
    const project = three()
    const answer = project.request(300, [prom.recover('Z', { start: 0 })], group('resolved'))
    expect(answer).toMatchObject({ outcome: 'resolved', incident: { number: 1 } })
  })
})

describe('R3', () => {
  test('R3 with a known id it is R1', () => {
    const project = new Project()
    project.receive(0, generic.fire('x'))
    project.receive(1, generic.fire('y'))
    expect(project.receive(60, generic.recover('x', { title: 'x' }))).toMatchObject({
      outcome: 'recovered',
      stillFiring: 1,
    })
    expect(project.occurrences().map((o) => o.recoveredAt)).toEqual([60, null])
  })

  test('R3 with an id that does not fire nothing changes', () => {
    const project = new Project()
    project.receive(0, generic.fire('x'))
    project.receive(60, generic.recover('x'))
    project.receive(100, generic.fire('y'))
    expect(project.receive(110, generic.recover('x', { time: 109 })).outcome).toBe('unmatched')
    expect(project.incidents().at(-1)).toMatchObject({ status: 'open', firing: 1 })
  })

  test('R3 without an id the title finds its signal, whatever its case', () => {
    const project = new Project()
    project.receive(0, generic.fire('x', { title: 'Disk full' }))
    project.receive(1, generic.fire('y', { title: 'API down' }))
    const answer = project.receive(60, titles.recover('disk FULL'))
    expect(answer).toMatchObject({ outcome: 'recovered', stillFiring: 1 })
    expect(project.picture.events.at(-1)!.receipt).toEqual(['R3', 'R1'])
    expect(project.occurrences().map((o) => o.recoveredAt)).toEqual([60, null])
  })

  test('R3 the title is that of the newest event of the signal', () => {
    const project = new Project()
    project.receive(0, generic.fire('x', { title: 'Disk at 80 %' }))
    project.receive(1, generic.fire('x', { title: 'Disk at 90 %', time: 1 }))
    project.receive(2, generic.fire('y', { title: 'API down' }))
    expect(project.receive(60, titles.recover('Disk at 90 %')).outcome).toBe('recovered')
    expect(project.occurrences()[0]).toMatchObject({ key: 'x', recoveredAt: 60 })
  })

  test('R3 without an id or a known title the only current incident is resolved whole', () => {
    const project = new Project()
    project.receive(0, generic.fire('x'))
    project.receive(1, kuma.fire('A'))
    expect(project.receive(60, titles.recover('All good again'))).toMatchObject({
      outcome: 'resolved',
      incident: { number: 1 },
    })
    expect(project.occurrences()).toMatchObject([{ closedBy: 'incident' }, { closedBy: 'incident' }])
  })

  test('R3 with several current incidents, or none, it is unmatched and says what fires', () => {
    const project = new Project({ grouping: 'signal' })
    expect(project.receive(0, titles.recover('All good')).hint).toContain('Nothing fires')
    project.receive(1, generic.fire('x'))
    project.receive(2, generic.fire('y'))
    const answer = project.receive(60, titles.recover('All good again'))
    expect(answer).toMatchObject({ outcome: 'unmatched', incident: null, retryAfterSeconds: null })
    expect(answer.hint).toContain('x, y')
    expect(answer.hint).toContain('resolveScope')
    expect(project.incidents()).toMatchObject([{ status: 'open' }, { status: 'open' }])
  })

  test('R3 an unknown id ends the only thing that fires from the source, if that came without an id', () => {
    const project = new Project()
    project.receive(0, titles.fire('Disk full'))
    project.receive(1, kuma.fire('A'))
    expect(project.receive(60, generic.recover('nobody-knows'))).toMatchObject({
      outcome: 'recovered',
      stillFiring: 1,
    })
    expect(project.occurrences()).toMatchObject([
      { key: 'A', recoveredAt: null },
      { key: 'Disk full', recoveredAt: 60 },
    ])
  })

  test('R3 an unknown id changes nothing where an id fires or several do', () => {
    const project = new Project()
    project.receive(0, generic.fire('x'))
    expect(project.receive(60, generic.recover('unknown'))).toMatchObject({ outcome: 'unmatched' })
    const other = new Project()
    other.receive(0, titles.fire('Disk full'))
    other.receive(1, titles.fire('API down'))
    expect(other.receive(60, generic.recover('unknown'))).toMatchObject({ outcome: 'unmatched' })
    expect(other.incidents()).toMatchObject([{ firing: 2 }])
  })

  test('R3 a recovery without id never resolves an incident a person opened (H5)', () => {
    const project = new Project()
    project.open(0)
    expect(project.receive(60, titles.recover('All good')).outcome).toBe('unmatched')
    project.receive(70, generic.fire('x'))
    expect(project.receive(80, titles.recover('All good now')).outcome).toBe('recovered')
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 0 }])
  })

  test('R3 a recovery by title of what a person closed resolves nothing else (H2)', () => {
    const project = new Project()
    project.receive(0, titles.fire('Disk full'))
    project.resolve(60)
    project.receive(70, kuma.fire('A'))
    expect(project.receive(80, titles.recover('Disk full')).outcome).toBe('recovered')
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }, { status: 'open', firing: 1 }])
  })

  test('resolveScope incident: any recovery resolves the current incident whole', () => {
    const project = new Project({ policy: { resolveScope: 'incident', resolveGraceMs: 60_000 } })
    project.receive(0, generic.fire('x'))
    project.receive(1, generic.fire('y'))
    expect(project.receive(60, generic.recover('x')).outcome).toBe('resolved')
    expect(project.occurrences()).toMatchObject([
      { key: 'x', recoveredAt: 60, closedBy: 'recover' },
      { key: 'y', recoveredAt: 60, closedBy: 'incident' },
    ])
    project.receive(100, generic.fire('z'))
    expect(project.receive(160, generic.recover('unknown')).outcome).toBe('resolved')
  })

  test('resolveScope incident: sent again, it resolves nothing else', () => {
    const project = new Project({ policy: { resolveScope: 'incident', attachWindowMs: HOUR * 1000 } })
    project.receive(0, titles.fire('Disk full'))
    project.receive(2 * HOUR, generic.fire('x'))
    expect(project.receive(2 * HOUR + 60, generic.recover('unknown')).outcome).toBe('resolved')
    expect(project.receive(2 * HOUR + 61, generic.recover('unknown')).outcome).toBe('unmatched')
    expect(project.incidents()).toMatchObject([
      { number: 1, status: 'open' },
      { number: 2, status: 'resolved' },
    ])
  })

  test("resolveScope incident: the sender's word on its own occurrence is kept as ever", () => {
    const project = new Project({ policy: { resolveScope: 'incident' } })
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(50, prom.fire('A', { start: 50 }))
    expect(project.receive(60, prom.recover('A', { start: 0, time: 40 })).outcome).toBe('resolved')
    expect(project.occurrences()).toMatchObject([
      { recoveredAt: 40, closedBy: 'recover' },
      { recoveredAt: 50, closedBy: 'incident' },
    ])
  })

  test('resolveScope incident: an orphan still waits for its fire', () => {
    const project = new Project({ policy: { resolveScope: 'incident' } })
    expect(project.receive(0, prom.recover('A', { start: -60 })).outcome).toBe('unmatched')
    expect(project.receive(1, prom.fire('A', { start: -60 })).outcome).toBe('late')
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })
})

describe('R5', () => {
  test('R5 an orphan waits for its fire: an incident that has ended already, told in order', () => {
    const project = new Project()
    expect(project.receive(100, prom.recover('A', { start: 0, time: 60 }))).toMatchObject({
      outcome: 'unmatched',
      incident: null,
    })
    const answer = project.receive(110, prom.fire('A', { start: 0 }))
    expect(answer).toMatchObject({ outcome: 'late', incident: { number: 1, status: 'resolved' } })
    expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)'])
    expect(project.occurrences()).toMatchObject([{ firedAt: 0, recoveredAt: 60, closedBy: 'recover' }])
    expect(project.all()[0]!.late).toBe(true)
    expect(project.state()).toMatchObject({ durationMs: 60_000, acceptsNew: false, eventCount: 2 })
    expect(project.picture.usedOrphans).toMatchObject([{ incidentId: project.state().id }])
  })

  test('R5 where an incident is current, a closed occurrence is added to it', () => {
    const project = new Project()
    project.receive(0, kuma.fire('B'))
    project.receive(100, prom.recover('A', { start: 0, time: 60 }))
    expect(project.receive(110, prom.fire('A', { start: 0 }))).toMatchObject({
      outcome: 'late',
      incident: { number: 1, status: 'open' },
    })
    expect(project.state()).toMatchObject({ signalCount: 2, eventCount: 3 })
    expect(project.incidents()).toMatchObject([{ firing: 1 }])
    expect(project.sent()).toEqual(['INC-1 opened(1)'])
  })

  test('R5 without an episode the fire must not be later than the recovery', () => {
    const project = new Project()
    project.receive(100, kuma.recover('A', { time: 60 }))
    expect(project.receive(110, kuma.fire('A', { time: 61 })).outcome).toBe('opened')
    expect(project.receive(120, kuma.fire('A', { time: 60 })).outcome).toBe('late')
    expect(project.occurrences()).toMatchObject([
      { firedAt: 60, recoveredAt: 60 },
      { firedAt: 61, recoveredAt: null },
    ])
  })

  test('R5 T2 and T3 do not apply to a fire that has an orphan', () => {
    const project = new Project()
    project.receive(10, kuma.fire('A'))
    project.receive(20, kuma.recover('A'))
    project.receive(30, kuma.fire('A'))
    project.receive(41, kuma.recover('A', { time: 25 }))
    expect(project.receive(42, kuma.fire('A', { time: 22 })).outcome).toBe('late')
    expect(project.occurrences()).toMatchObject([
      { firedAt: 10, recoveredAt: 20 },
      { firedAt: 22, recoveredAt: 25 },
      { firedAt: 30, recoveredAt: null },
    ])
  })

  test('R5 an orphan is used once, and only where it is the next recovery after the fire', () => {
    const project = new Project()
    project.receive(100, kuma.recover('A', { time: 60 }))
    project.receive(110, kuma.fire('A', { time: 50 }))
    project.receive(120, kuma.fire('A', { time: 40 }))
    expect(project.picture.usedOrphans).toHaveLength(1)
    project.receive(130, kuma.recover('A', { time: 90 }))
    expect(project.receive(140, kuma.fire('A', { time: 30 })).outcome).toBe('late')
    expect(project.occurrences().map((o) => o.recoveredAt)).toEqual([60, 60, 60])
    expect(project.receive(150, kuma.fire('A', { time: 80 })).outcome).toBe('late')
    expect(project.occurrences().at(-1)).toMatchObject({ firedAt: 80, recoveredAt: 90 })
  })

  test('R5 a person reopened incident is not resolved by a late report (H4)', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(60, prom.recover('A', { start: 0 }))
    project.reopen(100)
    project.receive(110, prom.recover('B', { start: 50 }))
    project.receive(120, prom.fire('B', { start: 50 }))
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 0 }])
  })

  test('R5 a generic recovery with an id and a time waits for its alert too', () => {
    const project = new Project()
    expect(project.receive(201, generic.recover('x', { time: 200 })).outcome).toBe('unmatched')
    expect(project.receive(202, generic.fire('x', { time: 100 })).outcome).toBe('late')
    expect(project.incidents()).toMatchObject([{ status: 'resolved', firing: 0 }])
  })

  test('R5 without times nothing can wait', () => {
    const project = new Project()
    expect(project.receive(0, generic.recover('x')).outcome).toBe('unmatched')
    expect(project.receive(MINUTE, generic.fire('x')).outcome).toBe('opened')
    expect(project.receive(2 * MINUTE, generic.recover('x')).outcome).toBe('resolved')
  })
})
