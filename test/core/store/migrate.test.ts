import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../../core/store/migrate.ts'
import { type Database, openDatabase, sqlitePath } from '../../../core/store/open-database.ts'
import { type DatabaseKind, databaseKinds, freshDatabase } from '../../support/databases.ts'
import { holdSqlite } from '../../support/hold-sqlite.ts'
import { until } from '../../support/until.ts'

interface Fruit {
  apple: { id: string }
  pear: { id: string }
}

const apple = creates('apple')
const pear = creates('pear')
const broken: Migration = {
  async up(db) {
    await pear.up(db)
    await sql`insert into pear (id) values ('a'), ('a')`.execute(db)
  },
}

describe.each(databaseKinds)('migrating %s', (kind) => {
  test('makes the tables once', async () => {
    const { database } = await open(kind)
    await migrate(database, { '1-apple': apple })
    await migrate(database, { '1-apple': apple })
    expect(await tables(database)).toEqual(['apple'])
    await migrate(database, { '1-apple': apple, '2-pear': pear })
    expect(await tables(database)).toEqual(['apple', 'pear'])
  })

  test('five that start at once make them once', async () => {
    const { url, database } = await open(kind)
    const others = await Promise.all([1, 2, 3, 4].map(() => connect(url)))
    let runs = 0
    const counted: Migration = {
      async up(db) {
        runs++
        await apple.up(db)
      },
    }
    await Promise.all(
      [database, ...others].map((one) => migrate(one, { '1-apple': counted, '2-pear': pear })),
    )
    expect(runs).toBe(1)
    expect(await tables(database)).toEqual(['apple', 'pear'])
  })

  test('one that fails leaves nothing behind, and a corrected one goes through', async () => {
    const { database } = await open(kind)
    await migrate(database, { '1-apple': apple })
    await expect(migrate(database, { '1-apple': apple, '2-pear': broken })).rejects.toThrow(/unique/i)
    expect(await tables(database)).toEqual(['apple'])
    await migrate(database, { '1-apple': apple, '2-pear': pear })
    expect(await tables(database)).toEqual(['apple', 'pear'])
  })

  test('an older program refuses and changes nothing', async () => {
    const { database } = await open(kind)
    await migrate(database, { '1-apple': apple, '2-pear': pear })
    await expect(migrate(database, { '1-apple': apple })).rejects.toThrow(
      'The database was made by a newer Tocsin: its schema is 2-pear, this program knows up to 1-apple. Start the newer program, or restore a backup made before the upgrade (npm run restore).',
    )
    expect(await tables(database)).toEqual(['apple', 'pear'])
  })

  test('says that it waits once others have held it for a second', async () => {
    const { url, database } = await open(kind)
    await migrate(database, { '1-apple': apple })
    let waits = 0
    const release = await hold(url)
    const migrating = migrate(database, { '1-apple': apple, '2-pear': pear }, () => waits++)
    await until('it says that it waits', () => waits > 0)
    await release()
    await migrating
    expect(waits).toBe(1)
    expect(await tables(database)).toEqual(['apple', 'pear'])
    await migrate(database, { '1-apple': apple, '2-pear': pear }, () => waits++)
    expect(waits).toBe(1)
  })

  test('statements see the tables at once', async () => {
    const { database } = await open(kind)
    expect(await database.read.introspection.getTables()).toEqual([])
    await migrate(database, { '1-apple': apple })
    expect(await database.read.selectFrom('apple').selectAll().execute()).toEqual([])
  })
})

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
test.runIf(databaseKinds.includes('postgres'))(
  'one that meets a reader lets others write meanwhile, and goes through after it',
  async () => {
    const { url, database } = await open('postgres')
    await migrate(database, { '1-apple': apple, '2-pear': pear })
    const [reader, writer] = [await client(url), await client(url)]
    await reader.query('begin')
    await reader.query('select from pear')
    let locked = 0
    const locking: Migration = {
      async up(db) {
        await sql`lock table apple in exclusive mode`.execute(db)
        locked++
        await sql`alter table pear add column ripe integer`.execute(db)
      },
    }
    const migrating = migrate(database, { '1-apple': apple, '2-pear': pear, '3-lock': locking })
    await until('the first table is locked', () => locked > 0)
    await writer.query("insert into apple (id) values ('a')")
    await reader.query('commit')
    await migrating
    expect((await reader.query('select id, ripe from pear')).rows).toEqual([])
    expect((await reader.query('select id from apple')).rows).toEqual([{ id: 'a' }])
  },
)

test('a rebuilt table must not leave dangling references on SQLite', async () => {
  const { database } = await open('sqlite')
  const dangling: Migration = {
    async up(db) {
      await apple.up(db)
      await sql`create table worm (apple_id text references apple (id))`.execute(db)
      await sql`insert into worm values ('eaten')`.execute(db)
    },
  }
  await expect(migrate(database, { '1-worm': dangling })).rejects.toThrow('1 dangling references')
  expect(await tables(database)).toEqual([])
})

function creates(table: string): Migration {
  return {
    async up(db: Kysely<unknown>) {
      await db.schema
        .createTable(table)
        .addColumn('id', 'text', (column) => column.primaryKey())
        .execute()
    },
  }
}

async function tables(database: Database<Fruit>): Promise<string[]> {
  const found = await database.read.introspection.getTables()
  return found.map((table) => table.name).sort()
}

async function open(kind: DatabaseKind): Promise<{ database: Database<Fruit>; url: string }> {
  const { url, dispose } = await freshDatabase(kind)
  onTestFinished(dispose)
  return { database: await connect(url), url }
}

async function connect(url: string): Promise<Database<Fruit>> {
  const database = await openDatabase<Fruit>(url)
  onTestFinished(() => database.close())
  return database
}

/** Holds what a migration needs, as another process would. Answers how to give it back. */
async function hold(url: string): Promise<() => void | Promise<void>> {
  const path = sqlitePath(url)
  if (path !== undefined) return holdSqlite(path)
  const holder = await client(url)
  await holder.query('begin')
  await holder.query('lock table kysely_migration')
  return async () => void (await holder.query('commit'))
}

async function client(url: string): Promise<pg.Client> {
  const connected = new pg.Client(url)
  await connected.connect()
  onTestFinished(() => connected.end())
  return connected
}
