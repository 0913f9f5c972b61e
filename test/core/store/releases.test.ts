import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiIncident, ApiProject, ApiSource } from '@tocsin/core'
import Sqlite from 'better-sqlite3'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { migrate } from '../../../core/store/migrate.ts'
import { migrations } from '../../../core/store/migrations/index.ts'
import { openDatabase } from '../../../core/store/open-database.ts'
import { type Child, type Exit, inRepository, pinnedNode, startChild } from '../../support/child.ts'
import { type DatabaseKind, databaseKinds, freshDatabase } from '../../support/databases.ts'
import { printFigure } from '../../support/figure.ts'
import { send, startTocsin } from '../../support/tocsin-process.ts'
import {
  EVENT_TABLES,
  findLost,
  fingerprint,
  loadRelease,
  openHands,
  type Prints,
  releases,
} from './releases/load.ts'
import { SECRET_KEY } from './releases/secret-key.ts'

// At full size: npm run promises -- T27
const EVENTS = Number(process.env.TOCSIN_MIGRATION_EVENTS ?? 0)
const KILLS = Number(process.env.TOCSIN_MIGRATION_KILLS ?? 3)
/** Rows of a large database; without this, there is no such test. */
const MOST_ROWS = Number(process.env.TOCSIN_MIGRATION_ROWS ?? 0)
const MOST_SECONDS = 60
/** Of the incident of the kept rows. */
const TIMELINE = 9

const [oldest] = releases
const latest = Object.keys(migrations).toSorted().at(-1)!

test('a released schema is what its migrations still make', async () => {
  for (const release of releases) {
    const made = await fresh('sqlite')
    const database = await openDatabase(made)
    await migrate(
      database,
      Object.fromEntries(Object.entries(migrations).filter(([name]) => name <= release)),
    )
    await database.close()
    const kept = await fresh('sqlite')
    const file = new Sqlite(kept.slice('sqlite:'.length))
    file.exec(readFileSync(join(import.meta.dirname, 'releases', `${release}.sql`), 'utf8'))
    file.close()
    expect(await shape(made), release).toEqual(await shape(kept))
  }
})

test('an upgrade brings a timeline that an earlier one left as it was into the form of all', async () => {
  const url = await fresh('sqlite')
  await loadRelease(url, '0012-earlier-body')
  const file = new Sqlite(url.slice('sqlite:'.length))
  file.exec(`
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
    insert into timeline_entry (id, project_id, incident_id, at, kind, sequence, actor, text, request_id, event_ids)
    select 'e' || i, 'p', 'i', '2026-11-01T10:00:00.000Z', 'context', null, '{}', '', null, '[]' from n`)
  await upgrade(url)
  expect(file.prepare('select count(*) from timeline_entry').pluck().get()).toBe(300_000 + TIMELINE)
  file.close()
  const made = await fresh('sqlite')
  await upgrade(made)
  expect(await shape(url)).toEqual(await shape(made))
})

describe.each(databaseKinds)('an upgrade on %s', (kind) => {
  const upgrades: { release: string; rows: number; values: number; seconds: number }[] = []
  afterAll(() => {
    if (upgrades.length === 0) return
    const slowest = upgrades.toSorted((one, other) => other.seconds - one.seconds)[0]!
    const list = upgrades.map(({ release, rows, values }) => `${release} ${rows} rows, ${values} values`)
    printFigure(
      `${kind}: kept from each schema that was released, compared by hash: ${list.join('; ')}; ` +
        `slowest upgrade ${slowest.seconds.toFixed(2)} s (${slowest.release})`,
    )
  })

  test.each(releases)('from %s keeps every row and every value', async (release) => {
    const url = await fresh(kind)
    await loadRelease(url, release, EVENTS)
    const before = await fingerprint(url)
    const seconds = await upgrade(url)
    expect(findLost(before, await fingerprint(url))).toEqual([])
    upgrades.push({ release, ...sizeOf(before), seconds })
  })

  if (MOST_ROWS > 0) {
    test(`of ${MOST_ROWS} rows ends within ${MOST_SECONDS} s`, async () => {
      const url = await fresh(kind)
      await loadRelease(url, oldest!, Math.ceil(MOST_ROWS / EVENT_TABLES.length))
      const before = await countRows(url)
      const seconds = await upgrade(url)
      const after = await countRows(url)
      expect(Object.fromEntries([...before].map(([table]) => [table, after.get(table)]))).toEqual(
        Object.fromEntries(before),
      )
      expect(seconds).toBeLessThan(MOST_SECONDS)
      const rows = [...before.values()].reduce((sum, count) => sum + count, 0)
      printFigure(`${kind}: ${rows} rows of ${oldest} upgraded in ${seconds.toFixed(2)} s`)
    })
  }

  test('that is killed at any point is completed by the next start', {
    timeout: 60_000 + KILLS * 10_000,
  }, async () => {
    const counted = await run(await loaded(kind))
    const { statements } = JSON.parse(counted.said) as { statements: number }
    expect(statements).toBeGreaterThan(20)
    for (let kill = 0; kill < KILLS; kill++) {
      // The last one is after all statements, before the commit.
      const at = 1 + Math.round((kill * statements) / Math.max(1, KILLS - 1))
      const url = await loaded(kind)
      const before = await fingerprint(url)
      expect((await run(url, { KILL_AT: `${at}` })).exit).toEqual({ code: null, signal: 'SIGKILL' })
      expect([...(await fingerprint(url))], `nothing is half done at ${at}`).toEqual([...before])
      const again = await run(url)
      expect(JSON.parse(again.said).migrated).toBe(Object.keys(migrations).length - 1)
      expect(findLost(before, await fingerprint(url))).toEqual([])
    }
  })

  test('by five processes that start at once is done by one, and all come up', async () => {
    const url = await loaded(kind)
    const before = await fingerprint(url)
    const runs = await Promise.all([1, 2, 3, 4, 5].map(() => run(url)))
    expect(runs.map(({ exit }) => exit.code, runs.map(({ said }) => said).join())).toEqual([0, 0, 0, 0, 0])
    expect(runs.map(({ said }) => JSON.parse(said).migrated).toSorted()).toEqual([
      0,
      0,
      0,
      0,
      Object.keys(migrations).length - 1,
    ])
    expect(findLost(before, await fingerprint(url))).toEqual([])
  })

  test('is one that the program goes on from: it shows what was and takes what comes', async () => {
    const url = await fresh(kind)
    await loadRelease(url, oldest!)
    const tocsin = await startTocsin({
      databaseUrl: url,
      env: { TOCSIN_SECRET_KEY: SECRET_KEY, TOCSIN_ADMIN_KEY: 'an-admin-key-after-an-upgrade' },
    })
    onTestFinished(() => tocsin.dispose())
    const { projects } = await tocsin.api<{ projects: ApiProject[] }>('GET', '/projects')
    const project = `/projects/${projects[0]!.id}`
    const { incidents } = await tocsin.api<{ incidents: ApiIncident[] }>('GET', `${project}/incidents`)
    expect(incidents.map(({ title }) => title)).toEqual(['Latency'])
    const incident = `${project}/incidents/${incidents[0]!.id}`
    const shown = { timeline: TIMELINE, events: 5, signals: 3 }
    for (const [list, count] of Object.entries(shown)) {
      const page = await tocsin.api<Record<string, unknown[]>>('GET', `${incident}/${list}`)
      expect(page[list], list).toHaveLength(count)
    }

    const { sources } = await tocsin.api<{ sources: (ApiSource & { secret: string })[] }>(
      'GET',
      `${project}/sources`,
    )
    const source = sources.find(({ adapter }) => adapter === 'generic')!
    const path = new URL(source.url).pathname
    const answer = await send(
      { url: `${tocsin.address}${path}`, secret: source.secret },
      { title: 'After the upgrade' },
    )
    expect(answer).toMatchObject({ status: 200, body: { success: true } })
  })

  test('is not undone: an older program says which version it needs, and changes nothing', async () => {
    const url = await loaded(kind)
    await upgrade(url)
    const hands = await openHands(url)
    await hands.run(
      "insert into kysely_migration (name, timestamp) values ('9999-later', '2026-11-01T10:00:00.000Z')",
    )
    await hands.close()
    const before = await fingerprint(url)
    const child = await startChild(pinnedNode, [inRepository('ingest/main.ts')], {
      cwd: inRepository('test'),
      env: { DATABASE_URL: url, TOCSIN_PORT: '0', TOCSIN_SECRET_KEY: SECRET_KEY },
    })
    expect((await child.exited).code).toBe(1)
    expect(child.stdout()).toBe('')
    expect(child.stderr()).toBe(
      `Tocsin did not start: The database was made by a newer Tocsin: its schema is 9999-later, this program knows up to ${latest}. Start the newer program, or restore a backup made before the upgrade (npm run restore).\n`,
    )
    expect([...(await fingerprint(url))]).toEqual([...before])
  })
})

async function fresh(kind: DatabaseKind): Promise<string> {
  const { url, dispose } = await freshDatabase(kind)
  onTestFinished(dispose)
  return url
}

/** In this process; answers how many seconds it took. */
async function upgrade(url: string): Promise<number> {
  const database = await openDatabase(url)
  const start = performance.now()
  await migrate(database, migrations)
  const seconds = (performance.now() - start) / 1000
  await database.close()
  return seconds
}

/** A database of the oldest release. */
async function loaded(kind: DatabaseKind): Promise<string> {
  const url = await fresh(kind)
  await loadRelease(url, oldest!)
  return url
}

async function run(url: string, env: Record<string, string> = {}): Promise<{ exit: Exit; said: string }> {
  const child: Child = await startChild(
    pinnedNode,
    [inRepository('test/core/store/releases/migrate-child.ts')],
    {
      cwd: inRepository('.'),
      env: { URL: url, ...env },
    },
  )
  return { exit: await child.exited, said: child.stdout() + child.stderr() }
}

async function countRows(url: string): Promise<Map<string, number>> {
  const hands = await openHands(url)
  const counts = new Map<string, number>()
  for (const table of await hands.tables()) {
    const [row] = await hands.rows(`select count(*) as count from "${table}"`)
    counts.set(table, Number(row!.count))
  }
  await hands.close()
  return counts
}

function sizeOf(prints: Prints): { rows: number; values: number } {
  const tables = [...prints.values()].map((columns) => ({
    rows: columns.get('rows')!,
    // One of them is the number of rows.
    columns: columns.size - 1,
  }))
  return {
    rows: tables.reduce((sum, { rows }) => sum + rows, 0),
    values: tables.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
  }
}

/** Columns and indexes, whatever their statements look like. */
async function shape(url: string): Promise<unknown> {
  const hands = await openHands(url)
  const shapes = await Promise.all(
    (await hands.tables()).toSorted().map(async (table) => ({
      table,
      columns: await hands.rows(`pragma table_info("${table}")`),
      indexes: await Promise.all(
        (await hands.rows(`pragma index_list("${table}")`)).map(async ({ seq: _, ...index }) => ({
          ...index,
          columns: await hands.rows(`pragma index_info("${index.name}")`),
        })),
      ),
      triggers: await hands.rows(
        `select sql from sqlite_schema where type = 'trigger' and tbl_name = '${table}' order by name`,
      ),
    })),
  )
  await hands.close()
  return shapes
}
