import { describe, expect, test } from 'vitest'
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
})
