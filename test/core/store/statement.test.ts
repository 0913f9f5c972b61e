import fc from 'fast-check'
import { type Insertable, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { HookRequestTable, SenderGroupTable } from '../../../core/store/schema.ts'
import {
  all,
  allForEach,
  insertRows,
  isAnyOf,
  run,
  runWork,
  statement,
  together,
  updateRows,
} from '../../../core/store/statement.ts'
import { databaseKinds } from '../../support/databases.ts'
import { openEmpty } from '../../support/open-empty.ts'
import { preparedBy } from '../../support/query-plans.ts'

const groupsOf = statement<{ sourceId: string; limit: number }, SenderGroupTable>((db, p) =>
  db
    .selectFrom('sender_group')
    .selectAll()
    .where('source_id', '=', p('sourceId'))
    .orderBy('group_key')
    .limit(p('limit')),
)

const groupsByKey = statement<{ keys: readonly string[] }, SenderGroupTable>((db, p) =>
  db
    .selectFrom('sender_group')
    .selectAll()
    .where(isAnyOf('sender_group.group_key', p.list('keys')))
    .where('partial', '=', 0)
    .orderBy('group_key')
    .forUpdate()
    .skipLocked(),
)

const totals = statement<object, { rows: number; sum: number | null }>((db) =>
  db
    .selectFrom('log_entry')
    .select((eb) => [eb.fn.countAll<number>().as('rows'), eb.fn.sum<number | null>('position').as('sum')]),
)

const removeGroups = statement<{ sourceId: string }, unknown>((db, p) =>
  db.deleteFrom('sender_group').where('source_id', '=', p('sourceId')),
)

const bodies = statement<object, Pick<HookRequestTable, 'id' | 'body'>>((db) =>
  db.selectFrom('hook_request').select(['id', 'body']).orderBy('id'),
)

describe.each(databaseKinds)('statements on %s', (kind) => {
  test('a row comes back as it went in', async () => {
    const database = await openEmpty(kind)
    const row = group('s', 'it\'s "quoted" \\ {a,b} 🙂', { fingerprint: '{"a":"\\u0041"}\n\t', partial: 1 })
    const stored = await database.transaction(function* () {
      yield* insertRows('sender_group', [row])
      return yield* all(groupsOf, { sourceId: 's', limit: 5 })
    })
    expect(stored).toEqual([row])
  })

  test('any text without NUL comes back, half a surrogate pair as U+FFFD', async () => {
    const database = await openEmpty(kind)
    const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''))
    const halves = fc.constantFrom('\ud800', 'a\udc00b', '\\ud800')
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.record({ group_key: fc.oneof(text, halves), fingerprint: text }), {
          selector: (value) => value.group_key.toWellFormed(),
          maxLength: 20,
        }),
        async (texts) => {
          const rows = texts.map(({ group_key, fingerprint }) => group('s', group_key, { fingerprint }))
          const stored = await database.transaction(
            function* () {
              yield* insertRows('sender_group', rows)
              return yield* all(groupsOf, { sourceId: 's', limit: 100 })
            },
            { rollback: true },
          )
          const expected = rows.map((row) => ({ ...row, group_key: row.group_key.toWellFormed() }))
          expect(new Set(stored)).toEqual(new Set(expected))
        },
      ),
      { numRuns: 50 },
    )
  })

  test('bytes and nulls come back', async () => {
    const database = await openEmpty(kind)
    const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    const stored = await database.transaction(function* () {
      yield* insertRows('hook_request', [
        request('a', body),
        request('b', null),
        request('c', Buffer.alloc(0)),
      ])
      return yield* all(bodies, {})
    })
    expect(stored).toEqual([
      { id: 'a', body },
      { id: 'b', body: null },
      { id: 'c', body: Buffer.alloc(0) },
    ])
  })

  test('more rows and bytes than fit one statement are stored whole', async () => {
    const database = await openEmpty(kind)
    const groups = Array.from({ length: 2_500 }, (_, index) => group('s', `${index}`))
    const requests = Array.from({ length: 6 }, (_, index) =>
      request(`${index}`, Buffer.alloc(1 << 20, index)),
    )
    const [inserted, stored] = await database.transaction(function* () {
      return [yield* insertRows('sender_group', groups), yield* insertRows('hook_request', requests)] as const
    })
    expect([inserted, stored]).toEqual([2_500, 6])
    expect(await database.query(groupsOf, { sourceId: 's', limit: 5_000 })).toHaveLength(2_500)
    const sizes = (await database.query(bodies, {})).map(({ body }) => [body?.length, body?.[0]])
    expect(sizes).toEqual(requests.map((_, index) => [1 << 20, index]))
  })

  test('an insert can leave a row that is there, or replace it', async () => {
    const database = await openEmpty(kind)
    const key = ['source_id', 'group_key'] as const
    const counts = await database.transaction(function* () {
      yield* insertRows('sender_group', [group('s', 'a', { fingerprint: 'first' })])
      const ignored = yield* insertRows('sender_group', [group('s', 'a'), group('s', 'b')], {
        onConflict: { do: 'ignore', columns: key },
      })
      const anyIndex = yield* insertRows('sender_group', [group('s', 'b')], { onConflict: { do: 'ignore' } })
      const replaced = yield* insertRows(
        'sender_group',
        [group('s', 'b', { fingerprint: 'lost' }), group('s', 'b', { fingerprint: 'last' })],
        { onConflict: { do: 'replace', columns: key } },
      )
      return { ignored, anyIndex, replaced }
    })
    expect(counts).toEqual({ ignored: 1, anyIndex: 0, replaced: 1 })
    expect(await database.query(groupsOf, { sourceId: 's', limit: 5 })).toEqual([
      group('s', 'a', { fingerprint: 'first' }),
      group('s', 'b', { fingerprint: 'last' }),
    ])
  })

  test('each value is in its place, whichever others are null', async () => {
    const database = await openEmpty(kind)
    const optional = ['reason', 'message', 'delivery_key', 'incident_id', 'diagnosis', 'slot_at'] as const
    // Every set of them, more than statements are kept for; then rows that differ, in one statement.
    const rows = Array.from({ length: 64 }, (_, set) =>
      Array.from({ length: 4 }, (_, size) => ({
        ...request(`${set}-${size}`, null),
        ...Object.fromEntries(
          optional.map((column, i) => [column, (set >> i) & 1 ? `${column} ${set}` : null]),
        ),
        rule: size < 2 ? null : `rule ${size}`,
        body_text: size % 2 === 0 ? null : `text ${size}`,
      })),
    ).flat()
    const alone = rows.map((row) => [row])
    for (const statements of [alone, [rows.map((row) => ({ ...row, id: `with ${row.id}` }))]]) {
      await database.transaction(function* () {
        for (const some of statements) yield* insertRows('hook_request', some)
      })
    }
    const stored = await database.read.selectFrom('hook_request').selectAll().execute()
    const byId = new Map(stored.map((row) => [row.id, row]))
    for (const row of rows) {
      expect(byId.get(row.id)).toMatchObject(row)
      expect(byId.get(`with ${row.id}`)).toMatchObject({ ...row, id: `with ${row.id}` })
    }
  })

  test('a row that replaces another replaces its values by null as well', async () => {
    const database = await openEmpty(kind)
    const [full, empty] = [{ ...request('a', Buffer.from('body')), reason: 'Why' }, request('a', null)]
    await database.transaction(() => insertRows('hook_request', [full]))
    const onConflict = { do: 'replace', columns: ['project_id', 'id'] } as const
    await database.transaction(() => insertRows('hook_request', [empty], { onConflict }))
    expect(await database.read.selectFrom('hook_request').selectAll().execute()).toMatchObject([empty])
  })

  test('an update sets the given columns of the rows with these keys', async () => {
    const database = await openEmpty(kind)
    const found = await database.transaction(function* () {
      yield* insertRows('sender_group', [group('s', 'a'), group('s', 'b'), group('t', 'a')])
      return yield* updateRows(
        'sender_group',
        [
          { source_id: 's', group_key: 'a', partial: 7 },
          { source_id: 's', group_key: 'a', partial: 1 },
          { source_id: 's', group_key: 'gone', partial: 1 },
        ],
        ['source_id', 'group_key'],
      )
    })
    expect(found).toBe(1)
    expect(await database.query(groupsOf, { sourceId: 's', limit: 5 })).toEqual([
      group('s', 'a', { partial: 1 }),
      group('s', 'b'),
    ])
    expect(await database.query(groupsOf, { sourceId: 't', limit: 5 })).toEqual([group('t', 'a')])
  })

  test('an update finds rows by id unless told otherwise, and can set a value to null', async () => {
    const database = await openEmpty(kind)
    await database.transaction(function* () {
      yield* insertRows('hook_request', [request('a', Buffer.from('x')), request('b', Buffer.from('y'))])
      yield* updateRows('hook_request', [{ id: 'a', body: null }])
    })
    expect(await database.query(bodies, {})).toEqual([
      { id: 'a', body: null },
      { id: 'b', body: Buffer.from('y') },
    ])
  })

  test('a list parameter takes none, one and many values', async () => {
    const database = await openEmpty(kind)
    await database.transaction(function* () {
      yield* insertRows('sender_group', [group('s', 'a'), group('s', 'b,"c"'), group('s', 'd')])
    })
    const keysFound = async (keys: string[]) => {
      const rows = await database.transaction(() => all(groupsByKey, { keys }))
      return rows.map((row) => row.group_key)
    }
    expect(await keysFound([])).toEqual([])
    expect(await keysFound(['b,"c"'])).toEqual(['b,"c"'])
    expect(await keysFound(['d', 'a', ...Array.from({ length: 10_000 }, (_, n) => `${n}`)])).toEqual([
      'a',
      'd',
    ])
  })

  test('a query for each of many parameter sets answers them in order, each with its own limit', async () => {
    const database = await openEmpty(kind)
    const sources = Array.from({ length: 300 }, (_, index) => `s${index}`)
    const answers = await database.transaction(function* () {
      yield* insertRows(
        'sender_group',
        sources.flatMap((source) => [group(source, 'a'), group(source, 'b'), group(source, 'c')]),
      )
      return yield* allForEach(
        groupsOf,
        sources.map((sourceId, index) => ({ sourceId, limit: index % 3 })),
      )
    })
    expect(answers).toEqual(
      sources.map((source, index) => [group(source, 'a'), group(source, 'b')].slice(0, index % 3)),
    )
  })

  test('a query for each set of parameters takes texts, whole numbers and null, and leaves its literals as they are', async () => {
    const database = await openEmpty(kind)
    const echo = statement<
      { text: string | null; n: number | null },
      { said: string | null; n: number | null }
    >(
      (_db, p) =>
        sql`select 'it''s $1: ' || cast(${p('text')} as text) as said, cast(${p('n')} as bigint) as n`,
    )
    const asked = [
      { text: 'a', n: -5_000_000_000 },
      { text: null, n: 2 },
      { text: "b'$2", n: null },
    ]
    expect(await database.transaction(() => allForEach(echo, asked))).toEqual([
      [{ said: "it's $1: a", n: -5_000_000_000 }],
      [{ said: null, n: 2 }],
      [{ said: "it's $1: b'$2", n: null }],
    ])
  })

  test('works side by side get their own answers, however many steps each takes', async () => {
    const database = await openEmpty(kind)
    function* insertAndCount(source: string, keys: string[]) {
      for (const key of keys) yield* insertRows('sender_group', [group(source, key)])
      return (yield* all(groupsOf, { sourceId: source, limit: 10 })).length
    }
    const counts = await database.transaction(() =>
      together(insertAndCount('s', ['a', 'b', 'c']), insertAndCount('t', []), insertAndCount('u', ['a'])),
    )
    expect(counts).toEqual([3, 0, 1])
  })

  test('a change answers how many rows it changed', async () => {
    const database = await openEmpty(kind)
    const removed = await database.transaction(function* () {
      yield* insertRows('sender_group', [group('s', 'a'), group('s', 'b'), group('t', 'a')])
      return yield* run(removeGroups, { sourceId: 's' })
    })
    expect(removed).toBe(2)
  })

  test('counts and sums are numbers', async () => {
    const database = await openEmpty(kind)
    const entry = { project_id: 'p', at: '', kind: 'note', incident_id: null, data: '' }
    await database.transaction(function* () {
      yield* insertRows('log_entry', [
        { ...entry, position: 1 },
        { ...entry, position: 5_000_000_000 },
      ])
    })
    expect(await database.query(totals, {})).toEqual([{ rows: 2, sum: 5_000_000_001 }])
    expect(
      await database.read.selectFrom('log_entry').select('position').orderBy('position').execute(),
    ).toEqual([{ position: 1 }, { position: 5_000_000_000 }])
  })

  test('raw SQL takes parameters too', async () => {
    const database = await openEmpty(kind)
    const double = statement<{ n: number }, { twice: number }>(
      (_db, p) =>
        sql<{
          twice: number
        }>`select 2 * cast(${p('n')} as integer) as twice`,
    )
    expect(await database.query(double, { n: 21 })).toEqual([{ twice: 42 }])
  })
})

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
test.runIf(databaseKinds.includes('postgres'))(
  'PostgreSQL refuses other parameters of a query for each set',
  async () => {
    const database = await openEmpty('postgres')
    const echo = statement<{ value: unknown }, { value: unknown }>(
      (_db, p) => sql`select ${p('value')} as value`,
    )
    for (const value of [1.5, true, ['a'], { a: 1 }, undefined]) {
      const asking = database.transaction(() => allForEach(echo, [{ value: 1 }, { value }]))
      await expect(asking).rejects.toThrow('texts, whole numbers or null')
    }
  },
)

test('SQLite prepares an insert again only once hundreds of others were used', async () => {
  const database = await openEmpty('sqlite')
  const optional = ['reason', 'message', 'delivery_key', 'incident_id', 'diagnosis', 'slot_at', 'rule', 'ip']
  let count = 0
  const insert = (set: number) => {
    const values = optional.map((column, i) => [column, (set >> i) & 1 ? 'value' : null])
    const row = { ...request(`${count++}`, null), rule: null, ...Object.fromEntries(values) }
    return database.transaction(() => insertRows('hook_request', [row]))
  }
  for (let set = 0; set < 256; set++) await insert(set)
  const used = await preparedBy(async () => {
    for (let set = 100; set < 256; set++) await insert(set)
  })
  expect([...used]).toEqual([])
  const forgotten = await preparedBy(async () => void (await insert(0)))
  expect(forgotten.size).toBe(1)
})

test('a work without rows asks for nothing', () => {
  const nothing = runWork(
    (function* () {
      const inserted = yield* insertRows('sender_group', [])
      const updated = yield* updateRows('sender_group', [], ['source_id', 'group_key'])
      return [inserted, updated, yield* allForEach(groupsOf, [])]
    })(),
    () => expect.unreachable(),
  )
  expect(nothing).toEqual([0, 0, []])
})

test('rows with different columns are refused, as values would be lost', () => {
  const rows = [request('a', null), { ...request('b', null), source_id: 'x', slot_at: 'x' }]
  const { slot_at: _, ...fewer } = rows[0]!
  const insert = () => runWork(insertRows('hook_request', [fewer, rows[1]!]), () => expect.unreachable())
  expect(insert).toThrow('Rows of hook_request differ in their columns or their order.')
})

function group(sourceId: string, key: string, more: Partial<SenderGroupTable> = {}): SenderGroupTable {
  return { source_id: sourceId, group_key: key, fingerprint: '', partial: 0, ...more }
}

function request(id: string, body: Buffer | null): Insertable<HookRequestTable> {
  return {
    id,
    project_id: 'p',
    source_id: null,
    received_at: '',
    method: 'POST',
    path: '/',
    ip: null,
    headers: '{}',
    status: 200,
    outcome: 'opened',
    reason: null,
    message: null,
    delivery_key: null,
    incident_id: null,
    slot_at: null,
    slot_kind: null,
    drill: 0,
    event_ids: '[]',
    body_size: body?.length ?? 0,
    body,
  }
}
