import { describe, expect, test } from 'vitest'
import { MINUTE, Project, seconds, withEpisodes, withIds, withTimes } from './harness.ts'

const prom = withEpisodes('prom')
const kuma = withTimes('kuma')
const generic = withIds('generic')

describe('A', () => {
  test('A acknowledging is idempotent; new members do not undo it', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.acknowledge(30)
    project.acknowledge(40)
    project.receive(50, kuma.fire('B'))
    expect(project.state()).toMatchObject({ status: 'acknowledged' })
    expect(seconds(project.state().acknowledgedAt)).toBe(30)
    expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 acknowledged(2)'])
    expect(project.receive(60, kuma.ack('A')).outcome).toBe('acknowledged')
    expect(project.sent()).toHaveLength(2)
  })

  test("A its time is the sender's, raised to the detection", () => {
    const project = new Project()
    project.receive(100, kuma.fire('A', { time: 0 }))
    project.receive(200, kuma.ack('A', { time: 50 }))
    expect(seconds(project.state().acknowledgedAt)).toBe(100)

    const other = new Project()
    other.receive(0, kuma.fire('A'))
    other.receive(200, kuma.ack('A', { time: 50 }))
    expect(seconds(other.state().acknowledgedAt)).toBe(50)
  })

  test('A of a resolved or unknown incident is info', () => {
    const project = new Project()
    expect(project.receive(0, kuma.ack('A')).outcome).toBe('info')
    project.receive(1, kuma.fire('A'))
    project.receive(2, kuma.recover('A'))
    expect(project.receive(3, kuma.ack('A')).outcome).toBe('info')
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })

  test('A the acknowledgement of an old episode is not that of a new incident', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(60, prom.recover('A', { start: 0 }))
    project.receive(20 * MINUTE, prom.fire('A', { start: 20 * MINUTE }))
    expect(project.receive(21 * MINUTE, prom.ack('A', { start: 0 })).outcome).toBe('info')
    expect(project.incidents().at(-1)).toMatchObject({ number: 2, status: 'open' })
    expect(project.receive(22 * MINUTE, prom.ack('A', { start: 20 * MINUTE })).outcome).toBe('acknowledged')
  })

  test('A an acknowledgement from before an explicit reopening is not one of it', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.receive(10, prom.ack('A', { time: 10 }))
    project.receive(20, prom.recover('A'))
    project.receive(30, prom.fire('A', { time: 30, reopen: true, eventId: 'reopened' }))
    expect(project.receive(40, prom.ack('A', { time: 10 })).outcome).toBe('duplicate')
    expect(project.incidents()).toMatchObject([{ status: 'open' }])
  })

  test('A after a reopening the first acknowledgement counts again', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.acknowledge(10)
    project.receive(20, kuma.recover('A'))
    project.receive(30, kuma.fire('A'))
    project.acknowledge(40)
    expect(project.sent().at(-1)).toBe('INC-1 acknowledged(5)')
  })
})

test('H1 a person may resolve while members fire, and is told how many', () => {
  const project = new Project()
  project.receive(0, kuma.fire('A'))
  project.receive(1, kuma.fire('B'))
  expect(project.resolve(60)).toBe(2)
  expect(project.occurrences()).toMatchObject([
    { recoveredAt: 60, closedBy: 'manual' },
    { recoveredAt: 60, closedBy: 'manual' },
  ])
  expect(project.state()).toMatchObject({ status: 'resolved', resolvedBy: 'manual', durationMs: 60_000 })
  expect(project.resolve(70)).toBe(0)
  expect(project.sent()).toHaveLength(2)
})

describe('H2', () => {
  test('H2 refreshes of the same named episode count, but open nothing, for ever', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.resolve(60)
    const { eventCount } = project.state()
    expect(project.receive(100 * MINUTE, prom.fire('A', { eventId: 'again' })).outcome).toBe('refreshed')
    expect(project.state().eventCount).toBe(eventCount + 1)
    expect(project.incidents()).toMatchObject([{ number: 1, status: 'resolved', firing: 0 }])
  })

  test('H2 a new episode opens a new incident', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.resolve(60)
    expect(project.receive(61, prom.fire('A', { start: 61 })).outcome).toBe('opened')
  })

  test('H2 so does an explicit reopening by the sender, later than the resolve', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.resolve(60)
    const reopened = (time: number) => prom.fire('A', { time, reopen: true, eventId: `reopened ${time}` })
    expect(project.receive(61, reopened(59)).outcome).toBe('refreshed')
    expect(project.receive(62, reopened(61)).outcome).toBe('opened')
  })

  test('H2 counted episodes: a fire within the quiet time is a refresh, the next one opens', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.resolve(60)
    expect(project.receive(59 + 5 * MINUTE, kuma.fire('A')).outcome).toBe('refreshed')
    expect(project.receive(60 + 5 * MINUTE, kuma.fire('A')).outcome).toBe('opened')
    expect([...project.picture.signals.values()]).toMatchObject([{ counter: 2 }])
  })

  test('H2 in the quiet time the event key keeps the number of the closed episode', () => {
    const project = new Project()
    project.receive(0, generic.fire('x'))
    project.resolve(60)
    expect(project.receive(120, generic.fire('x')).outcome).toBe('duplicate')
    expect(project.receive(60 + 5 * MINUTE, generic.fire('x')).outcome).toBe('opened')
  })

  test('H2 unless the sender recovered in between', () => {
    const project = new Project()
    project.receive(0, generic.fire('x'))
    project.resolve(60)
    expect(project.receive(70, generic.recover('x')).outcome).toBe('recovered')
    expect(project.receive(80, generic.fire('x'))).toMatchObject({
      outcome: 'opened',
      incident: { number: 2 },
    })
  })

  test('H2 the recovery of a closed occurrence is an entry: no state change, no message', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.resolve(60)
    const before = { ...project.state() }
    const entries = project.timeline().length
    expect(project.receive(90, prom.recover('A')).outcome).toBe('recovered')
    expect(project.timeline()).toHaveLength(entries + 1)
    expect(project.state()).toMatchObject({
      status: 'resolved',
      resolvedAt: before.resolvedAt,
      durationMs: before.durationMs,
      sequence: before.sequence,
    })
    expect(project.occurrences()).toMatchObject([{ recoveredAt: 60, closedBy: 'manual' }])
  })

  test('H2 after that recovery a straggler of the episode is stale (T2), a later one fires anew', () => {
    const project = new Project()
    project.receive(0, prom.fire('A'))
    project.resolve(60)
    project.receive(90, prom.recover('A'))
    expect(project.receive(100, prom.fire('A', { eventId: 'peer' })).outcome).toBe('stale')
    expect(project.receive(91 + 15 * MINUTE, prom.fire('A')).outcome).toBe('opened')
  })

  test('H2 a recovery from before the closed stretch is not its recovery', () => {
    const project = new Project()
    project.receive(30, kuma.fire('A'))
    project.resolve(60)
    project.receive(70, kuma.recover('A', { time: 20 }))
    expect(project.all()[0]!.senderRecoveredAt).toBeNull()
  })
})

describe('H4', () => {
  test('H4 what a person closed fires again, unless its sender has recovered since', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(1, kuma.fire('B'))
    project.resolve(60)
    project.receive(70, kuma.recover('B'))
    project.reopen(100)
    expect(project.incidents()).toEqual([{ number: 1, status: 'open', firing: 1, acceptsNew: true }])
    expect(project.receive(160, kuma.recover('A')).outcome).toBe('resolved')
    expect(project.state().durationMs).toBe(120_000)
  })

  test('H4 a newer stretch elsewhere has taken the signal along', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.resolve(60)
    project.receive(100, prom.fire('A', { start: 100 }))
    project.reopen(200, 1)
    expect(project.incidents()).toEqual([
      { number: 1, status: 'open', firing: 0, acceptsNew: false },
      { number: 2, status: 'open', firing: 1, acceptsNew: true },
    ])
  })

  test('H4 with none firing it resolves only by hand', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(60, kuma.recover('A'))
    project.reopen(100)
    project.receive(110, kuma.fire('A', { time: 20 }))
    project.receive(120, kuma.recover('A', { time: 30 }))
    project.tick(10_000)
    expect(project.incidents()).toMatchObject([{ status: 'open', firing: 0 }])
    project.resolve(200)
    expect(project.incidents()).toMatchObject([{ status: 'resolved' }])
  })

  test('H4 an open incident stays as it is', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.acknowledge(10)
    project.reopen(20)
    expect(project.incidents()).toMatchObject([{ status: 'acknowledged' }])
    expect(project.sent()).toHaveLength(2)
  })
})

describe('H5', () => {
  test('H5 an incident by hand takes alerts of the project and resolves only by hand', () => {
    const project = new Project()
    project.open(0, { severity: 'critical', labels: { team: 'db' } })
    expect(project.receive(10, kuma.fire('A', { severity: 'low' })).outcome).toBe('attached')
    expect(project.state().severity).toBe('critical')
    expect(project.receive(20, kuma.recover('A')).outcome).toBe('recovered')
    expect(project.incidents()).toEqual([{ number: 1, status: 'open', firing: 0, acceptsNew: true }])
    project.resolve(30)
    expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)'])
  })

  test('H5 where one is current, or the mode is another, it takes none', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.open(10)
    project.open(20, { takesAlerts: false })
    expect(project.incidents().map((incident) => incident.acceptsNew)).toEqual([true, false, false])
  })
})
