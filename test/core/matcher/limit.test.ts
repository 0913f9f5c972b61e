import { describe, expect, test } from 'vitest'
import { checkLimit, hourlyLimit } from '../../../core/matcher/limit.ts'
import { HOUR, Project, withEpisodes, withTimes } from './harness.ts'

const kuma = withTimes('kuma')
const prom = withEpisodes('prom')

test('L the plans', () => {
  expect(['pro', 'team', 'unlimited'].map(hourlyLimit)).toEqual([100, 500, null])
})

describe('L', () => {
  const full = (limit = 100) => {
    const project = new Project({ hourlyLimit: limit })
    for (let i = 0; i < limit; i++) {
      expect(project.receive(i * 10, kuma.fire(`A${i}`)).retryAfterSeconds).toBeNull()
    }
    return project
  }

  test('L the request after the last slot is parked, with the exact time to wait', () => {
    const project = full()
    expect(project.receive(1000, kuma.fire('B'))).toMatchObject({
      outcome: 'parked',
      retryAfterSeconds: HOUR - 1000,
      slotKind: null,
      incident: null,
    })
    expect(project.incidents()).toMatchObject([{ firing: 100 }])
    expect(project.receive(1000.5, kuma.fire('B')).retryAfterSeconds).toBe(HOUR - 1000)
  })

  test('L a slot comes back after exactly an hour', () => {
    const project = full()
    expect(project.receive(HOUR - 0.001, kuma.fire('B'))).toMatchObject({
      outcome: 'parked',
      retryAfterSeconds: 1,
    })
    expect(project.receive(HOUR, kuma.fire('B'))).toMatchObject({ outcome: 'attached', slotKind: 1 })
    expect(project.receive(HOUR, kuma.fire('C'))).toMatchObject({
      outcome: 'parked',
      retryAfterSeconds: 10,
    })
  })

  test('L a request is one slot, however many alerts it holds', () => {
    const project = new Project({ hourlyLimit: 1 })
    const alerts = Array.from({ length: 50 }, (_, i) => prom.fire(`A${i}`))
    expect(project.receive(0, ...alerts)).toMatchObject({ outcome: 'opened', slotKind: 1 })
    expect(project.receive(1, prom.fire('B')).outcome).toBe('parked')
  })

  test('L duplicates take no slot, but are refused once they and the accepted reach the limit', () => {
    const project = new Project({ hourlyLimit: 3 })
    const fire = kuma.fire('A', { time: 0 })
    project.receive(0, fire)
    expect(project.receive(10, fire)).toMatchObject({ outcome: 'duplicate', slotKind: 3 })
    expect(project.receive(20, fire)).toMatchObject({ outcome: 'duplicate', slotKind: 3 })
    expect(project.receive(30, fire)).toMatchObject({
      outcome: 'duplicate',
      slotKind: null,
      retryAfterSeconds: HOUR - 30,
    })
    expect(project.receive(40, kuma.fire('B')).outcome).toBe('attached')
    expect(project.receive(50, kuma.fire('C')).outcome).toBe('attached')
    expect(project.receive(60, kuma.fire('D')).outcome).toBe('parked')
  })

  test('L a request with one new alert among known ones is no duplicate', () => {
    const project = new Project({ hourlyLimit: 2 })
    project.receive(0, prom.fire('A'))
    expect(project.receive(1, prom.fire('A'), prom.fire('B'))).toMatchObject({
      outcome: 'attached',
      slotKind: 1,
    })
    expect(project.receive(2, prom.fire('A'), prom.fire('C')).outcome).toBe('parked')
  })

  test('L in a full hour recoveries and acknowledgements that change something pass whole', () => {
    const project = full(2)
    expect(project.receive(100, kuma.ack('A0'))).toMatchObject({ outcome: 'acknowledged', slotKind: 2 })
    expect(project.receive(101, kuma.ack('A1')).outcome).toBe('parked')
    expect(project.receive(102, kuma.recover('unknown')).outcome).toBe('parked')
    expect(project.receive(103, kuma.recover('A0'), kuma.fire('B')).events).toMatchObject([
      { outcome: 'recovered' },
      { outcome: 'attached' },
    ])
    expect(project.receive(104, kuma.recover('A0', { time: 103.5 })).outcome).toBe('parked')
  })

  test('L a fire that only implies a recovery does not pass', () => {
    const project = new Project({ hourlyLimit: 1 })
    project.receive(0, prom.fire('A', { start: 0 }))
    expect(project.receive(10, prom.fire('A', { start: 10 })).outcome).toBe('parked')
  })

  test('L at most ten times the limit pass', () => {
    const project = new Project({ hourlyLimit: 1 })
    project.receive(0, ...Array.from({ length: 12 }, (_, i) => kuma.fire(`A${i}`)))
    for (let i = 0; i < 10; i++) {
      expect(project.receive(10 + i, kuma.recover(`A${i}`))).toMatchObject({ slotKind: 2 })
    }
    expect(project.receive(30, kuma.recover('A10'))).toMatchObject({
      outcome: 'parked',
      retryAfterSeconds: HOUR - 30,
    })
  })

  test('L a recovery waits for whichever comes back first', () => {
    const slots = [
      ...Array.from({ length: 10 }, (_, i) => ({ atMs: i * 1000, kind: 2 as const })),
      { atMs: 60_000, kind: 1 as const },
    ]
    expect(checkLimit(slots, 1, 100_000, 'recovery')).toMatchObject({ retryAfterSeconds: HOUR - 100 })
    expect(checkLimit(slots, 1, 100_000, 'other')).toMatchObject({ retryAfterSeconds: HOUR - 40 })
  })

  test('L without a limit nothing is counted', () => {
    const project = new Project()
    expect(project.receive(0, kuma.fire('A')).slotKind).toBeNull()
  })
})
