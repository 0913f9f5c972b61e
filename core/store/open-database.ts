import type { Expression, Kysely, RawBuilder } from 'kysely'
import { openPostgres } from './postgres.ts'
import type { Schema } from './schema.ts'
import { openSqlite } from './sqlite.ts'
import type { Statement, Work } from './statement.ts'

export type DatabaseKind = 'sqlite' | 'postgres'

/** A database, whichever kind. What the two kinds do differently is in sqlite.ts and postgres.ts. */
export interface Database<S = Schema> {
  readonly kind: DatabaseKind
  /** Queries of the API, on connections of their own that cannot write. */
  readonly read: Kysely<S>
  /** Runs a statement that reads, on those same connections: compiled once, for what every request asks. */
  query<P extends object, R>(statement: Statement<P, R>, params: P): Promise<R[]>
  /**
   * Runs a work in one transaction and resolves after the commit; rolls back when it throws, or anyway with `rollback`
   * (a dry run). On SQLite the whole transaction happens before this returns, so it never spans an `await` and two
   * connections of one thread cannot block each other.
   */
  transaction<T>(work: () => Work<T>, options?: { rollback?: boolean }): Promise<T>
  /**
   * Lends a connection without time limits to a migration, alone: other processes wait for their turn. Calls `onWait`
   * once others have held what it needs for a second.
   */
  migrate<T>(run: (db: Kysely<S>) => Promise<T>, onWait?: () => void): Promise<T>
  /** `unavailable`: try later. `retry`: run the same transaction again at once. `fault`: a bug, or broken data. */
  classify(error: unknown): 'retry' | 'unavailable' | 'fault'
  /**
   * Whether the database takes writes. A full disk shows within KEPT_MS; that of PostgreSQL's tables only to those who make
   * one grow.
   */
  ping(): Promise<boolean>
  /** The time, the same for all processes on this database whatever their machines say. */
  now(): Date
  /** Waits for running transactions, then disconnects. */
  close(): Promise<void>
}

/** What a statement needs to know of its database when it is compiled and bound. */
export interface Dialect {
  readonly kind: DatabaseKind
  isAnyOf(column: Expression<unknown>, list: Expression<unknown>): RawBuilder<boolean>
  listValue(list: readonly unknown[]): unknown
}

/**
 * Opens `sqlite:<path>` or `postgres://…` and refuses one that would not keep what it acknowledged. `signal` breaks off
 * waiting for another process's lock on a file, also that of a migration.
 */
export async function openDatabase<S = Schema>(url: string, signal?: AbortSignal): Promise<Database<S>> {
  const path = sqlitePath(url)
  if (path !== undefined) return openSqlite<S>(path, signal)
  if (/^postgres(ql)?:\/\//.test(url)) return openPostgres<S>(url)
  throw new Error('DATABASE_URL must be sqlite:<path>, such as sqlite:data/tocsin.db, or postgres://…')
}

/** The file of a `sqlite:` address; undefined for another kind. */
export function sqlitePath(url: string): string | undefined {
  return url.startsWith('sqlite:') ? url.slice('sqlite:'.length).replace(/^\/\//, '') : undefined
}
