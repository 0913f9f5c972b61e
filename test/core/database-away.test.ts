import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { openDatabase } from '../../core/store/open-database.ts'
import { freshDatabase } from '../support/databases.ts'
import { ADMIN, ADMIN_KEY, hookRequest } from './open-test-tocsin.ts'

const optionsFor = (databaseUrl: string) => ({
  databaseUrl,
  secretKey: randomBytes(32),
  publicUrl: 'http://127.0.0.1',
  defaultPlan: 'unlimited' as const,
  adminKey: ADMIN_KEY,
})

test('a body that was not stored is not leaned on by the next one', async () => {
  const { url, dispose } = await freshDatabase('sqlite')
  const database = await openDatabase(url)
  await migrate(database, migrations)
  let fails = false
  const tocsin = await openOn(
    {
      ...database,
      transaction: async (work, options) => {
        const value = await database.transaction(work, { ...options, ...(fails && { rollback: true }) })
        if (fails) throw new Error('the commit failed')
        return value
      },
      classify: (error) => (error instanceof Error && fails ? 'unavailable' : database.classify(error)),
    },
    optionsFor(url),
  )
  onTestFinished(async () => {
    await tocsin.close()
    await dispose()
  })
  const admin = tocsin.actingAs(ADMIN)
  const projectId = tocsin.defaultProjectId!
  const { source, secret } = await admin.createSource(projectId, { adapter: 'generic' })
  const send = (title: string) =>
    tocsin.receive(
      hookRequest({
        headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
        rawBody: Buffer.from(JSON.stringify({ id: 'a', title, text: 'word '.repeat(100) })),
        receivedAt: new Date().toISOString(),
      }),
      { kind: 'project', projectId, adapter: 'generic', sourceId: source.id },
    )

  fails = true
  await expect(send('A')).rejects.toMatchObject({ code: 'unavailable' })
  fails = false
  const kept = [await send('B'), await send('C')].map(({ requestId }) => requestId)
  const rows = await database.read
    .selectFrom('hook_request')
    .select(['id', 'body_like'])
    .orderBy('id')
    .execute()
  expect(rows).toEqual([
    { id: kept[0], body_like: null },
    { id: kept[1], body_like: kept[0] },
  ])
})

test('a close gives up on what is not done in time, names it, and closes the rest', async () => {
  const { url, dispose } = await freshDatabase('sqlite')
  const database = await openDatabase(url)
  await migrate(database, migrations)
  let hangs = false
  let isClosed = false
  const tocsin = await openOn(
    {
      ...database,
      transaction: (work, options) => (hangs ? new Promise(() => {}) : database.transaction(work, options)),
      close: async () => {
        await database.close()
        isClosed = true
      },
    },
    { ...optionsFor(url), role: 'ingest' },
  )
  onTestFinished(dispose)

  hangs = true
  void tocsin.actingAs(ADMIN).createProject({ name: 'Never' })
  // Those who still wait for their answers come first.
  const answered = Promise.withResolvers<void>()
  const closing = tocsin.close({ after: answered.promise, limitMs: 1 })
  expect(await tocsin.authenticateKey(ADMIN_KEY)).toBeDefined()
  answered.resolve()
  await expect(closing).rejects.toThrow('Not finished: changes that were waiting')
  await expect.poll(() => isClosed).toBe(true)
})

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
    optionsFor(url),
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
