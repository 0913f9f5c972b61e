import { describe, expect, test } from 'vitest'
import { forgetGone, forgetOld } from '../../../core/retention.ts'
import { databaseKinds } from '../../support/databases.ts'
import { MINUTE, openPost, type Post, SECOND, START } from './harness.ts'

const openIncident = async ({ tocsin, project }: Post) =>
  (await tocsin.createIncident(project, { title: 'Down' })).incident.id

describe.each(databaseKinds)('an endpoint that is deleted and kept, on %s', (kind) => {
  test('comes back with its URL: what waited and what came meanwhile goes out, in order, with the new secret', async () => {
    const post = await openPost(kind)
    const worker = post.worker()
    post.receivers.set('/a', () => 500)
    const endpoint = await post.endpoint('/a', { policy: 'uptimera-30m' })
    const incident = await openIncident(post)
    await worker.runOnce()
    await post.tocsin.deleteEndpoint(post.project, endpoint, { keepMinutes: 10 })
    await post.tocsin.acknowledgeIncident(post.project, incident, {})
    await post.pass(worker, START + 9 * MINUTE)
    expect(post.sent).toHaveLength(1)

    post.receivers.clear()
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
    const back = await post.tocsin.createEndpoint(post.project, {
      url: 'http://127.0.0.1:9/a',
      events: ['incident.resolved'],
      description: 'again',
      secret,
    })
    expect(back).toMatchObject({
      secret,
      endpoint: { id: endpoint, enabled: true, events: ['incident.resolved'], description: 'again' },
    })
    expect(back.endpoint.counters).toMatchObject({ pending: 2, attempts: 1 })
    expect(back.endpoint.policy).toBe('uptimera-30m')
    await post.tocsin.resolveIncident(post.project, incident, {})
    await post.pass(worker, post.clock.now)
    expect(post.sent.slice(1).map(({ type, ok }) => [type, ok])).toEqual([
      ['incident.opened', true],
      ['incident.acknowledged', true],
      ['incident.resolved', true],
    ])
    expect((await post.messages(endpoint)).map(({ status }) => status)).toEqual(Array(3).fill('delivered'))
  })

  test('is gone for everybody until then', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    const [message] = await post.messages(endpoint)
    await post.tocsin.deleteEndpoint(post.project, endpoint, { keepMinutes: 10 })
    const { tocsin, project } = post
    expect((await tocsin.listEndpoints(project, {})).endpoints).toEqual([])
    for (const ask of [
      () => tocsin.getEndpoint(project, endpoint),
      () => tocsin.updateEndpoint(project, endpoint, { enabled: true }),
      () => tocsin.rotateEndpoint(project, endpoint, {}),
      () => tocsin.testEndpoint(project, endpoint),
      () => tocsin.deleteEndpoint(project, endpoint),
      () => tocsin.listMessages(project, endpoint, {}),
      () => tocsin.getMessage(project, message!.id),
      () => tocsin.replayMessage(project, message!.id),
      () => tocsin.replayEndpoint(project, endpoint, {}),
    ]) {
      await expect(ask()).rejects.toMatchObject({ code: 'not_found' })
    }
  })

  test('is a new one after its time, and without such a wish at once: nothing comes back', async () => {
    const post = await openPost(kind)
    const kept = await post.endpoint('/kept')
    const deleted = await post.endpoint('/deleted')
    await openIncident(post)
    await post.tocsin.deleteEndpoint(post.project, kept, { keepMinutes: 10 })
    await post.tocsin.deleteEndpoint(post.project, deleted)
    expect(await post.endpoint('/deleted')).not.toBe(deleted)
    post.clock.now = START + 10 * MINUTE
    expect(await post.endpoint('/kept')).not.toBe(kept)
    await post.worker().runOnce()
    expect(post.sent).toEqual([])
  })

  test('makes room for another one that takes its URL', async () => {
    const post = await openPost(kind)
    const kept = await post.endpoint('/a')
    await openIncident(post)
    await post.tocsin.deleteEndpoint(post.project, kept, { keepMinutes: 10 })
    const other = await post.endpoint('/b')
    const url = 'http://127.0.0.1:9/a'
    expect((await post.tocsin.updateEndpoint(post.project, other, { url })).endpoint.url).toBe(url)
    await post.worker().runOnce()
    expect(post.sent).toEqual([])
  })

  test('what someone had switched off hears nothing while it is kept, but what waited still waits', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    await post.tocsin.updateEndpoint(post.project, endpoint, { enabled: false })
    await post.tocsin.deleteEndpoint(post.project, endpoint, { keepMinutes: 10 })
    await openIncident(post)
    await post.endpoint('/a')
    await post.worker().runOnce()
    expect(post.sent.map(({ ok }) => ok)).toEqual([true])
  })

  test('is cleared away after its time, with all that waited, and hears nothing more', async () => {
    const post = await openPost(kind)
    const endpoint = await post.endpoint('/a')
    await openIncident(post)
    await post.tocsin.deleteEndpoint(post.project, endpoint, { keepMinutes: 1 })
    const forget = async () => {
      const core = {
        database: post.database,
        writer: {
          submit: (command: { run: () => never }) => post.change(command.run),
        } as unknown as Parameters<typeof forgetOld>[0]['writer'],
        now: () => new Date(post.clock.now),
      }
      await forgetOld(core)
      await forgetGone(core)
    }
    const counts = async () => {
      const messages = await post.database.read.selectFrom('message').select('id').execute()
      const endpoints = await post.database.read.selectFrom('endpoint').select('id').execute()
      return [messages.length, endpoints.length]
    }
    post.clock.now = START + MINUTE - SECOND
    await forget()
    expect(await counts()).toEqual([1, 1])
    post.clock.now = START + MINUTE
    await forget()
    expect(await counts()).toEqual([0, 0])
    await openIncident(post)
    expect(await counts()).toEqual([0, 0])
  })
})
