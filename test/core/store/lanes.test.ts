import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { createLanes } from '../../../core/store/lanes.ts'
import type { Writer } from '../../../core/store/writer.ts'

interface Noted {
  project: string | null
}

/** Two queues that tell where a command went. */
function twoQueues() {
  const closed: number[] = []
  const busy = [false, false]
  const queues = busy.map(
    (_, number): Writer<Noted, number> => ({
      submit: async () => number,
      isBusy: () => busy[number]!,
      close: async () => void closed.push(number),
    }),
  )
  return { lanes: createLanes(queues, (command: Noted) => command.project), busy, closed }
}

test('commands of one project keep to one queue, and projects spread over all', async () => {
  const { lanes } = twoQueues()
  const projects = Array.from({ length: 64 }, () => randomUUID())
  const first = await Promise.all(projects.map((project) => lanes.submit({ project })))
  const again = await Promise.all(projects.map((project) => lanes.submit({ project })))
  expect(again).toEqual(first)
  // None of 64 in one of two queues: once in 10^19 runs.
  expect(new Set(first)).toEqual(new Set([0, 1]))
})

test('what is of no project goes to the first', async () => {
  const { lanes } = twoQueues()
  expect(await lanes.submit({ project: null })).toBe(0)
})

test('is busy where one of them is, and closes all', async () => {
  const { lanes, busy, closed } = twoQueues()
  expect(lanes.isBusy()).toBe(false)
  busy[1] = true
  expect(lanes.isBusy()).toBe(true)
  await lanes.close()
  expect(closed).toEqual([0, 1])
})
