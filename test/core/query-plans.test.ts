import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { extendLeases, releaseLeases } from '../../core/store/claim.ts'
import { trimUnauthorized } from '../../core/store/hook-request.ts'
import { forgetBefore } from '../../core/store/message.ts'
import { all, insertRows, run, type Statement, statement, updateRows } from '../../core/store/statement.ts'
import { databaseKinds } from '../support/databases.ts'
import { openEmpty } from '../support/open-empty.ts'
import { explain, preparedBy } from '../support/query-plans.ts'
import { HOUR, MINUTE, openPost, START } from './delivery/harness.ts'
import { betterStack, notification, testTocsin } from './open-test-tocsin.ts'

const t = testTocsin('sqlite')

test('whatever a batch asks of SQLite, an index answers', async () => {
  // Statements are prepared once per connection, so a new one is watched.
  const texts = await preparedBy(async () => {
    await t.restart()
    const project = await t.project({ plan: 'pro', policy: { resolveGraceSeconds: 1 } })
    const generic = await project.source()
    const alertmanager = await project.source('alertmanager')
    const betterstack = await project.source('betterstack')
    const startsAt = t.clock.at()
    const alerts = ['a', 'b'].map((fingerprint) => ({ fingerprint, startsAt }))
    await alertmanager.send(notification(alerts))
    await alertmanager.send(notification([{ ...alerts[0]!, endsAt: t.clock.at(1) }]))
    await betterstack.send(betterStack('started', { id: '1', monitor: 'm', startedAt: startsAt }))
    await generic.send({ id: 'x', title: 'X' }, { headers: { 'idempotency-key': 'k' } })
    await generic.send({ id: 'x', title: 'X' })
    await generic.send({ title: 'Unknown', action: 'resolve' })
    await generic.send({ id: 'late', title: 'L', time: t.clock.at(-1000) })
    await generic.send({ id: 'late', action: 'resolve', time: t.clock.at(-500) })
    await generic.send({ id: 'late', title: 'L', time: t.clock.at(-800) })
    const [incident] = await project.incidents()
    await t.admin.resolveIncident(project.id, incident!.id, {})
    await t.admin.reopenIncident(project.id, incident!.id, {})
    await t.database.transaction(() =>
      trimUnauthorized([{ project_id: project.id, source_id: generic.id }, { project_id: project.id }]),
    )
    await t.due()
  })

  const { scans, explained } = explain(t.url, texts)
  expect(scans).toEqual([])
  expect(explained).toBeGreaterThan(20)
})

test('whatever is asked of one incident, an index answers on SQLite', async () => {
  const project = await t.project()
  const source = await project.source()
  for (const id of ['a', 'b', 'c']) await source.send({ id, title: `Alert ${id}` })
  await source.send({ id: 'a', action: 'resolve' })
  const texts = await preparedBy(async () => {
    await t.restart()
    const { admin } = t
    const id = (await project.incidents())[0]!.id
    await admin.getIncident(project.id, id)
    const limit = 1
    const timeline = await admin.listTimeline(project.id, id, { limit })
    await admin.listTimeline(project.id, id, { limit, cursor: timeline.nextCursor! })
    const events = await admin.listIncidentEvents(project.id, id, { limit })
    await admin.listIncidentEvents(project.id, id, { limit, cursor: events.nextCursor! })
    await admin.listIncidentSignals(project.id, id, { limit })
    await admin.addNote(project.id, id, { text: 'Seen' })
    const { postmortem } = await admin.draftPostmortem(project.id, id, {})
    await admin.savePostmortem(project.id, id, { markdown: postmortem.markdown })
    await admin.getPostmortem(project.id, id, {})
    await admin.getMetrics(project.id, { exclude: ['late', 'stale', 'timeInferred'] })
    await admin.resolveIncident(project.id, id, {})
    await admin.reopenIncident(project.id, id, {})
  })
  const { scans, explained } = explain(t.url, texts)
  expect(scans).toEqual([])
  expect(explained).toBeGreaterThan(20)
})

test('whatever delivery asks of SQLite, an index answers', async () => {
  const post = await openPost('sqlite')
  // Statements are prepared when they are first used.
  const texts = await preparedBy(async () => {
    const [, dead] = [
      await post.endpoint('/good'),
      await post.endpoint('/dead', { policy: 'uptimera-30m' }),
      await post.endpoint('/gone'),
    ]
    post.receivers.set('/dead', () => 500)
    post.receivers.set('/gone', () => 410)
    const { incident } = await post.tocsin.createIncident(post.project, { title: 'A', severity: 'critical' })
    await post.tocsin.resolveIncident(post.project, incident.id, {})
    const worker = post.worker()
    for (const end = START + 31 * MINUTE; post.clock.now < end; post.clock.now += MINUTE)
      await worker.runOnce()
    await worker.runOnce()
    expect((await post.messages(dead!)).map(({ status }) => status)).toEqual(['failed', 'failed'])

    expect(await post.tocsin.replayEndpoint(post.project, dead!, {})).toEqual({ replayed: 2 })
    await worker.runOnce()
    const none = { ids: ['none'], tokens: ['none'] }
    await post.database.transaction(() => extendLeases(none, ''))
    await post.database.transaction(() => releaseLeases(none, ''))
    await post.database.transaction(() => forgetBefore(START - 30 * 24 * HOUR))
    await post.tocsin.updateEndpoint(post.project, dead!, { enabled: false })
    await post.tocsin.updateEndpoint(post.project, dead!, { enabled: true })
    await post.tocsin.deleteEndpoint(post.project, dead!)
  })

  const { scans, explained } = explain(post.url, texts)
  expect(scans).toEqual([])
  expect(explained).toBeGreaterThan(30)
})

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
describe.runIf(databaseKinds.includes('postgres'))('PostgreSQL finds what is updated by its key', () => {
  const sizes = [0, 1, 5, 100, 2000].flatMap((rows) => [
    { rows, known: 'known' },
    { rows, known: 'not known' },
  ])
  test.each(sizes)(
    'where there were $rows rows when it planned that, $known to it',
    async ({ rows, known }) => {
      const database = await openEmpty('postgres')
      const groups = Array.from({ length: rows }, (_, i) => ({
        source_id: `source ${i % 7}`,
        group_key: `group ${i}`,
        fingerprint: 'f',
        partial: 0,
      }))
      const changed = [{ source_id: 'source 0', group_key: 'group 0', fingerprint: 'g', partial: 0 }]
      const plan = await database.transaction(function* () {
        yield* insertRows('sender_group', groups)
        if (known === 'known') yield* run(analyze, {})
        // At first it plans for the values it is given; what it has planned for all of them then, it goes on with.
        for (let times = 0; times < 10; times++) yield* updateRows('sender_group', changed, GROUP_KEY)
        const [prepared] = yield* all(preparedUpdates, {})
        return yield* all(planOf(prepared!.name), {})
      })
      const lines = plan.map((row) => row['QUERY PLAN']).join('\n')
      expect(lines).toMatch(/Index Cond: .*group_key = (ANY|v\.)/)
    },
  )
})

const GROUP_KEY = ['source_id', 'group_key'] as const

const analyze = statement<object, unknown>(() => sql`analyze sender_group`)

const preparedUpdates = statement<object, { name: string }>(
  () => sql`select name from pg_prepared_statements where statement like 'update "sender_group"%'`,
)

function planOf(name: string): Statement<object, { 'QUERY PLAN': string }> {
  return statement(() => sql.raw(`explain execute "${name}"('[]', '{}', '{}')`))
}
