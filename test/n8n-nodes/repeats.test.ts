import { expect, test } from 'vitest'
import { isRepeat, noteTaken } from '../../n8n-nodes/nodes/TocsinTrigger/repeats.ts'

test('a message that was taken is a repeat, another one is not, and neither is a replay', () => {
  const taken = noteTaken([], 'm1')
  expect(isRepeat(taken, 'm1', false)).toBe(true)
  expect(isRepeat(taken, 'm1', true)).toBe(false)
  expect(isRepeat(taken, 'm', false)).toBe(false)
  expect(isRepeat(taken, 'm10', false)).toBe(false)
})

test('two hundred are remembered, the oldest goes first', () => {
  let taken: string[] = []
  for (let index = 0; index < 201; index++) taken = noteTaken(taken, `m${index}`)
  expect(taken).toHaveLength(200)
  expect(isRepeat(taken, 'm0', false)).toBe(false)
  expect(isRepeat(taken, 'm1', false)).toBe(true)
})
