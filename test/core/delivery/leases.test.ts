import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../../support/databases.ts'
import { HOUR, openPost, type Post, SECOND } from './harness.ts'

const openIncident = ({ tocsin, project }: Post) => tocsin.createIncident(project, { title: 'Down' })

/** A receiver that answers only when told. */
function slowly(post: Post, path: string): { answer: () => void; count: () => number } {
  const { promise, resolve } = Promise.withResolvers<number>()
  post.receivers.set(path, () => promise)
  return {
    answer: () => resolve(204),
    count: () => post.sent.filter(({ url }) => url === path).length,
  }
}

describe.each(databaseKinds)('leases on %s', (kind) => {
  test('a worker too busy to rest prolongs what it holds: no other worker sends it meanwhile', async () => {
    const post = await openPost(kind)
    const slow = slowly(post, '/slow')
    const endpoint = await post.endpoint('/slow')
    await openIncident(post)
    await post.tocsin.updateEndpoint(post.project, endpoint, { events: ['test'] })
    await post.endpoint('/busy')
    post.receivers.set('/busy', () => {
      post.clock.now += SECOND
      return 204
    })
    for (let i = 0; i < 100; i++) await openIncident(post)
    const running = post.worker().runOnce()
    await expect.poll(() => post.sent.length).toBe(101)

    const other = post.worker().runOnce()
    await expect.poll(async () => (await post.messages(endpoint)).length).toBe(1)
    expect(slow.count()).toBe(1)
    slow.answer()
    await other
    expect(slow.count()).toBe(1)
    await running
  })

  test('a clock that jumps does not make a worker take its own messages again', async () => {
    const post = await openPost(kind)
    const slow = slowly(post, '/slow')
    const endpoint = await post.endpoint('/slow')
    await openIncident(post)
    const worker = post.worker()
    worker.start()
    await expect.poll(slow.count).toBe(1)

    post.clock.now += HOUR
    const free = await post.endpoint('/free')
    await openIncident(post)
    worker.wake()
    await expect.poll(async () => (await post.messages(free))[0]?.status).toBe('delivered')
    expect(post.sent.filter(({ id, url }) => url === '/slow' && id === post.sent[0]!.id)).toHaveLength(1)
    slow.answer()
    await expect
      .poll(async () => (await post.messages(endpoint)).map(({ status }) => status))
      .toEqual(['delivered', 'delivered'])
    await worker.stop()
  })

  test('what a slow commit has claimed is not begun when another worker may have it before the answer', async () => {
    const post = await openPost(kind)
    await post.endpoint('/a')
    await openIncident(post)
    const { database } = post
    const late = post.worker({
      change: async (run) => {
        const at = new Date(post.clock.now).toISOString()
        const answer = await database.transaction(() => run({ newId: () => crypto.randomUUID(), now: at }))
        post.clock.now += 50 * SECOND
        return answer
      },
    })
    await late.runOnce()
    expect(post.sent).toHaveLength(0)
    post.clock.now += 10 * SECOND
    expect(await post.worker().runOnce()).toBe(1)
  })

  test('a secret that cannot be opened fails the messages of its endpoint, and no others', async () => {
    const post = await openPost(kind)
    const broken = await post.endpoint('/broken')
    const whole = await post.endpoint('/whole')
    await post.database.migrate((db) =>
      db
        .updateTable('endpoint_secret')
        .set({ sealed: 'not sealed by us' })
        .where('endpoint_id', '=', broken)
        .execute(),
    )
    await openIncident(post)
    await openIncident(post)
    await post.worker().runOnce()

    expect((await post.messages(whole)).map(({ status }) => status)).toEqual(['delivered', 'delivered'])
    expect(post.sent.filter(({ url }) => url === '/broken')).toEqual([])
    const [message] = await post.messages(broken)
    const { attempts } = await post.tocsin.getMessage(post.project, message!.id)
    expect(attempts).toMatchObject([
      { responseStatus: null, error: expect.stringMatching(/secret.*rotate/i) },
    ])
  })
})
