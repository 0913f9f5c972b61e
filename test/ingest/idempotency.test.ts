import { randomUUID } from 'node:crypto'
import { type OpenedTocsin, openTocsin } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { type Database, openDatabase } from '../../core/store/open-database.ts'
import { run, statement } from '../../core/store/statement.ts'
import { databaseKinds, type FreshDatabase, freshDatabase } from '../support/databases.ts'
import { type ApiAnswer, serve } from './serve.ts'

const ADMIN_KEY = 'an-admin-key-of-our-own-making'
const HOUR = 3_600_000

const failAll = statement<{ endpoint: string }, unknown>((db, p) =>
  db.updateTable('message').set({ status: 'failed', due_at: null }).where('endpoint_id', '=', p('endpoint')),
)

describe.each(databaseKinds)('Idempotency-Key on %s', (kind) => {
  let database: FreshDatabase
  let tocsin: OpenedTocsin
  let project: string
  let now = Date.parse('2026-07-01T12:00:00.000Z')
  let lastKey = 0

  beforeAll(async () => {
    database = await freshDatabase(kind)
    tocsin = await openTocsin({
      databaseUrl: database.url,
      secretKey: Buffer.alloc(32, 1),
      publicUrl: 'http://127.0.0.1:4117',
      defaultPlan: 'unlimited',
      adminKey: ADMIN_KEY,
      now: () => new Date(now),
    })
    project = tocsin.firstStart!.projectId
  })
  afterAll(async () => {
    await tocsin.close()
    await database.dispose()
  })

  /** Calls the API under a key of its own, as long as it is not given another. */
  async function client(authorization = ADMIN_KEY) {
    const { api } = await serve({ tocsin })
    const key = `key-${++lastKey}`
    return (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
      api(method, `/projects/${project}${path}`, body, {
        Authorization: `Bearer ${authorization}`,
        'Idempotency-Key': key,
        ...headers,
      })
  }

  async function stored(): Promise<{ created_at: string; answer: string | null }[]> {
    const opened = await openDatabase(database.url)
    const rows = await opened.read.selectFrom('idempotency').selectAll().orderBy('created_at').execute()
    await opened.close()
    return rows
  }

  test('the same write twice is done once and answered twice', async () => {
    const call = await client()
    const first = await call('POST', '/incidents', { title: 'Phones ring' })
    const second = await call('POST', '/incidents', { title: 'Phones ring' })
    expect([first.status, first.headers.get('idempotency-replayed')]).toEqual([201, null])
    expect([second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('content-type')).toBe(first.headers.get('content-type'))
    const list = await call('GET', '/incidents?q=Phones')
    expect([list.body.total, list.headers.get('idempotency-replayed')]).toEqual([1, null])
  })

  test('a write without an answer is replayed too', async () => {
    const call = await client()
    const made = await call('POST', '/keys', { name: 'k', scopes: ['admin'] }, { 'Idempotency-Key': 'other' })
    const path = `/keys/${made.body.key.id}`
    const statuses = [await call('DELETE', path), await call('DELETE', path)].map(({ status }) => status)
    expect(statuses).toEqual([204, 204])
  })

  test('another body, address or method under the same key is refused', async () => {
    const call = await client()
    await call('POST', '/incidents', { title: 'One' })
    for (const answer of [
      await call('POST', '/incidents', { title: 'Two' }),
      await call('POST', '/incidents?x=1', { title: 'One' }),
      await call('PATCH', '', { name: 'renamed' }),
    ]) {
      expect([answer.status, answer.body.error.code]).toEqual([409, 'conflict'])
      expect(answer.headers.get('retry-after')).toBeNull()
    }
  })

  test('while the first is still under way the second is told to wait', async () => {
    const call = await client()
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => call('POST', '/incidents', { title: 'At once' })),
    )
    const done = answers.filter((answer) => answer.status === 201)
    const waiting = answers.filter((answer) => answer.status === 409)
    expect(done.length + waiting.length).toBe(8)
    expect(new Set(done.map((answer) => answer.body.incident.id)).size).toBe(1)
    for (const answer of waiting) expect(answer.headers.get('retry-after')).toBe('1')
    expect((await call('GET', '/incidents?q=At once')).body.total).toBe(1)
  })

  test('a refused write has done nothing, so the next one under its key runs', async () => {
    const call = await client()
    expect((await call('POST', '/incidents', { titel: 'Typo' })).status).toBe(400)
    expect((await call('POST', '/incidents/INC-999/acknowledge', {})).status).toBe(404)
    expect((await call('POST', '/incidents', { title: 'Right' })).status).toBe(201)
  })

  test('a key is one caller’s', async () => {
    const admin = await client()
    const { body } = await admin('POST', '/keys', { name: 'other', scopes: ['incidents:write'] })
    const other = await client(body.secret)
    const headers = { 'Idempotency-Key': 'shared' }
    const mine = await admin('POST', '/incidents', { title: 'Mine' }, headers)
    const theirs = await other('POST', '/incidents', { title: 'Theirs' }, headers)
    expect([mine.status, theirs.status]).toEqual([201, 201])
  })

  test('after 24 hours it is forgotten, and old rows go as new ones come', async () => {
    const call = await client()
    const body = { title: 'Daily' }
    const first = await call('POST', '/incidents', body)
    now += 24 * HOUR
    expect((await call('POST', '/incidents', body)).body).toEqual(first.body)
    now += 1
    const next = await call('POST', '/incidents', body)
    expect([next.status, next.headers.get('idempotency-replayed')]).toEqual([201, null])
    expect(next.body.incident.id).not.toBe(first.body.incident.id)
    expect((await stored()).map((row) => row.created_at)).toEqual([new Date(now).toISOString()])
  })

  test('an answer with a secret is stored sealed', async () => {
    const call = await client()
    const made = await call('POST', '/keys', { name: 'sealed', scopes: ['admin'] })
    const again = await call('POST', '/keys', { name: 'sealed', scopes: ['admin'] })
    expect(again.body.secret).toBe(made.body.secret)
    const rows = JSON.stringify(await stored())
    expect(rows).not.toContain(made.body.secret)
    expect(rows).not.toContain('sealed')
  })

  test.each(['', 'x'.repeat(256), 'ä'])('a key that is none is refused: %s', async (key) => {
    const call = await client()
    const answer = await call('POST', '/incidents', { title: 'X' }, { 'Idempotency-Key': key })
    expect([answer.status, answer.body.error.code]).toEqual([400, 'invalid_request'])
    expect(answer.body.error.message).toMatch(/Idempotency-Key/)
  })
})

/** Asks the API as an administrator under one key. */
type Ask = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>

describe.each(databaseKinds)('Idempotency-Key on %s, where the answer of a COMMIT is lost', (kind) => {
  let fresh: FreshDatabase
  let database: Database
  let tocsin: OpenedTocsin
  let project: string
  /** Commits until one is kept but not told; 0: all are told. */
  let untilLost = 0

  beforeAll(async () => {
    fresh = await freshDatabase(kind)
    database = await openDatabase(fresh.url)
    await migrate(database, migrations)
    tocsin = await openOn(
      {
        ...database,
        async transaction(work, options) {
          const value = await database.transaction(work, options)
          if (options?.rollback || untilLost === 0 || --untilLost > 0) return value
          throw Object.assign(new Error('lost'), {
            code: kind === 'postgres' ? 'ECONNRESET' : 'SQLITE_IOERR',
          })
        },
      },
      {
        databaseUrl: fresh.url,
        secretKey: Buffer.alloc(32, 1),
        publicUrl: 'http://127.0.0.1:4117',
        defaultPlan: 'unlimited',
        adminKey: ADMIN_KEY,
        role: 'ingest',
        targets: { allow: [], loopback: true },
      },
    )
    project = tocsin.defaultProjectId!
  })
  afterAll(async () => {
    await tocsin.close()
    await fresh.dispose()
  })

  async function client(): Promise<{ once: Ask; ask: Ask }> {
    const { api } = await serve({ tocsin })
    const headers = { Authorization: `Bearer ${ADMIN_KEY}` }
    const key = randomUUID()
    return {
      once: (method, path, body) => api(method, path, body, { ...headers, 'Idempotency-Key': key }),
      ask: (method, path, body) => api(method, path, body, headers),
    }
  }

  /** The answers to a write whose nth commit is kept but not told, and to its repeats. */
  async function lose(nth: number, method: string, path: string, body?: unknown) {
    const { once, ask } = await client()
    untilLost = nth
    const lost = await once(method, path, body)
    untilLost = 0
    return { ask, lost, again: await once(method, path, body), third: await once(method, path, body) }
  }

  const replayed = (answer: ApiAnswer) => [answer.status, answer.headers.get('idempotency-replayed')]

  test('the repeat of a write is answered as it would have been, and does nothing', async () => {
    const { ask, lost, again, third } = await lose(1, 'POST', `/projects/${project}/incidents`, {
      title: 'Once',
    })
    expect([lost.status, lost.headers.get('retry-after')]).toEqual([503, '1'])
    expect(replayed(again)).toEqual([201, 'true'])
    expect(again.body.incident.title).toBe('Once')
    expect(third.body).toEqual(again.body)
    expect((await ask('GET', `/projects/${project}/incidents?q=Once`)).body.total).toBe(1)
  })

  test('where only the keeping of the answer is not told, the write is answered', async () => {
    const { lost, again } = await lose(2, 'POST', `/projects/${project}/incidents`, { title: 'Kept' })
    expect(replayed(lost)).toEqual([201, null])
    expect(replayed(again)).toEqual([201, 'true'])
    expect(again.body).toEqual(lost.body)
  })

  test('secrets that are shown once are shown to the repeat', async () => {
    const key = await lose(1, 'POST', `/projects/${project}/keys`, { name: 'k', scopes: ['admin'] })
    expect(await tocsin.authenticateKey(key.again.body.secret)).toMatchObject({
      keyId: key.again.body.key.id,
    })
    const keys = await key.ask('GET', `/projects/${project}/keys`)
    expect(keys.body.keys.map(({ id }: { id: string }) => id)).toEqual([key.again.body.key.id])

    const source = await lose(1, 'POST', `/projects/${project}/sources`, { adapter: 'generic', name: 's' })
    const { id } = source.again.body.source
    const shown = await source.ask('GET', `/projects/${project}/sources/${id}`)
    expect(source.again.body).toMatchObject({ source: shown.body.source, secret: shown.body.source.secret })

    const endpoint = await lose(1, 'POST', `/projects/${project}/endpoints`, { url: 'http://127.0.0.1:9/a' })
    expect(replayed(endpoint.again)).toEqual([201, 'true'])
    expect(endpoint.again.body.secret).toBe(endpoint.again.body.endpoint.secret)

    const path = `/projects/${project}/endpoints/${endpoint.again.body.endpoint.id}`
    for (const [method, below, body] of [
      ['PATCH', '', { url: 'http://127.0.0.1:10/a' }],
      ['POST', '/rotate', {}],
    ] as const) {
      const { ask, again } = await lose(1, method, path + below, body)
      expect(replayed(again)).toEqual([200, 'true'])
      expect(again.body.secret).toBe((await ask('GET', path)).body.endpoint.secret)
    }
    const rows = await database.read.selectFrom('idempotency').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(key.again.body.secret)
  })

  test('a project that was made, or deleted, is so once', async () => {
    const made = await lose(1, 'POST', '/projects', { name: 'One' })
    const { id } = made.again.body.project
    const names = (await made.ask('GET', '/projects')).body.projects.map(({ name }: { name: string }) => name)
    expect(names.filter((name: string) => name === 'One')).toHaveLength(1)
    const deleted = await lose(1, 'DELETE', `/projects/${id}`)
    expect([deleted.again, deleted.third].map(replayed)).toEqual([
      [204, 'true'],
      [204, 'true'],
    ])
    expect((await deleted.ask('GET', `/projects/${id}`)).status).toBe(404)
  })

  test('a draft is stored once', async () => {
    const { ask } = await client()
    const { body } = await ask('POST', `/projects/${project}/incidents`, { title: 'Draft me' })
    const path = `/projects/${project}/incidents/${body.incident.id}/postmortem`
    const { again } = await lose(1, 'POST', path, {})
    expect([replayed(again), again.body.postmortem.revision]).toEqual([[201, 'true'], 1])
    expect((await ask('GET', path)).body.postmortem.revision).toBe(1)
  })

  test('a write of several commits goes on where it stopped', async () => {
    const { ask } = await client()
    const { endpoint } = (
      await ask('POST', `/projects/${project}/endpoints`, { url: 'http://127.0.0.1:9/b' })
    ).body
    const path = `/projects/${project}/endpoints/${endpoint.id}`
    await Promise.all(Array.from({ length: 201 }, () => ask('POST', `${path}/test`)))
    const writable = await openDatabase(fresh.url)
    await writable.transaction(() => run(failAll, { endpoint: endpoint.id }))
    await writable.close()

    const { again } = await lose(1, 'POST', `${path}/replay`, {})
    expect([replayed(again), again.body]).toEqual([[200, 'true'], { replayed: 201 }])
  })

  test('two processes that get it at once do it once, and answer the same', async () => {
    const other = await openTocsin({
      databaseUrl: fresh.url,
      secretKey: Buffer.alloc(32, 1),
      publicUrl: 'http://127.0.0.1:4117',
      defaultPlan: 'unlimited',
      role: 'ingest',
    })
    const clients = await Promise.all([tocsin, other].map((one) => serve({ tocsin: one })))
    const headers = { Authorization: `Bearer ${ADMIN_KEY}`, 'Idempotency-Key': 'two processes' }
    const answers = await Promise.all(
      clients.map(({ api }) => api('POST', `/projects/${project}/incidents`, { title: 'Twice' }, headers)),
    )
    await other.close()
    expect(answers.map(({ status }) => status)).toEqual([201, 201])
    expect(answers[1]!.body.incident.id).toBe(answers[0]!.body.incident.id)
  })
})
