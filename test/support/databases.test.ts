import pg from 'pg'
import { describe, expect, inject, test } from 'vitest'
import { databaseKinds, freshDatabase } from './databases.ts'

describe.runIf(inject('postgresUrl') !== null)('the PostgreSQL tests run on', () => {
  test('waits for the disk at each commit, as it ships', async () => {
    const database = await freshDatabase('postgres')
    const client = new pg.Client({ connectionString: database.url })
    await client.connect()
    const { rows } = await client.query(
      "select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit",
    )
    await client.end()
    await database.dispose()
    expect(rows).toEqual([{ fsync: 'on', commit: 'on' }])
  })
})

test.each(databaseKinds)('a fresh database on %s is nobody else’s', async (kind) => {
  const [one, other] = [await freshDatabase(kind), await freshDatabase(kind)]
  expect(one.url).not.toBe(other.url)
  await Promise.all([one.dispose(), other.dispose()])
})
