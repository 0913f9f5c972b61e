import pg from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { databaseKinds } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { MINUTE, openPost, type Post } from '../delivery/harness.ts'

/** The order itself is told in core/store/project.ts. */
// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
describe.runIf(databaseKinds.includes('postgres'))('locks on PostgreSQL', () => {
  /** An incident of which one endpoint has been told, and of whose acknowledgement it is being told. */
  async function underWay() {
    const post = await openPost('postgres')
    const endpoint = await post.endpoint('/a')
    const { incident } = await post.tocsin.createIncident(post.project, { title: 'Down' })
    const worker = post.worker()
    await worker.runOnce()
    await post.tocsin.acknowledgeIncident(post.project, incident.id, {})
    const answer = Promise.withResolvers<number>()
    post.receivers.set('/a', () => answer.promise)
    const running = worker.runOnce()
    await until('it is sent', () => post.sent.length === 2)
    const [opened, acknowledged] = post.sent.map(({ id }) => id)
    onTestFinished(async () => {
      answer.resolve(204)
      await running
    })
    return {
      post,
      endpoint,
      incident: incident.id,
      opened: opened!,
      acknowledged: acknowledged!,
      /** The receiver answers, and the worker stores what that means. */
      end: async (status: number) => {
        answer.resolve(status)
        await running
      },
    }
  }

  type UnderWay = Awaited<ReturnType<typeof underWay>>

  /** Another process in the middle of a transaction. */
  async function other({ databaseUrl }: Post) {
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    let isOver = false
    const end = async () => {
      if (!isOver) await client.end()
      isOver = true
    }
    onTestFinished(end)
    await client.query('begin')
    return {
      /** Takes these rows at once, or throws. */
      take: (table: string, id: string) =>
        client.query(`select from ${table} where id = $1 for update nowait`, [id]),
      takeAll: (table: string) => client.query(`select from ${table} for update nowait`),
      waitedFor: () =>
        until('somebody waits for it', async () => {
          const { rows } = await client.query(
            `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
          )
          return rows.length > 0
        }),
      end,
    }
  }

  const everything: [string, (at: UnderWay) => Promise<unknown>][] = [
    ['a result that switches its endpoint off', ({ end }) => end(410)],
    ['a message that is sent again', ({ post, opened }) => post.tocsin.replayMessage(post.project, opened)],
    [
      'a range of messages that is sent again',
      ({ post, endpoint }) => post.tocsin.replayEndpoint(post.project, endpoint, { status: ['delivered'] }),
    ],
    [
      'an endpoint that is deleted',
      ({ post, endpoint }) => post.tocsin.deleteEndpoint(post.project, endpoint),
    ],
    [
      'an endpoint that is switched off',
      ({ post, endpoint }) => post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false }),
    ],
    [
      'another retry policy',
      ({ post, endpoint }) => post.tocsin.updateEndpoint(post.project, endpoint, { policy: 'uptimera-30m' }),
    ],
    ['a project that is deleted', ({ post }) => post.tocsin.deleteProject(post.project)],
  ]

  test.each(everything)('%s holds nothing while it waits for the project', async (_, begin) => {
    const at = await underWay()
    const batch = await other(at.post)
    await batch.take('project', at.post.project)
    const ending = begin(at)
    await batch.waitedFor()
    await batch.takeAll('endpoint')
    await batch.takeAll('message')
    await batch.end()
    await ending
  })

  test.each(everything)('%s holds no message while it waits for the endpoint', async (_, begin) => {
    const at = await underWay()
    const worker = await other(at.post)
    await worker.take('endpoint', at.endpoint)
    const ending = begin(at)
    await worker.waitedFor()
    await worker.takeAll('message')
    await worker.end()
    await ending
  })

  test('a result that changes no more than its endpoint waits for no project', async () => {
    const at = await underWay()
    const batch = await other(at.post)
    await batch.take('project', at.post.project)
    await at.end(204)
    await batch.end()
    expect((await at.post.messages(at.endpoint)).map(({ status }) => status)).toEqual([
      'delivered',
      'delivered',
    ])
  })

  test('an alert takes nothing of a lane while it waits for the message that is under way', async () => {
    const at = await underWay()
    const { tocsin, project } = at.post
    // Older than what is under way, but behind it.
    await tocsin.replayMessage(project, at.opened)
    const worker = await other(at.post)
    await worker.take('message', at.acknowledged)
    const ending = tocsin.resolveIncident(project, at.incident, {})
    await worker.waitedFor()
    await worker.take('message', at.opened)
    await worker.end()
    await ending
  })

  test('a result holds no message while its worker waits to prolong the lease of an older one', async () => {
    const post = await openPost('postgres')
    const answers = new Map(
      ['/slow', '/quick'].map((path) => [path, Promise.withResolvers<number>()] as const),
    )
    for (const [path, { promise }] of answers) {
      await post.endpoint(path)
      post.receivers.set(path, () => promise)
    }
    await post.tocsin.createIncident(post.project, { title: 'Down' })
    const running = post.worker().runOnce()
    await until('both are sent', () => post.sent.length === 2)
    const [slow, quick] = [...answers.keys()].map((path) => post.sent.find(({ url }) => url === path)!.id)
    expect(slow! < quick!).toBe(true)

    post.clock.now += MINUTE / 2
    const batch = await other(post)
    await batch.take('message', slow!)
    answers.get('/quick')!.resolve(204)
    await batch.waitedFor()
    await batch.take('message', quick!)
    await batch.end()
    answers.get('/slow')!.resolve(204)
    await running
  })
})
