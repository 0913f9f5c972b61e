import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { noticing, overQueues } from '../../../core/store/queues.ts'
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
  return { over: overQueues(queues, queues[1]!, (command: Noted) => command.project), busy, closed }
}

test('commands of one project keep to one queue, and projects spread over all', async () => {
  const { over } = twoQueues()
  const projects = Array.from({ length: 64 }, () => randomUUID())
  const first = await Promise.all(projects.map((project) => over.submit({ project })))
  const again = await Promise.all(projects.map((project) => over.submit({ project })))
  expect(again).toEqual(first)
  // None of 64 in one of two queues: once in 10^19 runs.
  expect(new Set(first)).toEqual(new Set([0, 1]))
})

test('what is of no project goes to the one for it', async () => {
  const { over } = twoQueues()
  expect(await over.submit({ project: null })).toBe(1)
})

test('is busy where one of them is, and closes all', async () => {
  const { over, busy, closed } = twoQueues()
  expect(over.isBusy()).toBe(false)
  busy[1] = true
  expect(over.isBusy()).toBe(true)
  await over.close()
  expect(closed).toEqual([0, 1])
})

test('calls back after the commit in which something was noted, whatever another queue commits meanwhile', async () => {
  const calls: string[] = []
  /** Notes at once, commits when told. */
  const open = (name: string) => {
    const commit = Promise.withResolvers<void>()
    const queue = noticing<Noted, string>(
      (note) => ({
        submit: async ({ project }) => {
          if (project !== null) note()
          await commit.promise
          return name
        },
        isBusy: () => false,
        close: async () => {},
      }),
      () => calls.push(name),
    )
    return { queue, commit: commit.resolve }
  }
  const [slow, quick] = [open('slow'), open('quick')]
  const first = slow.queue.submit({ project: 'a' })
  const second = quick.queue.submit({ project: null })
  quick.commit()
  await second
  expect(calls).toEqual([])
  slow.commit()
  await first
  expect(calls).toEqual(['slow'])
})
