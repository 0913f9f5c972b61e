import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { admit, type Start } from '../../n8n-nodes/nodes/TocsinTrigger/repeats.ts'

const arrival = (id: string, { timestamp = '1795248000', isReplay = false } = {}) => ({
  id,
  timestamp,
  isReplay,
})
const starts = (answer: Start | string): answer is Start => typeof answer !== 'string'

/** A trigger of its own, whose clock is in the test's hands. */
function trigger(name = randomUUID() as string) {
  const one = {
    now: 0,
    stored: [] as string[],
    admit: (id: string, more = {}) => admit(name, one.stored, arrival(id, more), one.now),
    take(id: string, more = {}) {
      const start = one.admit(id, more)
      if (!starts(start)) return start
      one.stored = start.done()
      return 'started'
    },
  }
  return one
}

test('a message starts once; another one is not taken for it', () => {
  const { take } = trigger()
  expect(['m1', 'm1', 'm', 'm10', '1', 'm1'].map((id) => take(id))).toEqual([
    'started',
    'repeat',
    'started',
    'started',
    'started',
    'repeat',
  ])
  expect(take('m1', { timestamp: '1795248005' })).toBe('repeat')
})

test('what is stored tells after a restart', () => {
  const before = trigger()
  before.take('m1')
  const after = trigger()
  after.stored = before.stored
  expect(after.take('m1')).toBe('repeat')
  expect(after.take('m2')).toBe('started')
  expect(after.stored).toHaveLength(2)
})

test('of the same message twice at once one starts; the other may come again, and is then a repeat', () => {
  const one = trigger()
  const first = one.admit('m1')
  expect(one.admit('m1')).toBe('busy')
  expect(starts(one.admit('m2'))).toBe(true)
  if (starts(first)) first.done()
  expect(one.admit('m1')).toBe('repeat')
})

test('messages that come side by side are all noted, though each knows only what was stored before', () => {
  const one = trigger()
  const both = [one.admit('m1'), one.admit('m2')].filter(starts)
  const [, last] = both.map((start) => start.done())
  expect(last).toEqual(['1795248000.m1', '1795248000.m2'])
  const other = trigger()
  other.stored = last!
  expect([other.take('m1'), other.take('m2')]).toEqual(['repeat', 'repeat'])
})

test('a start that failed, or was never heard of again, leaves the message to its next attempt', () => {
  const one = trigger()
  const first = one.admit('m1')
  if (starts(first)) first.failed()
  expect(starts(one.admit('m1'))).toBe(true)
  one.now += 60_000 - 1
  expect(one.admit('m1')).toBe('busy')
  one.now += 1
  const third = one.admit('m1')
  // The first one is over: what it says now is not about the third.
  if (starts(first)) first.failed()
  expect(one.admit('m1')).toBe('busy')
  if (starts(third)) third.done()
  if (starts(third)) third.failed()
  expect(one.admit('m1')).toBe('repeat')
})

test('a replay starts again, but each signed request only once', () => {
  const { take } = trigger()
  const replay = (timestamp: string) => ({ timestamp, isReplay: true })
  expect(take('m1', { timestamp: '100' })).toBe('started')
  // The very request that started it, with the mark added.
  expect(take('m1', replay('100'))).toBe('repeat')
  // One that was dropped as a repeat.
  expect(take('m1', { timestamp: '105' })).toBe('repeat')
  expect(take('m1', replay('105'))).toBe('repeat')
  expect(take('m1', replay('110'))).toBe('started')
  expect(take('m1', replay('110'))).toBe('repeat')
  expect(take('m1', replay('111'))).toBe('started')
})

test('two hundred requests are remembered, the oldest goes first', () => {
  const one = trigger()
  for (let index = 0; index < 201; index++) one.take(`m${index}`)
  expect(one.stored).toHaveLength(200)
  expect(one.admit('m1')).toBe('repeat')
  expect(starts(one.admit('m0'))).toBe(true)
})

test('triggers know nothing of each other', () => {
  expect([trigger().take('m1'), trigger().take('m1')]).toEqual(['started', 'started'])
})

test('of a thousand triggers the one that heard nothing for longest is forgotten', () => {
  const [first, second] = [trigger(), trigger()]
  first.take('m1')
  second.take('m1')
  first.admit('m1')
  for (let index = 0; index < 999; index++) trigger().take('m1')
  // What is stored would still tell.
  first.stored = second.stored = []
  expect(first.admit('m1')).toBe('repeat')
  expect(starts(second.admit('m1'))).toBe(true)
})
