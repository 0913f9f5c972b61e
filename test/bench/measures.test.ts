import { expect, test } from 'vitest'
import { untilSteady } from './measures.ts'

/** Rounds whose reference has these rates; what ran, and what counts of it. */
async function measure(rounds: number, rates: readonly number[]) {
  const ran: number[] = []
  const { counted, setAside } = await untilSteady(rounds, async (round) => {
    ran.push(round)
    return rates[round] ?? Number.NaN
  })
  return { ran, counted, setAside }
}

test('on a steady machine every round but the one to warm up counts', async () => {
  expect(await measure(3, [5, 100, 110, 105])).toEqual({ ran: [0, 1, 2, 3], counted: [1, 2, 3], setAside: 0 })
})

test('rounds with another speed are set aside, and others take their place', async () => {
  expect(await measure(3, [5, 100, 40, 110, 105])).toEqual({
    ran: [0, 1, 2, 3, 4],
    counted: [1, 3, 4],
    setAside: 1,
  })
  expect(await measure(3, [5, 40, 100, 110, 45, 44])).toEqual({
    ran: [0, 1, 2, 3, 4, 5],
    counted: [1, 4, 5],
    setAside: 2,
  })
})

test('where no speed lasts, the steadiest are taken after four times as many', async () => {
  const rates = [5, 1, 2, 4, 8, 16, 32, 64, 96]
  expect((await measure(2, rates)).counted).toEqual([7, 8])
  expect((await measure(2, rates)).ran).toHaveLength(9)
})
