import Sqlite from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { testTocsin } from './open-test-tocsin.ts'

const t = testTocsin('sqlite')

test('what a recovery reads does not grow with what fires beside it in the same incident', async () => {
  const rows = countRows()
  await t.restart()
  const generic = await (await t.project()).source()
  const readForOne = async (id: string) => {
    await generic.send({ id, title: id })
    const before = rows()
    expect((await generic.send({ id, action: 'resolve' })).outcome).toBe('recovered')
    return rows() - before
  }

  await generic.send({ id: 'first', title: 'first' })
  const few = await readForOne('a')
  for (let i = 0; i < 400; i++) await generic.send({ id: `${i}`, title: `${i}` })
  // At most a hundred of those that fire from a source are looked at.
  expect(await readForOne('b')).toBeLessThan(few + 150)
})

/** How many rows connections to SQLite have read that are opened from now on. */
function countRows(): () => number {
  let rows = 0
  const { prepare } = Sqlite.prototype
  Sqlite.prototype.prepare = function (this: Sqlite.Database, text: string) {
    const statement = prepare.call(this, text) as { all(...params: unknown[]): unknown[] }
    const readAll = statement.all.bind(statement)
    statement.all = (...params) => {
      const read = readAll(...params)
      rows += read.length
      return read
    }
    return statement
  } as typeof prepare
  onTestFinished(() => {
    Sqlite.prototype.prepare = prepare
  })
  return () => rows
}
