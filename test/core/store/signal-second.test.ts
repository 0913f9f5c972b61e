import { describe, expect, test } from 'vitest'
import { insertRows, run, statement, updateRows } from '../../../core/store/statement.ts'
import { databaseKinds } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { HOUR, notification, type TestProject, testTocsin } from '../open-test-tocsin.ts'

const forgetEmptySeconds = statement<object, unknown>((db) =>
  db
    .deleteFrom('signal_second')
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('occurrence')
            .select('id')
            .whereRef('occurrence.signal_id', '=', 'signal_second.signal_id')
            .whereRef('occurrence.fired_second', '=', 'signal_second.second'),
        ),
      ),
    ),
)

const dropSignal = statement<{ signal: string }, unknown>((db, p) =>
  db.deleteFrom('signal').where('id', '=', p('signal')),
)
const dropOccurrences = statement<{ signal: string }, unknown>((db, p) =>
  db.deleteFrom('occurrence').where('signal_id', '=', p('signal')),
)

describe.each(databaseKinds)('occurrences of a signal, on %s', (kind) => {
  const t = testTocsin(kind)

  const secondOf = (time: unknown) => Math.floor(Date.parse(String(time)) / 1000)

  async function occurrencesOf(project: TestProject) {
    const rows = (await t.tables()).get('occurrence')!
    return rows.filter(({ project_id }) => project_id === project.id)
  }

  /** Leaves some as programs wrote them that knew no seconds; on SQLite gives the others theirs. */
  async function asOfBefore(project: TestProject, isOfBefore: (index: number) => boolean): Promise<void> {
    const rows = (await occurrencesOf(project)).map((row, index) => ({
      id: String(row.id),
      signal_id: String(row.signal_id),
      fired_second: isOfBefore(index) || kind === 'postgres' ? null : secondOf(row.fired_at),
    }))
    const seconds = rows.flatMap(({ signal_id, fired_second: second }) =>
      second === null ? [] : [{ signal_id, second }],
    )
    await t.database.transaction(function* () {
      yield* updateRows('occurrence', rows)
      yield* run(forgetEmptySeconds, {})
      yield* insertRows('signal_second', seconds, { onConflict: { do: 'ignore' } })
    })
  }

  /** What SQLite finds none of by their signal. */
  async function lost(): Promise<unknown[]> {
    const tables = await t.tables()
    const seconds = new Set(
      tables.get('signal_second')!.map(({ signal_id, second }) => `${signal_id} ${second}`),
    )
    return tables
      .get('occurrence')!
      .filter(({ signal_id, fired_second: at }) => at !== null && !seconds.has(`${signal_id} ${at}`))
  }

  // Several in a second, at its edges, and far apart.
  const fired = [0, 100, 900, 1000, 1998, 2001, 9000, 9100, 60_000, 60_500, HOUR, 2 * HOUR].map(
    (ms) => ms - 3 * HOUR,
  )

  test('have a second where their signal fires again within seconds', async () => {
    const project = await t.project()
    const source = await project.source('alertmanager')
    for (const ms of fired) await source.send(notification([{ fingerprint: 'a', startsAt: t.clock.at(ms) }]))
    // The first of them knows nothing of the next.
    const alone = [0, 9000, 60_000, HOUR, 2 * HOUR].map((ms) => ms - 3 * HOUR)
    expect(new Map((await occurrencesOf(project)).map((row) => [row.fired_at, row.fired_second]))).toEqual(
      new Map(
        fired.map((ms) => [
          t.clock.at(ms),
          kind === 'postgres' || alone.includes(ms) ? null : secondOf(t.clock.at(ms)),
        ]),
      ),
    )
  })

  test.each([
    ['with seconds', () => false],
    ['of before', () => true],
    ['of both', (index: number) => index % 2 === 0],
    ['with seconds after those of before', (index: number) => index < 5],
    ['of before after those with seconds', (index: number) => index > 5],
  ])('%s are found by a late one, which ends where the next begins', async (_, isOfBefore) => {
    const project = await t.project()
    const source = await project.source('alertmanager')
    for (const ms of fired) await source.send(notification([{ fingerprint: 'a', startsAt: t.clock.at(ms) }]))
    await asOfBefore(project, isOfBefore)
    const before = new Set((await occurrencesOf(project)).map(({ id }) => id))

    const late = [-4 * HOUR, ...fired.slice(0, -1).map((ms) => ms + 1)]
    for (const ms of late.toSorted((a, b) => (a % 7) - (b % 7)))
      await source.send(notification([{ fingerprint: 'a', startsAt: t.clock.at(ms) }]))
    const found = (await occurrencesOf(project)).filter(({ id }) => !before.has(id))
    const ends = new Map(found.map(({ fired_at, recovered_at }) => [fired_at, recovered_at]))
    const next = (ms: number) => Math.min(...fired.filter((one) => one > ms))
    expect(ends).toEqual(new Map(late.map((ms) => [t.clock.at(ms), t.clock.at(next(ms))])))
    expect(await lost()).toEqual([])
  })

  /** Fires and recovers once a second, each time for half of it. */
  async function flap(project: TestProject, times: number) {
    const source = await project.source()
    const say = (ms: number, more: object = {}) =>
      source.send({ id: 'a', title: 'Flaps', time: t.clock.at(ms - HOUR), ...more })
    for (let ms = 0; ms < times * 1000; ms += 1000) {
      await say(ms)
      await say(ms + 500, { action: 'resolve' })
    }
    return say
  }

  test.each([
    ['with seconds', () => false],
    ['of before', () => true],
    ['of both', (index: number) => index % 2 === 0],
  ])('%s are found by a late one that lies within them', async (_, isOfBefore) => {
    const project = await t.project()
    const say = await flap(project, 12)
    await asOfBefore(project, isOfBefore)
    t.clock.pass(HOUR)
    const before = await occurrencesOf(project)
    expect(before).toHaveLength(12)
    for (const ms of [250, 2250, 5250, 8250]) await say(ms - HOUR)
    expect(await occurrencesOf(project)).toHaveLength(12)
  })

  test('are found by another second once their start has moved there', async () => {
    const project = await t.project()
    const say = await flap(project, 3)
    await say(5000)
    t.clock.pass(1)
    expect(await say(3200)).toMatchObject({ outcome: 'refreshed' })
    const row = (await occurrencesOf(project)).find(({ recovered_at }) => recovered_at === null)!
    expect(row.fired_second).toBe(kind === 'sqlite' ? secondOf(row.fired_at) : null)
    expect(await lost()).toEqual([])
  })

  test('are found by their time once a program of before has moved their start', async () => {
    const project = await t.project()
    const say = await flap(project, 12)
    const row = (await occurrencesOf(project)).find(({ fired_at }) => fired_at === t.clock.at(4000 - HOUR))!
    expect(row.fired_second).toBe(kind === 'sqlite' ? secondOf(row.fired_at) : null)
    const moved = { id: String(row.id), fired_at: t.clock.at(3800 - HOUR) }
    await t.database.transaction(() => updateRows('occurrence', [moved]))
    expect((await occurrencesOf(project)).find(({ id }) => id === row.id)?.fired_second).toBe(null)
    await say(3900)
    expect(await occurrencesOf(project)).toHaveLength(12)
  })

  test.each([
    ['with seconds', () => false],
    ['of before', () => true],
    ['of both', (index: number) => index % 2 === 0],
  ])('%s tell a post-mortem of earlier incidents', async (_, isOfBefore) => {
    const project = await t.project()
    const source = await project.source()
    for (let times = 0; times < 3; times++) {
      await source.send({ id: 'a', title: 'Disk full' })
      t.clock.pass(HOUR)
      await source.send({ id: 'a', action: 'resolve' })
      t.clock.pass(24 * HOUR)
      await t.due()
    }
    await asOfBefore(project, isOfBefore)
    const [first, second, last] = await project.incidents()
    const { postmortem } = await t.admin.draftPostmortem(project.id, last!.id, {})
    const line = postmortem.markdown.split('\n').find((text) => text.includes('fired there too'))
    for (const { reference } of [first!, second!]) expect(line).toContain(reference)
  })

  test('leave no seconds behind', async () => {
    const other = await t.project()
    const project = await t.project()
    for (const one of [other, project]) await flap(one, 5)
    await t.admin.deleteProject(project.id)
    await until('nothing is left of the project', async () => {
      const tables = await t.tables()
      return ['signal', 'occurrence'].every((table) =>
        tables.get(table)!.every((row) => row.project_id !== project.id),
      )
    })
    const tables = await t.tables()
    const signals = new Set(tables.get('signal')!.map(({ id }) => id))
    expect(tables.get('signal_second')!.filter(({ signal_id }) => !signals.has(signal_id))).toEqual([])
    expect(await lost()).toEqual([])
  })

  // Nothing of this is stored on PostgreSQL.
  test.runIf(kind === 'sqlite').each(['occurrence', 'signal'] as const)(
    'leave none behind where a program of before deletes them by %s',
    async (table) => {
      const project = await t.project()
      await flap(project, 5)
      const [{ signal_id: signal } = {}] = await occurrencesOf(project)
      const seconds = async () =>
        (await t.tables()).get('signal_second')!.filter(({ signal_id }) => signal_id === signal)
      expect(await seconds()).not.toEqual([])
      await t.database.transaction(() =>
        run(table === 'signal' ? dropSignal : dropOccurrences, { signal: String(signal) }),
      )
      expect(await seconds()).toEqual([])
    },
  )
})
