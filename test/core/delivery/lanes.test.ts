import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { databaseKinds } from '../../support/databases.ts'
import { openPost } from './harness.ts'

// Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
test.runIf(databaseKinds.includes('postgres'))(
  'a message replayed while the one before it is just ending is not left behind',
  async () => {
    const post = await openPost('postgres')
    const { tocsin, project, databaseUrl } = post
    const worker = post.worker()
    let answers = [204, 500]
    post.receivers.set('/a', () => answers.shift()!)
    const endpoint = await post.endpoint('/a', { policy: 'once' })
    const { incident } = await tocsin.createIncident(project, { title: 'Down' })
    await tocsin.acknowledgeIncident(project, incident.id, {})
    await worker.runOnce()
    const [second, first] = await post.messages(endpoint)
    expect([first!.status, second!.status]).toEqual(['delivered', 'failed'])

    // The first goes out again. Its result is written in a transaction that has to wait before it can commit:
    // for the secret of another message it claims.
    const sent = Promise.withResolvers<number>()
    answers = []
    post.receivers.set('/a', ({ sequence }) => (sequence === 1 ? sent.promise : 204))
    await tocsin.replayMessage(project, first!.id)
    const running = worker.runOnce()
    await expect.poll(() => post.sent.length).toBe(3)
    await post.endpoint('/b')
    await tocsin.createIncident(project, { title: 'Down too' })
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    onTestFinished(() => client.end())
    await client.query('begin; lock table endpoint_secret in access exclusive mode')
    const blocked = async () =>
      (
        await client.query(
          `select count(*)::int as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).rows[0].n as number
    sent.resolve(204)
    await expect.poll(blocked).toBe(1)

    let done = false
    const replaying = tocsin.replayMessage(project, second!.id).then(() => {
      done = true
    })
    await expect.poll(async () => done || (await blocked()) > 1).toBe(true)
    await client.query('commit')
    await Promise.all([replaying, running])
    await worker.runOnce()
    expect((await post.messages(endpoint)).map(({ id, status }) => [id, status])).toContainEqual([
      second!.id,
      'delivered',
    ])
  },
)
