import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createIds } from '../../../core/ids.ts'
import { insertRows, run, statement, updateRows } from '../../../core/store/statement.ts'
import { databaseKinds } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { HOUR, notification, type TestProject, testTocsin } from '../open-test-tocsin.ts'

const dropIncident = statement<{ id: string }, unknown>((db, p) =>
  db.deleteFrom('incident').where('id', '=', p('id')),
)

/** Entries of a project's log in one chunk. */
const CHUNK = 1024

describe.each(databaseKinds)('an incident whose rows are in several chunks, on %s', (kind) => {
  const t = testTocsin(kind)

  /** As if so much had been written in the project before. */
  async function jumpTo(project: TestProject, position: number): Promise<void> {
    await t.database.transaction(() => updateRows('project', [{ id: project.id, log_position: position }]))
  }

  async function spread() {
    const project = await t.project()
    const source = await project.source()
    for (const [chunk, id] of ['a', 'b', 'c', 'd', 'e', 'f'].entries()) {
      // Two alerts on this side of an edge, two on the other.
      await jumpTo(project, chunk * CHUNK + CHUNK - 3)
      for (const part of [1, 2, 3, 4]) await source.send({ id: `${id}${part}`, title: `Alert ${id}${part}` })
    }
    const [incident] = await project.incidents()
    return { project, source, incident: incident! }
  }

  /** All that pages of this size show, one after the other. */
  async function walk<T>(page: (cursor: string | undefined) => Promise<{ rows: T[]; next: string | null }>) {
    const found: T[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const { rows, next } = await page(cursor)
      found.push(...rows)
      cursor = next
    }
    return found
  }

  const sent = ['a', 'b', 'c', 'd', 'e', 'f'].flatMap((id) =>
    [1, 2, 3, 4].map((part) => `Alert ${id}${part}`),
  )

  test.each([1, 3, 100])('is shown whole and in order, %i a page', async (limit) => {
    const { project, incident } = await spread()
    const events = await walk(async (cursor) => {
      const { events, nextCursor } = await t.admin.listIncidentEvents(project.id, incident.id, {
        limit,
        cursor,
      })
      return { rows: events, next: nextCursor }
    })
    expect(events.map(({ title }) => title)).toEqual(sent.toReversed())
    const entries = await walk(async (cursor) => {
      const { timeline, nextCursor } = await t.admin.listTimeline(project.id, incident.id, { limit, cursor })
      return { rows: timeline, next: nextCursor }
    })
    expect(entries.flatMap(({ kind, eventIds }) => (kind === 'context' ? eventIds : []))).toEqual(
      events.map(({ id }) => id).toReversed(),
    )
    const signals = await walk(async (cursor) => {
      const page = await t.admin.listIncidentSignals(project.id, incident.id, { limit, cursor })
      return { rows: page.signals, next: page.nextCursor }
    })
    expect(signals.map(({ title }) => title).toSorted()).toEqual(sent)
    expect(incident).toMatchObject({ signalCount: 24, eventCount: 24 })
  })

  test('tells its post-mortem of all of them', async () => {
    const { project, incident } = await spread()
    const { postmortem } = await t.admin.draftPostmortem(project.id, incident.id, {})
    for (const title of [sent[0], sent.at(-1)]) expect(postmortem.markdown).toContain(title)
    expect(postmortem.markdown).toContain('E25: event')
  })

  test('has what was said by hand in its place, and resolves whole', async () => {
    const { project, source, incident } = await spread()
    const { entry } = await t.admin.addNote(project.id, incident.id, { text: 'Looked at it' })
    await jumpTo(project, 9 * CHUNK)
    await source.send({ id: 'last', title: 'Last' })
    const timeline = await project.timeline(incident.id)
    expect(timeline.slice(-2).map(({ kind }) => kind)).toEqual(['note', 'context'])
    expect(timeline.at(-2)!.id).toBe(entry.id)
    await t.admin.resolveIncident(project.id, incident.id, {})
    expect(await project.incident(incident.id)).toMatchObject({ status: 'resolved', signalCount: 25 })
    await t.admin.reopenIncident(project.id, incident.id, {})
    const { signals } = await t.admin.listIncidentSignals(project.id, incident.id, { limit: 100 })
    expect(signals.map(({ status }) => status)).toEqual(Array(25).fill('firing'))
  })

  test('shows what a program of before goes on to write, which knows no chunks', async () => {
    const { project, incident } = await spread()
    const newId = createIds(t.clock.now, (size) => randomBytes(size))
    const of = newId()
    const tables = await t.tables()
    const rowsOf = (table: 'event' | 'timeline_entry' | 'occurrence' | 'signal' | 'incident') =>
      tables.get(table)!.filter((row) => row.incident_id === incident.id || row.id === incident.id)
    for (const incidentId of [of, incident.id]) {
      await t.database.transaction(function* () {
        if (incidentId === of) {
          const { chunk: _, occurrence_chunk: __, ...row } = rowsOf('incident')[0]!
          yield* insertRows('incident', [{ ...row, id: of, number: 2, accepts_new: null } as never])
        }
        const signal = newId()
        yield* insertRows('signal', [{ ...rowsOf('signal')[0]!, id: signal, key: signal } as never])
        for (const table of ['event', 'timeline_entry', 'occurrence'] as const) {
          const { chunk: _, ...row } = rowsOf(table).find(({ sequence }) => sequence == null)!
          const unlike =
            table === 'event' ? { event_key: null } : table === 'occurrence' ? { signal_id: signal } : {}
          yield* insertRows(table, [{ ...row, id: newId(), incident_id: incidentId, ...unlike } as never])
        }
      })
    }
    expect(await project.events(of)).toHaveLength(1)
    expect(await project.timeline(of)).toHaveLength(1)
    for (const [id, count] of [
      [of, 1],
      [incident.id, 25],
    ] as const) {
      const { signals } = await t.admin.listIncidentSignals(project.id, id, { limit: 100 })
      expect(signals).toHaveLength(count)
    }
    const { events } = await t.admin.listIncidentEvents(project.id, incident.id, { limit: 100 })
    expect(events).toHaveLength(25)
    await t.admin.addNote(project.id, of, { text: 'By a program that knows them' })
    expect(await project.timeline(of)).toHaveLength(2)
  })

  test('may be noted before it is there', async () => {
    const { incident } = await spread()
    const row = (await t.tables()).get('incident')!.find(({ id }) => id === incident.id)!
    const id = createIds(t.clock.now, (size) => randomBytes(size))()
    await t.database.transaction(function* () {
      yield* insertRows('incident_chunk', [{ incident_id: id, chunk: 0 }])
      yield* insertRows('occurrence_chunk', [{ incident_id: id, chunk: 0 }])
      yield* insertRows('incident', [{ ...row, id, number: 2, accepts_new: null } as never])
    })
    for (const table of ['incident_chunk', 'occurrence_chunk']) {
      const noted = (await t.tables()).get(table)!.filter(({ incident_id }) => incident_id === id)
      expect(noted).toEqual([{ incident_id: id, chunk: 0 }])
    }
    // As a program of before deletes one, which knows nothing of chunks.
    await t.database.transaction(() => run(dropIncident, { id }))
    for (const table of ['incident_chunk', 'occurrence_chunk'])
      expect((await t.tables()).get(table)!.filter(({ incident_id }) => incident_id === id)).toEqual([])
  })

  test('goes with its project, of however many chunks it is', async () => {
    const { project, incident } = await spread()
    const { incident: other } = await (await (await t.project()).source()).send({ id: 'o', title: 'Other' })
    const many = Array.from({ length: 500 }, (_, i) => ({ incident_id: incident.id, chunk: 100 + i }))
    await t.database.transaction(function* () {
      yield* insertRows('incident_chunk', many)
      yield* insertRows('occurrence_chunk', many)
    })
    await t.admin.deleteProject(project.id)
    await until('nothing of it is left', async () => {
      const tables = await t.tables()
      const left = ['incident', 'timeline_entry', 'event', 'occurrence'].flatMap(
        (table) => tables.get(table)!,
      )
      return left.every((row) => row.project_id !== project.id)
    })
    const tables = await t.tables()
    for (const table of ['incident_chunk', 'occurrence_chunk']) {
      const chunks = tables.get(table)!
      expect(chunks.filter((row) => row.incident_id === incident.id)).toEqual([])
      expect(chunks.filter((row) => row.incident_id === other!.id)).not.toEqual([])
    }
  })

  test('takes in a recovery that waited since an earlier chunk', async () => {
    const project = await t.project()
    const source = await project.source()
    await jumpTo(project, CHUNK)
    await source.send({ id: 'x', title: 'X', action: 'resolve', time: t.clock.at(-1000) })
    await jumpTo(project, 3 * CHUNK)
    t.clock.pass(1000)
    const { incident } = await source.send({ id: 'x', title: 'X', time: t.clock.at(-HOUR) })
    const events = await project.events(incident!.id)
    expect(events.map(({ kind, outcome }) => [kind, outcome])).toEqual([
      ['recover', 'recovered'],
      ['fire', 'late'],
    ])
    const { signals } = await t.admin.listIncidentSignals(project.id, incident!.id, {})
    expect(signals).toMatchObject([{ title: 'X', status: 'recovered' }])
    const [found] = (await project.incidents()).filter(({ id }) => id === incident!.id)
    expect(found).toMatchObject({ eventCount: 2, status: 'resolved' })
  })
})

describe('what a batch writes on SQLite', () => {
  const t = testTocsin('sqlite')

  test('is a few pages, of however many incidents it is', async () => {
    const project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source('alertmanager')
    const path = t.url.slice('sqlite:'.length)
    const round = async () => {
      t.clock.pass(200)
      for (let at = 0; at < 200; at += 50) {
        const alerts = Array.from({ length: 50 }, (_, i) => ({
          fingerprint: `${at + i}`,
          startsAt: t.clock.at(),
        }))
        await source.send(notification(alerts))
      }
    }
    for (let times = 0; times < 100; times++) await round()
    const other = new Sqlite(path)
    other.pragma('wal_checkpoint(TRUNCATE)')
    other.close()
    for (let times = 0; times < 2; times++) await round()
    // Each with 24 bytes in front: https://sqlite.org/fileformat2.html#walformat
    const pages = statSync(`${path}-wal`).size / (8192 + 24)
    expect(pages).toBeGreaterThan(0)
    // With indexes by incident alone, of which there were three more, it is 4.9; with one of them 4; with one by signal 2.6.
    expect(pages / 400).toBeLessThan(2)
  })
})

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
describe.runIf(databaseKinds.includes('postgres'))('what a batch writes on PostgreSQL', () => {
  const t = testTocsin('postgres')

  test.each(['incident', 'signal'])('does not make the table %s grow', async (table) => {
    const project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source('alertmanager')
    const size = sql<{ bytes: string }>`select pg_relation_size(${table}) as bytes`
    const bytes = async () => Number((await size.execute(t.database.read)).rows[0]!.bytes)
    const round = () => {
      t.clock.pass(60_000)
      const startsAt = t.clock.at()
      const alerts = Array.from({ length: 100 }, (_, i) => ({ fingerprint: `${i}`, startsAt }))
      return source.send(notification(alerts))
    }
    await round()
    const first = await bytes()
    for (let times = 0; times < 30; times++) await round()
    expect(await project.incidents()).toHaveLength(100)
    // Without room in its pages it is ten times as large, and more.
    expect((await bytes()) / first).toBeLessThan(2)
  })
})
