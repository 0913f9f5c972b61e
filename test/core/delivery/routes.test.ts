import { describe, expect, test } from 'vitest'
import type { ApiEndpointInput } from '../../../core/api-types.ts'
import { databaseKinds } from '../../support/databases.ts'
import { testTocsin } from '../open-test-tocsin.ts'

describe.each(databaseKinds)('who hears of an incident on %s', (kind) => {
  const tocsin = testTocsin(kind, { targets: { allow: [], loopback: true }, role: 'ingest' })

  test('a source of many counts, also where the incident has more signals than a message shows', async () => {
    const project = await tocsin.project({ policy: { grouping: 'project' } })
    const [many, one] = [await project.source(), await project.source()]
    const { endpoint } = await tocsin.admin.createEndpoint(project.id, {
      url: 'http://127.0.0.1:9/one',
      sources: [one.id],
      events: ['incident.updated', 'incident.resolved'],
    })
    const opened = await many.send({ id: 'a-0', title: 'Down' })
    for (let i = 1; i < 25; i++) await many.send({ id: `a-${i}`, title: 'Down' })
    await one.send({ id: 'b', title: 'Down' })
    await tocsin.admin.resolveIncident(project.id, opened.incident!.id, {})
    const { messages } = await tocsin.admin.listMessages(project.id, endpoint.id, {})
    expect(messages.map(({ type }) => type)).toEqual(['incident.resolved', 'incident.updated'])
  })

  describe('an incident that comes to match later', () => {
    const setUp = async () => {
      const project = await tocsin.project({ policy: { grouping: 'project' } })
      return { project, source: await project.source(), other: await project.source() }
    }
    const listening = async (projectId: string, input: Partial<ApiEndpointInput>) => {
      const url = `http://127.0.0.1:9/${crypto.randomUUID()}`
      const { endpoint } = await tocsin.admin.createEndpoint(projectId, { url, ...input })
      return async () => {
        const { messages } = await tocsin.admin.listMessages(projectId, endpoint.id, {})
        return messages.map(({ type }) => type).toReversed()
      }
    }

    test('is an opening to who waits for its severity, once', async () => {
      const { project, source } = await setUp()
      const critical = await listening(project.id, { severities: ['critical'] })
      const all = await listening(project.id, {})
      const updates = await listening(project.id, {
        severities: ['critical'],
        events: ['incident.opened', 'incident.updated'],
      })
      const endings = await listening(project.id, { severities: ['critical'], events: ['incident.resolved'] })
      const { incident } = await source.send({ id: 'a', title: 'Slow', severity: 'low' })
      expect(await critical()).toEqual([])
      await source.send({ id: 'b', title: 'Down', severity: 'critical' })
      await source.send({ id: 'c', title: 'Down, too', severity: 'critical' })
      await tocsin.admin.resolveIncident(project.id, incident!.id, {})
      expect(await critical()).toEqual(['incident.opened', 'incident.resolved'])
      expect(await all()).toEqual(['incident.opened', 'incident.resolved'])
      expect(await updates()).toEqual(['incident.opened', 'incident.updated'])
      expect(await endings()).toEqual(['incident.resolved'])
    })

    test('by its source, service or label as well', async () => {
      const { project, source, other } = await setUp()
      const heard = await Promise.all([
        listening(project.id, { sources: [other.id] }),
        listening(project.id, { services: ['payments'] }),
        listening(project.id, { labels: { region: 'eu' } }),
      ])
      await source.send({ id: 'a', title: 'Slow', service: 'web', labels: { region: 'us' } })
      for (const types of heard) expect(await types()).toEqual([])
      await other.send({ id: 'b', title: 'Down', service: 'payments', labels: { region: 'eu' } })
      for (const types of heard) expect(await types()).toEqual(['incident.opened'])
    })

    test('not to an endpoint made after it opened', async () => {
      const { project, source } = await setUp()
      await source.send({ id: 'a', title: 'Slow', severity: 'critical' })
      const late = await listening(project.id, { severities: ['critical'] })
      await source.send({ id: 'b', title: 'Down', severity: 'critical' })
      expect(await late()).toEqual([])
    })
  })
})
