import { describe, expect, test } from 'vitest'
import { shownLabels } from '../../../core/matcher/labels.ts'
import { DAY, HOUR, MINUTE, Project, withEpisodes, withIds, withTimes } from './harness.ts'

const prom = withEpisodes('prom')
const kuma = withTimes('kuma')

test('M1 a signal stays in its unresolved incident, even if its group key changes', () => {
  const project = new Project({ grouping: 'key', groupBy: ['service'] })
  project.receive(0, kuma.fire('A', { labels: { service: 'api' } }))
  project.receive(1, kuma.fire('B', { labels: { service: 'api' } }))
  project.receive(10, kuma.recover('A'))
  expect(project.receive(20, kuma.fire('A', { labels: { service: 'web' } })).outcome).toBe('attached')
  expect(project.incidents()).toMatchObject([{ number: 1, firing: 2 }])
  expect(project.state().signalCount).toBe(2)
})

describe('M2', () => {
  test('M2 mode project: one incident for all', () => {
    const project = new Project({ grouping: 'project' })
    project.receive(0, kuma.fire('A'))
    expect(project.receive(1, prom.fire('B')).outcome).toBe('attached')
    expect(project.state().groupKey).toBe('*')
  })

  test('M2 mode signal: one incident for each signal', () => {
    const project = new Project({ grouping: 'signal' })
    project.receive(0, kuma.fire('A'))
    expect(project.receive(1, kuma.fire('B')).outcome).toBe('opened')
    expect(project.state().groupKey).toBe('signal:kuma:A')
  })

  test('M2 mode key: by labels, the service among them', () => {
    const project = new Project({ grouping: 'key', groupBy: ['service', 'env'] })
    project.receive(0, kuma.fire('A', { labels: { service: 'api', env: 'prod' } }))
    expect(project.receive(1, kuma.fire('B', { services: ['api'], labels: { env: 'prod' } })).outcome).toBe(
      'attached',
    )
    expect(project.receive(2, kuma.fire('C', { services: ['api'] })).outcome).toBe('opened')
  })

  test('M2 an empty key joins no strangers', () => {
    const project = new Project({ grouping: 'key', groupBy: ['service'] })
    project.receive(0, kuma.fire('A'))
    expect(project.receive(1, kuma.fire('B')).outcome).toBe('opened')
    expect(project.incidents().map((incident) => incident.acceptsNew)).toEqual([true, true])
  })
})

describe('M3', () => {
  test('M3 within the attach window an alert joins the current incident as context', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    expect(project.receive(DAY, kuma.fire('B')).outcome).toBe('attached')
    expect(project.timeline().map((entry) => entry.kind)).toEqual(['opened', 'context', 'context'])
    expect(project.receive(2 * DAY, kuma.fire('C')).outcome).toBe('attached')
  })

  test('M3 past it the old incident stays open and takes no more alerts', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    expect(project.receive(DAY + 1, kuma.fire('B')).outcome).toBe('opened')
    expect(project.incidents()).toEqual([
      { number: 1, status: 'open', firing: 1, acceptsNew: false },
      { number: 2, status: 'open', firing: 1, acceptsNew: true },
    ])
    expect(project.receive(DAY + 2, kuma.recover('A'))).toMatchObject({
      outcome: 'resolved',
      incident: { number: 1 },
    })
  })

  test('M3 the window is of arrival: fires and recoveries prolong it, notes do not, replays do not shorten it', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(1, kuma.fire('B'))
    project.receive(HOUR, kuma.recover('B'))
    project.receive(2 * HOUR, kuma.info('A'))
    project.receive(30 * MINUTE, kuma.fire('B2'))
    expect(project.receive(HOUR + DAY, kuma.fire('C')).outcome).toBe('attached')
    project.receive(10 * HOUR + DAY, kuma.info('A'))
    expect(project.receive(HOUR + 2 * DAY + 1, kuma.fire('D')).outcome).toBe('opened')
  })

  test('M3 no window is for ever', () => {
    const project = new Project({ policy: { attachWindowMs: null } })
    project.receive(0, kuma.fire('A'))
    expect(project.receive(400 * DAY, kuma.fire('B')).outcome).toBe('attached')
  })

  test('M3 alerts of one request are one incident', () => {
    const project = new Project({ policy: { attachWindowMs: 0 } })
    const answer = project.receive(0, prom.fire('A'), prom.fire('B'), prom.fire('C'))
    expect(answer.events.map((event) => event.outcome)).toEqual(['opened', 'attached', 'attached'])
    expect(answer.outcome).toBe('opened')
  })
})

test("M4 a new incident has the alert's title", () => {
  const project = new Project()
  expect(project.receive(0, kuma.fire('A', { title: 'Disk full' })).outcome).toBe('opened')
  expect(project.state()).toMatchObject({ number: 1, title: 'Disk full', status: 'open' })
})

describe('M5', () => {
  test('M5 severity is the highest that fires, else the highest there ever was', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A', { severity: 'medium' }))
    expect(project.state().severity).toBe('medium')
    project.receive(1, kuma.fire('B', { severity: 'critical' }))
    expect(project.state().severity).toBe('critical')
    project.receive(2, kuma.recover('B'))
    expect(project.state().severity).toBe('medium')
    project.receive(3, kuma.recover('A'))
    expect(project.state().severity).toBe('critical')
  })

  test('M5 title of the first, services and metadata of all, first stays first', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A', { title: 'First', services: ['web', 'api'], metadata: { run: 1 } }))
    project.receive(
      1,
      kuma.fire('B', { services: ['db', 'api'], metadata: { run: 2, host: 'h' }, customerImpact: true }),
    )
    expect(project.state()).toMatchObject({
      title: 'First',
      services: ['web', 'api', 'db'],
      metadata: { run: 1, host: 'h' },
      customerImpact: true,
    })
  })

  test('M5 labels: one value as text, several as a sorted list, at most 20', () => {
    const project = new Project()
    for (let i = 0; i < 23; i++) {
      const labels = {
        env: 'prod',
        host: `h${String(22 - i).padStart(2, '0')}`,
        team: i < 2 ? `t${i}` : 't0',
      }
      project.receive(i, kuma.fire(`A${i}`, { labels }))
    }
    const labels = shownLabels(project.state().labels)
    expect(labels).toMatchObject({ env: 'prod', team: ['t0', 't1'] })
    expect(labels.host).toHaveLength(21)
    expect(labels.host!.slice(0, 2)).toEqual(['h03', 'h04'])
    expect(labels.host!.at(-1)).toBe('… 3 more')

    project.receive(60, kuma.refresh('A22', { labels: { host: 'h00' } }))
    expect(shownLabels(project.state().labels).host!.at(-1)).toBe('… 3 more')
  })
})

test('M6 drills and real alerts never meet', () => {
  const project = new Project()
  const generic = withIds('generic')
  project.receive(0, generic.fire('x'))
  expect(project.receive(1, generic.fire('x', { drill: true })).outcome).toBe('opened')
  expect(project.receive(2, generic.recover('x', { drill: true }))).toMatchObject({
    outcome: 'resolved',
    incident: { number: 2, drill: true },
  })
  expect(project.incidents()).toMatchObject([{ status: 'open' }, { status: 'resolved' }])
})

test('M6 a resolved group of a drill closes no real alert', () => {
  const project = new Project()
  const firing = { status: 'firing' } as const
  project.request(0, [prom.fire('A')], { group: firing })
  project.request(1, [prom.fire('B', { drill: true })], { group: firing })
  project.request(60, [prom.recover('B', { drill: true })], {
    group: { status: 'resolved', greatestEndsAt: 60 },
  })
  expect(project.incidents()).toMatchObject([
    { number: 1, status: 'open', firing: 1 },
    { number: 2, status: 'resolved' },
  ])
})

describe('O1', () => {
  test('O1 the same signal reopens its incident within the window, unacknowledged', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.acknowledge(10)
    project.receive(60, kuma.recover('A'))
    expect(project.receive(60 + 5 * MINUTE, kuma.fire('A')).outcome).toBe('reopened')
    expect(project.state()).toMatchObject({
      number: 1,
      status: 'open',
      acceptsNew: true,
      reopenCount: 1,
      acknowledgedAt: null,
    })
    expect(project.sent()).toEqual([
      'INC-1 opened(1)',
      'INC-1 acknowledged(2)',
      'INC-1 resolved(3)',
      'INC-1 reopened(4)',
    ])
  })

  test('O1 after the window it is a new incident; the window compares event times', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(60, kuma.recover('A'))
    expect(project.receive(HOUR, kuma.fire('A', { time: 61 + 5 * MINUTE })).outcome).toBe('opened')

    const other = new Project()
    other.receive(0, kuma.fire('A'))
    other.receive(60, kuma.recover('A'))
    expect(other.receive(HOUR, kuma.fire('A', { time: 60 + 5 * MINUTE })).outcome).toBe('reopened')
  })

  test('O1 another signal never reopens it; 0 is off', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(60, kuma.recover('A'))
    expect(project.receive(70, kuma.fire('B')).outcome).toBe('opened')

    const off = new Project({ policy: { reopenWindowMs: 0 } })
    off.receive(0, kuma.fire('A'))
    off.receive(60, kuma.recover('A'))
    expect(off.receive(61, kuma.fire('A')).outcome).toBe('opened')
  })

  test('O1 where another incident is current, the alert joins that one', () => {
    const project = new Project()
    project.receive(0, kuma.fire('A'))
    project.receive(60, kuma.recover('A'))
    project.receive(70, kuma.fire('B'))
    expect(project.receive(80, kuma.fire('A'))).toMatchObject({
      outcome: 'attached',
      incident: { number: 2 },
    })
  })

  test('O1 time that was open before is not counted twice', () => {
    const project = new Project()
    project.receive(0, prom.fire('A', { start: 0 }))
    project.receive(60, prom.recover('A', { start: 0, time: 60 }))
    project.receive(70, prom.fire('A', { start: 50 }))
    project.receive(100, prom.recover('A', { start: 50, time: 100 }))
    expect(project.state()).toMatchObject({ status: 'resolved', durationMs: 100_000 })
  })
})

test('O2 an incident a person resolved never reopens by itself', () => {
  const project = new Project()
  project.receive(0, prom.fire('A', { start: 0 }))
  project.resolve(60)
  const answer = project.receive(70, prom.fire('A', { start: 70 }))
  expect(answer).toMatchObject({ outcome: 'opened', incident: { number: 2 } })
  expect(project.picture.events.at(-1)!.receipt).toEqual(['T1', 'M2', 'O2', 'M4'])
})

test('O3 a reopening is one transition of the same incident, with the next number', () => {
  const project = new Project()
  project.receive(0, kuma.fire('A'))
  project.receive(60, kuma.recover('A'))
  project.receive(70, kuma.fire('A'))
  expect(project.sent()).toEqual(['INC-1 opened(1)', 'INC-1 resolved(2)', 'INC-1 reopened(3)'])
})
