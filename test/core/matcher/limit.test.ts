import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkLimit, hourlyLimit, type Slot } from '../../../core/matcher/limit.ts'
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

  const HOUR_MS = HOUR * 1000
  const DAY_MS = 24 * HOUR_MS
  /** A day of requests, in bursts of any size, at any time. */
  const day = fc.record({
    limit: fc.integer({ min: 1, max: 20 }),
    requests: fc.array(
      fc.record({
        at: fc.oneof(
          fc.integer({ min: 0, max: DAY_MS }),
          // Whole hours, and a millisecond beside them, are where a window goes wrong.
          fc
            .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: -1, max: 1 }))
            .map(([hour, beside]) => Math.max(0, hour * HOUR_MS + beside)),
        ),
        burst: fc.integer({ min: 1, max: 30 }),
        what: fc.constantFrom('other' as const, 'other' as const, 'duplicate' as const, 'recovery' as const),
      }),
      { maxLength: 60 },
    ),
  })

  test('L no window of an hour holds more than the limit, whatever a day brings, and a refused one fits when told', () => {
    fc.assert(
      fc.property(day, ({ limit, requests }) => {
        const slots: Slot[] = []
        const accepted: number[] = []
        for (const { at, burst, what } of requests.toSorted((a, b) => a.at - b.at)) {
          for (let n = 0; n < burst; n++) {
            const verdict = checkLimit(slots, limit, at, what)
            const taken = slots.filter(({ kind, atMs }) => kind === 1 && atMs > at - HOUR_MS).length
            if (what !== 'duplicate') expect(verdict.pass && verdict.kind === 1).toBe(taken < limit)
            if (verdict.pass) {
              expect(verdict.kind === 3).toBe(what === 'duplicate')
              slots.push({ atMs: at, kind: verdict.kind })
              if (verdict.kind === 1) accepted.push(at)
              continue
            }
            // Told to the second: it fits then, and not a second earlier.
            const waitMs = verdict.retryAfterSeconds * 1000
            expect(checkLimit(slots, limit, at + waitMs, what).pass).toBe(true)
            if (waitMs > 1000) expect(checkLimit(slots, limit, at + waitMs - 1000, what).pass).toBe(false)
          }
        }
        for (const [index, end] of accepted.entries()) {
          const inWindow = accepted.slice(0, index + 1).filter((at) => at > end - HOUR_MS)
          expect(inWindow.length).toBeLessThanOrEqual(limit)
        }
        for (const kind of [2, 3] as const) {
          const most = kind === 2 ? limit * 10 : limit
          const times = slots.filter((slot) => slot.kind === kind).map(({ atMs }) => atMs)
          for (const end of times) {
            const inWindow = times.filter((at) => at > end - HOUR_MS && at <= end)
            expect(inWindow.length).toBeLessThanOrEqual(most)
          }
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
