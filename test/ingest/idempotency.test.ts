import { type OpenedTocsin, openTocsin } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../../core/store/open-database.ts'
import { databaseKinds, type FreshDatabase, freshDatabase } from '../support/databases.ts'
import { serve } from './serve.ts'

const ADMIN_KEY = 'an-admin-key-of-our-own-making'
const HOUR = 3_600_000

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

  test('a write whose process stopped in the middle may be sent again after a minute', async () => {
    const caller = await tocsin.authenticateKey(ADMIN_KEY)
    const begin = () => tocsin.beginOnce(caller!, { key: 'abandoned', requestHash: 'h', projectId: null })
    const first = await begin()
    await expect(begin()).rejects.toMatchObject({ code: 'conflict', retryAfterSeconds: 1 })
    now += 60_001
    const second = await begin()
    expect(second.answer).toBeNull()
    // The first comes back to life: the answer is the second's.
    if (first.answer === null) await first.keep({ status: 200, body: '"first"' })
    await expect(begin()).rejects.toMatchObject({ code: 'conflict' })
    if (second.answer === null) await second.keep({ status: 200, body: '"second"' })
    expect(await begin()).toEqual({ answer: { status: 200, body: '"second"' } })
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
