import { statSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import pg from 'pg'

/** Where a server under measurement keeps what it acknowledges, looked at from outside. */
export interface Store {
  count(): Promise<{ events: number; requests: number }>
  /** What it takes on the disk, in bytes, without a log whose size does not grow with what is stored. */
  size(): Promise<number>
  /** The same by table, its indexes included, the dearest first. */
  sizes(): Promise<TableSize[]>
}

export interface TableSize {
  table: string
  bytes: number
  /** Of `bytes`, those of its indexes. */
  indexBytes: number
}

export function sqliteStore(path: string): Store {
  const use = async <T>(read: (db: Sqlite.Database) => T): Promise<T> => {
    const db = new Sqlite(path)
    try {
      return read(db)
    } finally {
      db.close()
    }
  }
  const rows = (db: Sqlite.Database, table: string) =>
    db.prepare<[], number>(`select count(*) from ${table}`).pluck().get()!
  return {
    count: () => use((db) => ({ events: rows(db, 'event'), requests: rows(db, 'hook_request') })),
    size: () =>
      use((db) => {
        db.pragma('wal_checkpoint(TRUNCATE)')
        return statSync(path).size
      }),
    sizes: () =>
      use((db) =>
        db
          .prepare<[], TableSize>(
            `select s.tbl_name as "table", sum(d.pgsize) as bytes,
              sum(iif(s.type = 'index', d.pgsize, 0)) as indexBytes
              from dbstat d join sqlite_schema s on s.name = d.name where d.aggregate = 1
              group by s.tbl_name order by bytes desc`,
          )
          .all(),
      ),
  }
}

export function postgresStore(url: string): Store {
  const use = async <T extends object>(query: string): Promise<T[]> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      return (await client.query<T>(query)).rows
    } finally {
      await client.end()
    }
  }
  return {
    count: async () =>
      (
        await use<{ events: number; requests: number }>(
          `select (select count(*)::int from event) as events, (select count(*)::int from hook_request) as requests`,
        )
      )[0]!,
    size: async () =>
      (await use<{ size: number }>('select pg_database_size(current_database())::float8 as size'))[0]!.size,
    sizes: () =>
      use<TableSize>(
        `select relname as "table", pg_total_relation_size(oid)::float8 as bytes,
          pg_indexes_size(oid)::float8 as "indexBytes"
          from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 2 desc`,
      ),
  }
}
