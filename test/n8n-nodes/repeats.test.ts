import { expect, test } from 'vitest'
import { isRepeat, noteTaken } from '../../n8n-nodes/nodes/TocsinTrigger/repeats.ts'

const first = { id: 'm1', timestamp: '100' }
const again = { id: 'm1', timestamp: '200' }
const noted = noteTaken([], first)

test('a message that was taken is a repeat, whenever it is sent again; another one is not', () => {
  expect(isRepeat(noted, again, false)).toBe(true)
  expect(isRepeat(noted, { id: 'm', timestamp: '100' }, false)).toBe(false)
  expect(isRepeat(noted, { id: 'm10', timestamp: '100' }, false)).toBe(false)
  expect(isRepeat([], first, false)).toBe(false)
})

test('a replay passes, but not the bytes of before with the mark of one', () => {
  expect(isRepeat(noted, again, true)).toBe(false)
  expect(isRepeat(noted, first, true)).toBe(true)
  expect(isRepeat(noteTaken(noted, again), again, true)).toBe(true)
})

test('two hundred are remembered, the oldest goes first', () => {
  let many: string[] = []
  for (let index = 0; index < 201; index++) many = noteTaken(many, { id: `m${index}`, timestamp: '1' })
  expect(many).toHaveLength(200)
  expect(isRepeat(many, { id: 'm0', timestamp: '2' }, false)).toBe(false)
  expect(isRepeat(many, { id: 'm1', timestamp: '2' }, false)).toBe(true)
})
