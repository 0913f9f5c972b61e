import { expect, test } from 'vitest'
import { Project, seconds, withEpisodes } from './harness.ts'

/** The table of matching.md 3: two monitors at once, mode `project`. */
test('two monitors at once are one incident, line by line', () => {
  const project = new Project()
  const monitors = withEpisodes('prom')
  const state = () => {
    const { number, status, firing } = project.incidents().at(-1)!
    return `INC-${number} ${status}, ${firing} firing`
  }

  expect(project.receive(0, monitors.fire('A', { start: 0 })).outcome).toBe('opened')
  expect(state()).toBe('INC-1 open, 1 firing')

  expect(project.receive(0.05, monitors.fire('B', { start: 0.05 })).outcome).toBe('attached')
  expect(state()).toBe('INC-1 open, 2 firing')

  expect(project.receive(60, monitors.fire('A', { start: 0 })).outcome).toBe('duplicate')

  expect(project.receive(300, monitors.recover('A', { start: 0 }))).toMatchObject({
    outcome: 'recovered',
    stillFiring: 1,
  })
  expect(state()).toBe('INC-1 open, 1 firing')

  const straggler = monitors.fire('A', { start: 0, time: 290, eventId: 'its own' })
  expect(project.receive(310, straggler).outcome).toBe('stale')
  expect(state()).toBe('INC-1 open, 1 firing')
  expect(project.sent()).toEqual(['INC-1 opened(1)'])

  expect(project.receive(420, monitors.recover('B', { start: 0.05 }))).toMatchObject({
    outcome: 'resolved',
    stillFiring: null,
  })
  expect(state()).toBe('INC-1 resolved, 0 firing')
  expect(seconds(project.state().resolvedAt)).toBe(420)

  expect(project.receive(500, monitors.fire('A', { start: 500 })).outcome).toBe('reopened')
  expect(state()).toBe('INC-1 open, 1 firing')

  expect(project.receive(560, monitors.recover('A', { start: 500 })).outcome).toBe('resolved')
  expect(project.state().durationMs).toBe(480_000)

  expect(project.receive(2000, monitors.fire('C', { start: 2000 })).outcome).toBe('opened')
  expect(state()).toBe('INC-2 open, 1 firing')

  expect(project.sent()).toEqual([
    'INC-1 opened(1)',
    'INC-1 resolved(2)',
    'INC-1 reopened(3)',
    'INC-1 resolved(4)',
    'INC-2 opened(1)',
  ])
  const firingTime = (key: string) =>
    project
      .occurrences()
      .filter((o) => o.key === key)
      .reduce((sum, o) => sum + o.recoveredAt! - o.firedAt, 0)
  expect(firingTime('A')).toBe(360)
  expect(firingTime('B')).toBeCloseTo(419.95)
})

test.each(['key', 'signal'] as const)('with different keys in mode %s they are two incidents', (grouping) => {
  const project = new Project({ grouping, groupBy: ['service'] })
  const monitors = withEpisodes('prom')

  project.receive(0, monitors.fire('A', { start: 0, labels: { service: 'api' } }))
  project.receive(1, monitors.fire('B', { start: 1, labels: { service: 'web' } }))
  project.receive(300, monitors.recover('A', { start: 0, labels: { service: 'api' } }))

  expect(project.incidents()).toMatchObject([
    { number: 1, status: 'resolved' },
    { number: 2, status: 'open' },
  ])
})
