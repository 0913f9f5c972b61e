import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { notification, testTocsin } from './open-test-tocsin.ts'

const TEXT_FIELDS = [
  'title',
  'description',
  'id',
  'action',
  'severity',
  'time',
  'url',
  'service',
  'monitor',
  'group',
] as const

const ODD = {
  'a NUL character': 'be\0fore',
  'half a surrogate pair': 'a \ud83d half',
  'the other half': '\udd25 first',
  'ten thousand characters': 'long '.repeat(2_000),
  'emoji and right-to-left': '🔥 שלום ‮',
  'line ends and tabs': 'one\r\n\ttwo',
} as const

describe.each(databaseKinds)('text on %s', (kind) => {
  const t = testTocsin(kind)

  describe.each(Object.entries(ODD))('%s', (_, text) => {
    test.each(TEXT_FIELDS)('in %s is taken and can be read', async (field) => {
      const project = await t.project()
      const source = await project.source()
      const body = { title: 'Disk full', [field]: text }
      const answer = await source.send(body)
      // A word nobody knows is kept and changes nothing (N2).
      expect([answer.outcome, t.faults]).toEqual([field === 'action' ? 'info' : 'opened', []])
      if (field === 'action') return
      const incident = await project.incident(answer.incident?.id)
      const events = await project.events(incident.id)
      const { request } = await t.admin.getRequest(project.id, answer.requestId)
      expect(request.events).toEqual(events)
      const shown = JSON.stringify([incident, events])
      expect(shown.includes('\\u0000') || /\\ud8|\\udd/.test(shown)).toBe(false)
      expect((await source.send(body)).duplicate).toBe(true)
    })

    test('in labels, metadata and services is taken and can be read', async () => {
      const project = await t.project({ policy: { grouping: 'key', groupBy: ['team', text] } })
      const source = await project.source()
      const answer = await source.send({
        title: 'Disk full',
        labels: { team: text, [text]: 'value' },
        metadata: { [text]: text, deep: [{ [text]: text }] },
        services: [text, 'shop'],
        extra: text,
      })
      expect([answer.outcome, t.faults]).toEqual(['opened', []])
      const incident = await project.incident(answer.incident?.id)
      expect(incident.services).toContain('shop')
    })

    test('in what people write is taken and can be read', async () => {
      const { project } = await t.admin.createProject({ name: text })
      const name = (await t.admin.getProject(project.id)).project.name
      const { incident } = await t.admin.createIncident(project.id, {
        title: text,
        description: text,
        services: [text],
        labels: { [text]: text },
      })
      await t.admin.addNote(project.id, incident.id, { text })
      await t.admin.resolveIncident(project.id, incident.id, { note: text })
      const read = (await t.admin.getIncident(project.id, incident.id)).incident
      expect(read.title).toBe(name)
      const { source } = await t.admin.createSource(project.id, {
        adapter: 'generic',
        name: text,
        settings: {
          groupBy: [text],
          statusWords: { [text]: 'fire' },
          defaults: { services: [text], labels: { [text]: text } },
        },
      })
      expect((await t.admin.getSource(project.id, source.id)).source.name).toBe(name)
      const { key } = await t.admin.createKey(project.id, { name: text, scopes: ['admin'] })
      expect(key.name).toBe((await t.admin.listKeys(project.id, {})).keys[0]?.name)
      const found = await t.admin.listIncidents(project.id, { q: text, service: [text] })
      expect(found.total).toBe(1)
    })

    test('in the address and headers of a request is taken', async () => {
      const project = await t.project()
      const source = await project.source()
      const answer = await source.send(
        { title: 'X' },
        {
          query: new URLSearchParams({ note: text }).toString(),
          headers: { 'user-agent': text.replaceAll('\0', ''), 'idempotency-key': text.replaceAll('\0', '') },
        },
      )
      const { request } = await t.admin.getRequest(project.id, answer.requestId)
      expect(request.path.length).toBeLessThanOrEqual(2000)
    })
  })

  test('signals whose long ids differ at their end are two', async () => {
    const project = await t.project()
    const source = await project.source()
    const id = 'x'.repeat(300)
    await source.send({ id: `${id}1`, title: 'One' })
    await source.send({ id: `${id}2`, title: 'Two' })
    const [incident] = await project.incidents()
    expect(incident).toMatchObject({ signalCount: 2, firingCount: 2 })
    expect(await source.send({ id: `${id}1`, action: 'resolve' })).toMatchObject({
      outcome: 'recovered',
      stillFiring: 1,
    })
  })

  test('long groups, labels and fingerprints of Alertmanager are taken', async () => {
    const project = await t.project({ policy: { grouping: 'key', groupBy: ['team'] } })
    const source = await project.source('alertmanager')
    const long = 'k'.repeat(5000)
    const startsAt = t.clock.at()
    const answer = await source.send(
      notification([{ fingerprint: long, startsAt, labels: { team: long, [long]: long } }], {
        groupKey: long,
      }),
    )
    expect([answer.outcome, t.faults]).toEqual(['opened', []])
    const endsAt = t.clock.at(1)
    const over = await source.send(
      notification([{ fingerprint: long, startsAt, endsAt, labels: { team: long } }], { groupKey: long }),
    )
    expect(over.outcome).toBe('resolved')
  })
})
