import { globSync } from 'node:fs'
import { dirname } from 'node:path'
import { leaveOut } from './leave-out.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

export interface DumpablePostgres extends PostgresServer {
  /** The folder with its `pg_dump` and `pg_restore`. */
  programs: string
}

/**
 * A fresh server that can be backed up: pg_dump takes none newer than itself, so both are of this machine. Undefined where
 * it has none, which is said; throws in CI.
 */
export async function startDumpable(): Promise<DumpablePostgres | undefined> {
  const programs = globSync('/usr/lib/postgresql/*/bin/pg_dump').map((path) => dirname(path))[0]
  if (programs !== undefined) return { ...(await startPostgres({ programs })), programs }
  leaveOut('Tests of backups of PostgreSQL are left out: install a server with pg_dump (Debian: postgresql).')
  return undefined
}
