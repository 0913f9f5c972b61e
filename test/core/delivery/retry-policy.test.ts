import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  afterAttempt,
  attemptsOf,
  type Breaker,
  breakerState,
  CLOSED_BREAKER,
  judgeEndpoint,
  lastStartOf,
  nextAttempt,
  pauseOf,
  RETRY_POLICIES,
  type RetryPolicyName,
  readRetryAfter,
} from '../../../core/delivery/retry-policy.ts'

const START = Date.parse('2026-11-21T08:00:00.000Z')
const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Offsets of all attempts of a message that always fails, after `takesMs` each. */
function runToEnd(
  policy: RetryPolicyName,
  random: () => number,
  { takesMs = 0, retryAfterMs = null as number | null, waitedMs = 0 } = {},
): number[] {
  const createdAt = START - waitedMs
  const offsets = [0]
  for (let at = START; ; ) {
    const next = nextAttempt({
      policy,
      attempts: offsets.length,
      createdAt,
      firstAt: START,
      now: at + takesMs,
      retryAfterMs,
      random: random(),
    })
    if (next === null) return offsets
    at = next
    offsets.push(at - START)
    if (offsets.length > 50) throw new Error('This policy never ends.')
  }
}

/** Times of the table of attempts, in milliseconds from the first. */
const TABLE: Record<RetryPolicyName, number[]> = {
  'standard-3d': [0, 5, 305, 2105, 9305, 27305, 63305, 113705, 185705, 272105].map((s) => s * SECOND),
  'uptimera-30m': [0, 10, 30, 70, 150, 310, 630, 950, 1270, 1590, 1785].map((s) => s * SECOND),
  'runframe-2h': [0, 0, 1, 6, 36, 156].map((minutes) => minutes * MINUTE),
  once: [0],
}

describe('each policy to its end', () => {
  test.each(RETRY_POLICIES)('%s: attempts at the times of the table', (policy) => {
    // In the middle of its jitter a time is exactly the table's; runframe's jitter only ever adds.
    const middle = policy === 'runframe-2h' ? 0 : 0.5
    expect(runToEnd(policy, () => middle)).toEqual(TABLE[policy])
    expect(attemptsOf(policy)).toBe(TABLE[policy].length)
  })

  test.each(['standard-3d', 'runframe-2h'] as const)('%s: every step within its jitter', (policy) => {
    const [early, late] = policy === 'standard-3d' ? [0.8, 1.2] : [1, 1.1]
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (randoms) => {
        const offsets = runToEnd(policy, () => randoms.next().value ?? 0.5)
        expect(offsets).toHaveLength(TABLE[policy].length)
        for (const [index, offset] of offsets.entries()) {
          if (index === 0) continue
          const step = TABLE[policy][index]! - TABLE[policy][index - 1]!
          const waited = offset - offsets[index - 1]!
          expect(waited).toBeGreaterThanOrEqual(Math.floor(step * early))
          expect(waited).toBeLessThanOrEqual(Math.ceil(step * late))
        }
      }),
    )
  })

  test('uptimera-30m: every time within 20 % of its step, the last one fixed', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (randoms) => {
        const offsets = runToEnd('uptimera-30m', () => randoms.next().value ?? 0.5)
        expect(offsets.at(-1)).toBe(29 * MINUTE + 45 * SECOND)
        for (const [index, time] of TABLE['uptimera-30m'].entries()) {
          if (index === 0) continue
          const step = time - TABLE['uptimera-30m'][index - 1]!
          expect(Math.abs(offsets[index]! - time)).toBeLessThanOrEqual(0.2 * step + 1)
        }
      }),
    )
  })

  test('uptimera-30m: nothing starts after 29:45 of the message, however slow the receiver or late the first attempt', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 15_000 }),
        fc.integer({ min: 0, max: 29 * MINUTE }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (takesMs, waitedMs, random) => {
          const offsets = runToEnd('uptimera-30m', () => random, { takesMs, waitedMs })
          expect(offsets.at(-1)! + waitedMs).toBeLessThanOrEqual(29 * MINUTE + 45 * SECOND)
          expect(offsets.length).toBeLessThanOrEqual(11)
        },
      ),
    )
    expect(lastStartOf('uptimera-30m', START)).toBe(START + 29 * MINUTE + 45 * SECOND)
    expect(lastStartOf('standard-3d', START)).toBeNull()
  })

  test('an attempt that came late is not made up for by hurrying', () => {
    const failed = { createdAt: START, firstAt: START, retryAfterMs: null, random: 0 }
    const hourLater = { ...failed, attempts: 2, now: START + HOUR }
    expect(nextAttempt({ ...hourLater, policy: 'standard-3d' })).toBe(START + HOUR + 4 * MINUTE)
    const tenMinutesLater = { ...failed, attempts: 2, now: START + 10 * MINUTE }
    expect(nextAttempt({ ...tenMinutesLater, policy: 'uptimera-30m' })).toBe(
      START + 10 * MINUTE + 16 * SECOND,
    )
  })
})

describe('Retry-After', () => {
  test.each([
    ['120', 120_000],
    [' 7 ', 7_000],
    ['Sat, 21 Nov 2026 08:02:00 GMT', 120_000],
    ['Saturday, 21-Nov-26 08:02:00 GMT', 120_000],
    ['Sat Nov 21 08:02:00 2026', 120_000],
    ['0', null],
    ['-5', null],
    ['1.5', null],
    ['soon', null],
    ['2027', 2_027_000],
    ['Sat, 21 Nov 2026 07:59:00 GMT', null],
    ['99999999999999999999', null],
    ['', null],
    [undefined, null],
  ])('%j is %j ms', (value, wanted) => {
    expect(readRetryAfter(value, START)).toBe(wanted)
  })

  const failed = { createdAt: START, firstAt: START, now: START, random: 0.5 }

  test.each([
    // Step 5 s: from 5 s to 5 minutes.
    ['standard-3d', 1, SECOND, 5 * SECOND],
    ['standard-3d', 1, 20 * SECOND, 20 * SECOND],
    ['standard-3d', 1, HOUR, 5 * MINUTE],
    // Step 2 h: from 2 h to 4 h.
    ['standard-3d', 4, MINUTE, 2 * HOUR],
    ['standard-3d', 4, 3 * HOUR, 3 * HOUR],
    ['standard-3d', 4, 9 * DAY, 4 * HOUR],
    ['runframe-2h', 1, 30 * SECOND, 30 * SECOND],
    ['uptimera-30m', 1, HOUR, 5 * MINUTE],
  ] as const)('%s after attempt %i: %i ms asked for, %i ms waited', (policy, attempts, asked, waited) => {
    expect(nextAttempt({ ...failed, policy, attempts, retryAfterMs: asked })).toBe(START + waited)
  })

  test.each([
    ['standard-3d', 1, SECOND, SECOND],
    ['standard-3d', 1, HOUR, 5 * MINUTE],
    // The message itself waits a day; whatever else goes there, as long as was asked for.
    ['standard-3d', 9, 30 * SECOND, 30 * SECOND],
    ['standard-3d', 4, 9 * DAY, 4 * HOUR],
  ] as const)(
    '%s after attempt %i: %i ms asked for, the endpoint left alone for %i ms',
    (policy, n, asked, ms) => {
      expect(pauseOf(policy, n, asked)).toBe(ms)
    },
  )

  test('never leads past the end of a policy', () => {
    for (const policy of RETRY_POLICIES) {
      const offsets = runToEnd(policy, () => 1, { retryAfterMs: 30 * DAY })
      const latest = runToEnd(policy, () => 1).at(-1)!
      expect(offsets.length).toBeLessThanOrEqual(TABLE[policy].length)
      // The last step is kept, whatever was asked for before.
      const steps = TABLE[policy].map((time, index) => time - (TABLE[policy][index - 1] ?? 0))
      expect(offsets.at(-1)!).toBeLessThanOrEqual(latest + steps.at(-1)!)
    }
    expect(runToEnd('uptimera-30m', () => 1, { retryAfterMs: 30 * DAY }).at(-1)).toBeLessThanOrEqual(
      29 * MINUTE + 45 * SECOND,
    )
  })
})

describe('what failures mean for the endpoint', () => {
  test('runframe-2h: the end of a message disables, a failed attempt before does not', () => {
    const failed = { policy: 'runframe-2h', failingSince: START, now: START + HOUR } as const
    expect(judgeEndpoint({ ...failed, ended: false })).toBe('keep')
    expect(judgeEndpoint({ ...failed, ended: true })).toBe('disable')
  })

  test.each([
    [23 * HOUR, 'keep'],
    [24 * HOUR, 'warn'],
    [119 * HOUR, 'warn'],
    [120 * HOUR, 'disable'],
  ])('standard-3d: no success for %i ms: %s', (ms, verdict) => {
    const failed = { policy: 'standard-3d', ended: true, failingSince: START, now: START + ms } as const
    expect(judgeEndpoint(failed)).toBe(verdict)
  })

  test.each(['uptimera-30m', 'once'] as const)('%s: the endpoint stays on', (policy) => {
    expect(judgeEndpoint({ policy, ended: true, failingSince: START, now: START + 30 * DAY })).toBe('keep')
  })
})

describe('the breaker', () => {
  /** The breaker after these attempts, one per second. */
  const breakerAfter = (results: boolean[], breaker: Breaker = CLOSED_BREAKER, from = START) =>
    results.reduce((state, ok, index) => afterAttempt(state, ok, from + index * SECOND, 0.5), breaker)
  const times = (count: number, ok: boolean) => Array.from({ length: count }, () => ok)

  test('opens for 30 s at the tenth failure in a row', () => {
    expect(breakerAfter(times(9, false)).openUntil).toBeNull()
    const opened = breakerAfter(times(10, false))
    expect(opened.openUntil).toBe(START + 9 * SECOND + 30 * SECOND)
    expect(breakerState(opened, START + 38 * SECOND)).toBe('open')
    expect(breakerState(opened, START + 39 * SECOND)).toBe('half-open')
  })

  test('opens at 70 % of at least ten within 5 minutes', () => {
    const mixed = [true, ...times(3, false), true, ...times(3, false), true]
    expect(breakerAfter(mixed).openUntil).toBeNull()
    expect(breakerAfter([...mixed, false]).openUntil).not.toBeNull()
    expect(breakerAfter([...mixed, true]).openUntil).toBeNull()
  })

  test('forgets what is older than 5 minutes', () => {
    const before = breakerAfter([true, ...times(7, false)])
    const later = afterAttempt(before, true, START + 6 * MINUTE, 0.5)
    expect(breakerAfter(times(3, false), later, START + 6 * MINUTE + SECOND).openUntil).toBeNull()
    expect(later.recent).toHaveLength(1)
  })

  test('a probe that fails doubles the time up to 5 minutes, one that succeeds closes it', () => {
    let breaker = breakerAfter(times(10, false))
    const lengths = [breaker.openMs]
    for (let probe = 0; probe < 5; probe++) {
      breaker = afterAttempt(breaker, false, breaker.openUntil!, 0.5)
      lengths.push(breaker.openMs)
    }
    expect(lengths.map((ms) => ms / SECOND)).toEqual([30, 60, 120, 240, 300, 300])
    expect(afterAttempt(breaker, true, breaker.openUntil!, 0.5)).toEqual(CLOSED_BREAKER)
  })

  test('a straggler that fails while it is open changes nothing, one that succeeds closes it', () => {
    const opened = breakerAfter(times(10, false))
    const opening = (random: number) =>
      afterAttempt({ ...opened, openUntil: START }, false, START, random).openUntil! - START
    expect([opening(0), opening(0.5), opening(1)]).toEqual([48, 60, 72].map((s) => s * SECOND))
    expect(afterAttempt(opened, false, START + 12 * SECOND, 0.5)).toBe(opened)
    expect(afterAttempt(opened, true, START + 12 * SECOND, 0.5)).toEqual(CLOSED_BREAKER)
  })

  test('survives being stored', () => {
    const opened = breakerAfter(times(10, false))
    expect(JSON.parse(JSON.stringify(opened))).toEqual(opened)
  })
})
