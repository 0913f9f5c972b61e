import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import type { DatabaseKind } from '../../core/store/open-database.ts'
import { scratchDir } from './scratch.ts'

export type { DatabaseKind }

export interface FreshDatabase {
  /** As DATABASE_URL takes it. */
  url: string
  dispose(): Promise<void>
}

export async function freshSqlite(): Promise<FreshDatabase> {
  const dir = await scratchDir()
  return { url: `sqlite:${join(dir.path, 'tocsin.db')}`, dispose: async () => dir.remove() }
}

/** An empty database on this server. */
export async function freshPostgres(serverUrl: string): Promise<FreshDatabase> {
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
