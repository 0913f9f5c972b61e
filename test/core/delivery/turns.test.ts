import { describe, expect, onTestFinished, test } from 'vitest'
import type { SendResult } from '../../../core/delivery/send.ts'
import { createIds } from '../../../core/ids.ts'
import { forgetBefore } from '../../../core/store/message.ts'
import { type DatabaseKind, databaseKinds } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { MINUTE, openPost, SECOND, START } from './harness.ts'

/** A project whose receivers answer when the test says so, and a prompt one in another project. */
async function openSlow(kind: DatabaseKind, count: number) {
  const post = await openPost(kind)
  const { project } = await post.tocsin.createProject({ name: 'slow' })
  const waiting: ((result: Partial<SendResult>) => void)[] = []
  let isOver = false
  for (let i = 0; i < count; i++) {
    post.receivers.set(`/slow/${i}`, () => (isOver ? 204 : new Promise((resolve) => waiting.push(resolve))))
    await post.tocsin.createEndpoint(project.id, { url: `http://127.0.0.1:9/slow/${i}` })
  }
  await post.endpoint('/prompt')
  let worker = post.worker({ pollMs: 1 })
  worker.start()
  onTestFinished(async () => {
    isOver = true
    for (const answer of waiting.splice(0)) answer({ durationMs: 0 })
    await worker.stop()
  })
  return {
    post,
    waiting,
    /** Another process goes on. */
    restart: async () => {
      await worker.stop()
      worker = post.worker({ pollMs: 1 })
      worker.start()
    },
    /** Something to say to every slow receiver. */
    slowNews: () => post.tocsin.createIncident(project.id, { title: 'A' }),
    /** Time goes by, and what is under way ends. */
    answer: (result: Partial<SendResult>) => {
      post.clock.now += result.durationMs!
      for (const answer of waiting.splice(0)) answer(result)
    },
    promptNews: async () => {
      const before = post.sent.length
      await post.tocsin.createIncident(post.project, { title: 'B' })
      await until('it is sent', () => post.sent.slice(before).some(({ url, ok }) => url === '/prompt' && ok))
    },
  }
}

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

  test('receivers that hang, however many, leave places to those of another project', async () => {
    const { post, waiting, slowNews, answer, promptNews } = await openSlow(kind, 120)
    const hung = { status: null, error: 'No answer in time.', durationMs: 10 * SECOND }
    await slowNews()
    await until('nobody is known yet', () => waiting.length === 50)
    answer(hung)
    // 70 more were never asked.
    await until('the project leaves a few places', () => waiting.length === 45)
    await promptNews()

    // They are tried again.
    for (let i = 0; i < 3; i++) {
      answer(hung)
      await until('others have their turn', () => waiting.length >= 25)
    }
    answer(hung)
    await until('slow ones have their part', () => waiting.length === 30)
    await promptNews()
    expect(waiting).toHaveLength(30)
    const got = post.sent.filter(({ url }) => url.startsWith('/slow'))
    expect(new Set(got.map(({ url }) => url)).size).toBe(120)
  })

  test('receivers that answer late have their turns among each other, and leave places to the others', async () => {
    const { post, waiting, slowNews, answer, promptNews } = await openSlow(kind, 40)
    for (let i = 0; i < 20; i++) await slowNews()
    await until('nobody is known yet', () => waiting.length === 50)
    // The prompt one speaks up again and again: its turn must not be where the round of the slow ones begins.
    for (let i = 0; i < 10; i++) {
      answer({ durationMs: 9 * SECOND })
      await until('slow ones have their part', () => waiting.length >= 30)
      await promptNews()
    }
    expect(waiting).toHaveLength(30)
    const counts = Array.from(
      { length: 40 },
      (_, i) => post.sent.filter(({ url }) => url === `/slow/${i}`).length,
    )
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(5)
  })

  test('a new process thinks the worst of receivers that fail', async () => {
    const { post, waiting, restart, slowNews, answer, promptNews } = await openSlow(kind, 40)
    await slowNews()
    await until('all are asked', () => waiting.length === 40)
    answer({ status: null, error: 'No answer in time.', durationMs: 10 * SECOND })
    await restart()
    post.clock.now += 10 * SECOND
    await until('they are asked again', () => waiting.length >= 30)
    await promptNews()
    expect(waiting).toHaveLength(30)
  })

  test('an attempt under way counts as slow before it has ended', async () => {
    const { post, waiting, slowNews, promptNews } = await openSlow(kind, 9)
    for (let i = 0; i < 4; i++) await slowNews()
    await until('all are asked', () => waiting.length === 36)
    post.clock.now += 2 * SECOND
    for (let i = 0; i < 4; i++) await slowNews()
    await promptNews()
    expect(waiting).toHaveLength(36)
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
