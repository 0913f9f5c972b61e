/**
 * Variant: the product on a disk that is so many milliseconds slower. Each transaction stands still that long before it
 * commits, event loop and all, as it would in fdatasync.
 */
import { randomBytes } from 'node:crypto'
import { openOn } from '../../core/open-tocsin.ts'
import { migrate } from '../../core/store/migrate.ts'
import { migrations } from '../../core/store/migrations/index.ts'
import { openDatabase } from '../../core/store/open-database.ts'
import type { Work } from '../../core/store/statement.ts'
import { announceTocsin } from './announce-tocsin.ts'

const databaseUrl = process.env.DATABASE_URL!
const commitMs = Number(process.env.TOCSIN_BENCH_COMMIT_MS)
const still = new Int32Array(new SharedArrayBuffer(4))

const database = await openDatabase(databaseUrl)
await migrate(database, migrations)

function* slowed<T>(work: Work<T>): Work<T> {
  const value = yield* work
  if (commitMs > 0) Atomics.wait(still, 0, 0, commitMs)
  return value
}

const tocsin = await openOn(
  { ...database, transaction: (work, options) => database.transaction(() => slowed(work()), options) },
  { databaseUrl, secretKey: randomBytes(32), publicUrl: 'http://127.0.0.1', defaultPlan: 'unlimited' },
)
await announceTocsin(tocsin)
