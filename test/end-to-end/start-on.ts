import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type DatabaseKind, freshDatabase } from '../support/databases.ts'
import { startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'

/** The real process on a fresh database of this kind, both gone when the test is over. */
export async function startOn(kind: DatabaseKind, env: Record<string, string> = {}): Promise<TocsinProcess> {
  if (kind === 'sqlite') return started(await startTocsin({ env }))

  const [one] = await startSeveral(1, env)
  return one!
}

/** Processes that share one fresh database. */
export async function startSeveral(
  count: number,
  env: Record<string, string> = {},
  kind: DatabaseKind = 'postgres',
  /** What only one of them has in its environment, by its place. */
  own: (place: number) => Record<string, string> = () => ({}),
): Promise<TocsinProcess[]> {
  const database = await freshDatabase(kind)
  // Registered first, so that it runs last.
  onTestFinished(() => database.dispose())

  const shared = {
    TOCSIN_SECRET_KEY: randomBytes(32).toString('base64'),
    TOCSIN_ADMIN_KEY: randomBytes(24).toString('hex'),
    ...env,
  }
  const processes: TocsinProcess[] = []
  for (let place = 0; place < count; place++) {
    const env = { ...shared, ...own(place) }
    processes.push(started(await startTocsin({ databaseUrl: database.url, env })))
  }
  return processes
}

function started(tocsin: TocsinProcess): TocsinProcess {
  onTestFinished(() => tocsin.dispose())
  return tocsin
}
