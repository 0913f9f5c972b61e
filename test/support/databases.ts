import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { scratchDir } from './scratch.ts'

export type DatabaseKind = 'sqlite' | 'postgres'

export interface FreshDatabase {
  /** As DATABASE_URL takes it. */
  url: string
  dispose(): Promise<void>
}

/** Every database this run can test on; postgres-server.ts has said why where PostgreSQL is left out. */
export const databaseKinds: readonly DatabaseKind[] =
  inject('postgresUrl') === null ? ['sqlite'] : ['sqlite', 'postgres']

/** An empty database of its own for one test or one file. */
export async function freshDatabase(kind: DatabaseKind): Promise<FreshDatabase> {
  return kind === 'sqlite' ? freshSqlite() : freshPostgres()
}

async function freshSqlite(): Promise<FreshDatabase> {
  const dir = await scratchDir()
  return { url: `sqlite:${join(dir.path, 'tocsin.db')}`, dispose: async () => dir.remove() }
}

async function freshPostgres(): Promise<FreshDatabase> {
  const serverUrl = inject('postgresUrl')
  if (serverUrl === null) throw new Error('There is no PostgreSQL here: take the kinds from databaseKinds.')

  const name = `tocsin_${randomBytes(8).toString('hex')}`
  await onServer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, dispose: () => onServer(serverUrl, `drop database ${name} with (force)`) }
}

async function onServer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
