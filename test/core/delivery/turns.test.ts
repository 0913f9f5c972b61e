import { describe, expect, test } from 'vitest'
import { createIds } from '../../../core/ids.ts'
import { forgetBefore } from '../../../core/store/message.ts'
import { databaseKinds } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { MINUTE, openPost, START } from './harness.ts'

describe.each(databaseKinds)('turns of the worker on %s', (kind) => {
  test('results that come while a commit is waited for share it', async () => {
    const post = await openPost(kind)
    for (const path of ['/a', '/b', '/c']) await post.endpoint(path)
    await post.tocsin.createIncident(post.project, { title: 'A', severity: 'critical' })
    const now = () => new Date(post.clock.now)
    const newId = createIds(now, (size) => Buffer.alloc(size, 1))
    let commits = 0
    const worker = post.worker({
      change: async (run) => {
        commits += 1
        if (commits > 1) {
          // The queue is slow: meanwhile the others are answered, too.
          await until('all are answered', () => post.sent.length === 3 && post.sent.every(({ ok }) => ok))
          await new Promise(setImmediate)
        }
        return post.database.transaction(() => run({ newId, now: now().toISOString() }))
      },
    })
    expect(await worker.runOnce()).toBe(3)
    // One that claims, one for all results.
    expect(commits).toBe(2)
  })

  test('while many webhooks come in, it pauses before each turn', async () => {
    const pausesWhile = async (isBusy: boolean) => {
      const post = await openPost(kind)
      await post.endpoint('/a')
      await post.tocsin.createIncident(post.project, { title: 'A', severity: 'critical' })
      const pauses: number[] = []
      const worker = post.worker({
        isBusy: () => isBusy,
        schedule: (delayMs, run) => {
          pauses.push(delayMs)
          setImmediate(run)
          return () => {}
        },
      })
      worker.start()
      await until('it is sent', () => post.sent.length === 1)
      await worker.stop()
      return pauses
    }
    expect((await pausesWhile(true))[0]).toBe(100)
    expect(await pausesWhile(false)).not.toContain(100)
  })
})

test('what is said to several endpoints is stored once', async () => {
  const post = await openPost('sqlite')
  for (const path of ['/a', '/b']) await post.endpoint(path)
  await post.tocsin.createIncident(post.project, { title: 'A', severity: 'critical' })
  const bodies = await post.database.read.selectFrom('message_body').selectAll().execute()
  const messages = await post.database.read.selectFrom('message').selectAll().execute()
  expect(bodies.map(({ id }) => id)).toEqual([messages[0]!.id])
  expect(messages.map(({ body_id }) => body_id)).toEqual([messages[0]!.id, messages[0]!.id])
})

test('bodies are forgotten with their messages, those of messages still on their way with these', async () => {
  const post = await openPost('sqlite')
  await post.endpoint('/a')
  await post.tocsin.createIncident(post.project, { title: 'A', severity: 'critical' })
  const forget = () => post.database.transaction(() => forgetBefore(START + 2 * MINUTE))
  const ids = async (table: 'message' | 'message_body') =>
    (await post.database.read.selectFrom(table).select('id').execute()).map(({ id }) => id)

  await forget()
  expect(await ids('message')).toHaveLength(1)
  await post.worker().runOnce()
  expect(post.sent).toMatchObject([{ url: '/a', ok: true }])
  await forget()
  expect([await ids('message'), await ids('message_body')]).toEqual([[], []])
})
