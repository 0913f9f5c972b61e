import { describe, expect, test } from 'vitest'
import { run, statement, updateRows } from '../../../core/store/statement.ts'
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

describe.each(databaseKinds)('occurrences of a signal, on %s', (kind) => {
  const t = testTocsin(kind)

  async function occurrencesOf(project: TestProject) {
    const rows = (await t.tables()).get('occurrence')!
    return rows.filter(({ project_id }) => project_id === project.id)
  }

  /** Leaves some as programs wrote them that knew no seconds. */
  async function asOfBefore(project: TestProject, isOfBefore: (index: number) => boolean): Promise<void> {
    const rows = (await occurrencesOf(project)).filter((_, index) => isOfBefore(index))
    await t.database.transaction(function* () {
      yield* updateRows(
        'occurrence',
        rows.map(({ id }) => ({ id: String(id), fired_second: null })),
      )
      yield* run(forgetEmptySeconds, {})
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
  const fired = [0, 100, 900, 1000, 1998, 2001, 9000, 60_000, 60_500, HOUR, 2 * HOUR].map(
    (ms) => ms - 3 * HOUR,
  )

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

  test('of before are found by their second once they are written anew', async () => {
    const project = await t.project()
    const source = await project.source()
    const fired = t.clock.at()
    await source.send({ id: 'a', title: 'Disk 90 % full', time: fired })
    await asOfBefore(project, () => true)
    t.clock.pass(HOUR)
    await source.send({ id: 'a', title: 'Disk 95 % full', time: t.clock.at() })
    const [{ fired_second: second } = {}] = await occurrencesOf(project)
    expect(second).toBe(kind === 'sqlite' ? Date.parse(fired) / 1000 : null)
    expect(await lost()).toEqual([])
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
    for (const one of [other, project]) {
      const source = await one.source('alertmanager')
      for (const ms of fired)
        await source.send(notification([{ fingerprint: 'a', startsAt: t.clock.at(ms) }]))
    }
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
})
