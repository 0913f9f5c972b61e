import { sql } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../../core/store/migrate.ts'
import { migrations } from '../../../core/store/migrations/index.ts'
import { openDatabase } from '../../../core/store/open-database.ts'
import { databaseKinds, freshDatabase } from '../../support/databases.ts'

describe.each(databaseKinds)('the migration of message bodies on %s', (kind) => {
  test('keeps what messages say, and what waits', async () => {
    const fresh = await freshDatabase(kind)
    onTestFinished(() => fresh.dispose())
    const database = await openDatabase(fresh.url)
    onTestFinished(() => database.close())
    const { '0001-first': first, '0002-delivery': delivery } = migrations
    await migrate(database, { '0001-first': first!, '0002-delivery': delivery! })
    await database.migrate((db) =>
      sql`insert into message (id, project_id, endpoint_id, type, status, body, gap, replay, created_at, started_at, attempts, due_at)
        values ('m1', 'p', 'e', 'test', 'pending', 'one', 0, 0, '2026', '2026', 0, '2026'),
          ('m2', 'p', 'e', 'test', 'delivered', 'two', 0, 0, '2026', '2026', 1, null)`.execute(db),
    )
    await migrate(database, migrations)
    const rows = await database.read
      .selectFrom('message')
      .innerJoin('message_body', 'message_body.id', 'message.body_id')
      .select(['message.id', 'message.project_id', 'status', 'due_at', 'body'])
      .orderBy('message.id')
      .execute()
    expect(rows).toEqual([
      { id: 'm1', project_id: 'p', status: 'pending', due_at: '2026', body: 'one' },
      { id: 'm2', project_id: 'p', status: 'delivered', due_at: null, body: 'two' },
    ])
  })
})
