import { expect, test } from 'vitest'
import { type Pace, placeLimits, SLOW_MS, standings, type UnderWay } from '../../../core/delivery/places.ts'
import type { DueEndpoint } from '../../../core/store/claim.ts'

const LIMITS = placeLimits(50)

const endpoint = (id: string, project = 'p', failing: string | null = null): DueEndpoint => ({
  id,
  project_id: project,
  open_until: null,
  paused_until: null,
  failing_since: failing,
})
const attempts = (count: number, one: Partial<UnderWay> = {}): UnderWay[] =>
  Array.from({ length: count }, () => ({
    endpointId: 'a',
    projectId: 'p',
    isFailing: false,
    forMs: 0,
    ...one,
  }))
const stand = (
  who: DueEndpoint,
  underWay: UnderWay[],
  paces: Record<string, Pace> = {},
  slowProjects: string[] = [],
) => {
  const { rooms, slowSince } = standings({
    underWay,
    paces: new Map(Object.entries(paces)),
    slowProjects: new Set(slowProjects),
    limits: LIMITS,
  })(who)
  return { left: rooms.map((room) => room.left), slowSince }
}

test('who answers promptly, or was never asked, may have every place', () => {
  const isPrompt = { a: { isSlow: false, turn: 1 } }
  expect(stand(endpoint('a'), attempts(49), isPrompt)).toEqual({ left: [], slowSince: null })
  expect(stand(endpoint('new'), attempts(49))).toEqual({ left: [], slowSince: null })
})

test('slow endpoints share thirty of fifty places', () => {
  const paces = { a: { isSlow: true, turn: 7 }, b: { isSlow: true, turn: 8 } }
  expect(stand(endpoint('b'), attempts(12), paces)).toEqual({ left: [18], slowSince: 8 })
  expect(stand(endpoint('b'), attempts(30), paces)).toEqual({ left: [0], slowSince: 8 })
  expect(stand(endpoint('c'), attempts(30), paces)).toEqual({ left: [], slowSince: null })
})

test('an attempt under way makes its endpoint slow after two seconds, whatever the last one took', () => {
  const paces = { a: { isSlow: false, turn: 3 } }
  const soon = attempts(4, { forMs: SLOW_MS - 1 })
  expect(stand(endpoint('a'), soon, paces).slowSince).toBe(null)
  const late = [...attempts(4), ...attempts(1, { forMs: SLOW_MS })]
  expect(stand(endpoint('a', 'other'), late, paces)).toEqual({ left: [25], slowSince: 3 })
})

test('of an endpoint that fails and was not asked since the start the worst is thought', () => {
  const failing = endpoint('x', 'p', '2026-11-21T08:00:00.000Z')
  expect(stand(failing, attempts(2, { isFailing: true }))).toEqual({ left: [28], slowSince: 0 })
  // One that fails at once holds up nobody.
  expect(stand(failing, [], { x: { isSlow: false, turn: 1 } })).toEqual({ left: [], slowSince: null })
})

test('a project that waits for a slow one, or just has, leaves five places to the others', () => {
  const waiting = [...attempts(43, { endpointId: 'b' }), ...attempts(1, { forMs: SLOW_MS })]
  expect(stand(endpoint('c'), waiting).left).toEqual([1])
  expect(stand(endpoint('c', 'other'), waiting).left).toEqual([])
  expect(stand(endpoint('c'), attempts(45), {}, ['p']).left).toEqual([0])
})

test('what several endpoints share counts down for all of them', () => {
  const of = standings({ underWay: [], paces: new Map(), slowProjects: new Set(['p']), limits: LIMITS })
  expect(of(endpoint('a')).rooms[0]).toBe(of(endpoint('b')).rooms[0])
  expect(of(endpoint('a', 'other')).rooms).toEqual([])
})

test.each([
  [50, { slow: 30, project: 45 }],
  [1, { slow: 1, project: 1 }],
])('of %i places', (inFlight, limits) => {
  expect(placeLimits(inFlight)).toEqual(limits)
})
