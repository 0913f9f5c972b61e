import { expect, test } from 'vitest'
import { descriptorsOver, memoryOver } from './soak.ts'

const HOUR = 3_600_000

/** One a minute for so many hours. */
function samples(hours: number, of: (hour: number) => { rssMb?: number; descriptors?: number }) {
  return Array.from({ length: hours * 60 }, (_, minute) => ({
    at: minute * 60_000,
    rssMb: 100,
    descriptors: 40,
    ...of(minute / 60),
  }))
}

test('memory may find its size for two hours', () => {
  const found = memoryOver(
    samples(4, (hour) => ({ rssMb: 100 + 50 * Math.min(hour, 2) })),
    4 * HOUR,
  )
  expect(found).toEqual({ figure: expect.stringContaining(' 0.00 MiB/h after hour 2'), wrong: [] })
})

test('memory that grows afterwards is said to', () => {
  const { wrong } = memoryOver(
    samples(4, (hour) => ({ rssMb: 100 + 2 * hour })),
    4 * HOUR,
  )
  expect(wrong).toEqual(['memory grows by 2.00 MiB/h'])
})

test('a run that is too short says so', () => {
  const { figure, wrong } = memoryOver(
    samples(2, (hour) => ({ rssMb: 100 + 90 * hour })),
    2 * HOUR,
  )
  expect(figure).toContain('slope not judged')
  expect(wrong).toEqual([])
})

test('descriptors that are never closed are noticed', () => {
  const lost = samples(1, (hour) => ({ descriptors: 40 + Math.floor(hour * 40) }))
  expect(descriptorsOver(lost, HOUR).wrong).toEqual(['descriptors grew from 49 to 79'])
  expect(
    descriptorsOver(
      samples(1, () => ({})),
      HOUR,
    ).wrong,
  ).toEqual([])
})
