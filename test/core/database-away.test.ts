import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { openDatabase } from '../../core/store/open-database.ts'
import { freshDatabase } from '../support/databases.ts'
import { ADMIN, ADMIN_KEY } from './open-test-tocsin.ts'

test('while the database is away, keys and lists are unavailable, not at fault', async () => {
  const { url, dispose } = await freshDatabase('sqlite')
  const database = await openDatabase(url)
  await migrate(database, migrations)
  let isAway = false
  const away = () =>
    Promise.reject(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))
  const tocsin = await openOn(
    {
      ...database,
      query: (...asked) => (isAway ? away() : database.query(...asked)),
      classify: (error) =>
        error instanceof Error && 'code' in error ? 'unavailable' : database.classify(error),
    },
    {
      databaseUrl: url,
      secretKey: randomBytes(32),
      publicUrl: 'http://127.0.0.1',
      defaultPlan: 'unlimited',
      adminKey: ADMIN_KEY,
    },
  )
  onTestFinished(async () => {
    await tocsin.close()
    await dispose()
  })

  isAway = true
  const refused = { code: 'unavailable', retryAfterSeconds: 1 }
  await expect(tocsin.authenticateKey(ADMIN_KEY)).rejects.toMatchObject(refused)
  const incident = tocsin.actingAs(ADMIN).getIncident(tocsin.defaultProjectId!, 'INC-001')
  await expect(incident).rejects.toMatchObject(refused)
})
