import { existsSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { startChild } from '../support/child.ts'
import { until } from '../support/until.ts'
import { cpuOf, cpuOfFamily, untilSteady } from './measures.ts'

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

// Other systems tell of a process otherwise, and the bench leaves these columns empty there.
test.runIf(existsSync('/proc/self/stat'))('what children take counts once they have ended, too', async () => {
  const work = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'
  const parent = await startChild('sh', ['-c', `(${work}); echo done; exec sleep 60`], { cwd: '/' })
  onTestFinished(async () => void (await parent.end('SIGKILL')))
  await until('the child has ended', () => parent.stdout().includes('done'))
  expect(cpuOfFamily(parent.pid)! - cpuOf(parent.pid)!).toBeGreaterThan(20_000)
})
