import { randomBytes } from 'node:crypto'
import { type DatabaseKind, freshPostgres, freshSqlite } from '../support/fresh-database.ts'
import { type Random, seeded } from '../support/random.ts'
import { startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'

/** What a fault has at hand while it runs: databases, processes, chance, and somebody to clean up. */
export interface World {
  readonly kind: DatabaseKind
  readonly random: Random
  /** On demand times count; beside other tests they say more about the machine than about Tocsin. */
  readonly isTimed: boolean
  /** How far it is. */
  say(line: string): void
  /** Runs when the fault is over, the last one first. */
  afterwards(run: () => unknown): void
  /** Address of an empty database. */
  newDatabase(): Promise<string>
  /** A process on a database; all of one world have the same keys. */
  start(databaseUrl: string, env?: Record<string, string>): Promise<TocsinProcess>
}

export interface WorldOptions {
  kind: DatabaseKind
  seed: number
  isTimed: boolean
  say: (line: string) => void
  /** A server to make databases on; null where there is none. */
  postgresUrl: string | null
}

export async function inWorld<T>(options: WorldOptions, run: (world: World) => Promise<T>): Promise<T> {
  const { kind, seed, isTimed, say, postgresUrl } = options
  const cleanUp: (() => unknown)[] = []
  const afterwards = (clean: () => unknown) => void cleanUp.unshift(clean)
  const keys = {
    TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
    TOCSIN_ADMIN_KEY: randomBytes(24).toString('hex'),
  }
  const newDatabase = async () => {
    if (kind === 'postgres' && postgresUrl === null) throw new Error('There is no PostgreSQL here.')
    const { url, dispose } = kind === 'postgres' ? await freshPostgres(postgresUrl!) : await freshSqlite()
    afterwards(dispose)
    return url
  }
  const start = async (databaseUrl: string, env: Record<string, string> = {}) => {
    const tocsin = await startTocsin({ databaseUrl, env: { ...keys, ...env } })
    afterwards(() => tocsin.dispose())
    return tocsin
  }

  try {
    return await run({ kind, random: seeded(seed), isTimed, say, afterwards, newDatabase, start })
  } finally {
    for (const clean of cleanUp) await clean()
  }
}
