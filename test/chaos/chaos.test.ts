import { expect, inject, onTestFailed, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { FAULTS } from './faults.ts'
import { inWorld } from './world.ts'

/** Small enough that everybody can wait for it; `npm run chaos` runs as many as asked for. */
const FEW = 2
const SEED = Number(process.env.TOCSIN_CHAOS_SEED ?? Math.floor(Math.random() * 1_000_000))

const cases = FAULTS.flatMap((fault) =>
  fault.databases.filter((kind) => databaseKinds.includes(kind)).map((kind) => ({ ...fault, fault, kind })),
)

test.each(cases)('$id on $kind: $promise', { timeout: 300_000 }, async ({ fault, kind }) => {
  onTestFailed(() => {
    process.stderr.write(`Seed of this run: TOCSIN_CHAOS_SEED=${SEED}\n`)
  })
  const options = { kind, seed: SEED, isTimed: false, say: () => {}, postgresUrl: inject('postgresUrl') }
  const { wrong } = await inWorld(options, (world) => fault.run(world, FEW))
  expect(wrong).toEqual([])
})
