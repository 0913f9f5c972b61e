import { expect, test } from 'vitest'
import { stopSignalHandler } from '../../ingest/stop-signal.ts'

test('one signal stops, then exits well', async () => {
  const { signal, stopped, exits } = start()
  signal(0)
  expect(exits).toEqual([])
  stopped.resolve()
  await expect.poll(() => exits).toEqual([0])
})

test('a second signal within a second is the same one, a later one exits at once', () => {
  const { signal, stops, exits } = start()
  signal(0)
  signal(1_000)
  expect([stops(), exits]).toEqual([1, []])
  signal(1_001)
  expect([stops(), exits]).toEqual([1, [1]])
})

test('a stop that fails exits badly', async () => {
  const { signal, stopped, exits } = start()
  signal(0)
  stopped.reject(new Error('disk full'))
  await expect.poll(() => exits).toEqual([1])
})

function start() {
  const exits: number[] = []
  const stopped = Promise.withResolvers<void>()
  let clock = 0
  let stops = 0
  const handler = stopSignalHandler(
    () => {
      stops++
      return stopped.promise
    },
    (code) => exits.push(code),
    () => clock,
  )
  return {
    exits,
    stopped,
    stops: () => stops,
    signal: (at: number) => {
      clock = at
      handler()
    },
  }
}
