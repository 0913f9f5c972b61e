import { beforeAll, describe, expect, test } from 'vitest'
import type { ApiIncidentQuery } from '../../core/api-types.ts'
import { databaseKinds } from '../support/databases.ts'
import {
  HOUR,
  notification,
  refusal,
  type TestProject,
  type TestSource,
  testTocsin,
} from './open-test-tocsin.ts'

describe.each(databaseKinds)('lists of incidents on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  describe('filters', () => {
    let project: TestProject
    let generic: TestSource
    let alertmanager: TestSource
    let since: string
    let ids: string[]

    beforeAll(async () => {
      project = await t.project({ policy: { grouping: 'signal' } })
      generic = await project.source()
      alertmanager = await project.source('alertmanager')
      const critical = { severity: 'critical', services: ['shop', 'pay'] }
      await generic.send({ id: '1', title: '100% of Shop_Front "down"', ...critical })
      await generic.send({ id: '2', title: '1000 of ShopXFront is down', severity: 'low', service: 'Shop' })
      clock.pass(HOUR)
      since = clock.at()
      await generic.send({ id: '3', title: "O'Brien\\s disk", service: 'a "b", c', drill: true })
      await alertmanager.send(
        notification([{ fingerprint: 'am', startsAt: clock.at(), labels: { alertname: 'Störung ÄÖÜ' } }]),
      )
      await generic.send({ id: '2', action: 'resolve' })
      await t.admin.acknowledgeIncident(project.id, 'INC-001', {})
      await t.admin.createIncident(project.id, { title: 'By hand', severity: 'info', services: ['a%'] })
      ids = (await project.incidents()).map((incident) => incident.id)
    })

    const cases: [
      string,
      (at: { ids: string[]; since: string; source: string }) => ApiIncidentQuery,
      number[],
    ][] = [
      ['nothing', () => ({}), [5, 4, 3, 2, 1]],
      ['one status', () => ({ status: ['open'] }), [5, 4, 3]],
      ['two statuses', () => ({ status: ['acknowledged', 'resolved'] }), [2, 1]],
      ['a severity', () => ({ severity: ['critical', 'info'] }), [5, 1]],
      ['a service', () => ({ service: ['pay'] }), [1]],
      ['a service, letter by letter', () => ({ service: ['shop'] }), [1]],
      ['part of a service', () => ({ service: ['sho'] }), []],
      ['a service with quotes and a comma', () => ({ service: ['a "b", c'] }), [3]],
      ['part of a service with quotes', () => ({ service: ['b'] }), []],
      ['a service with a wildcard', () => ({ service: ['a%'] }), [5]],
      ['a service as a wildcard', () => ({ service: ['%'] }), []],
      ['any of two services', () => ({ service: ['pay', 'Shop'] }), [2, 1]],
      ['a source', ({ source }) => ({ source: [source] }), [4]],
      ['an adapter', () => ({ source: ['generic'] }), [3, 2, 1]],
      ['an unknown source', () => ({ source: ['nobody'] }), []],
      ['words', () => ({ q: 'shop' }), [2, 1]],
      ['words in other letters', () => ({ q: 'SHOPXFRONT IS' }), [2]],
      ['a percent sign', () => ({ q: '100%' }), [1]],
      ['an underscore', () => ({ q: 'shop_f' }), [1]],
      ['double quotes', () => ({ q: '"down"' }), [1]],
      ['a single quote', () => ({ q: "o'brien" }), [3]],
      ['a backslash', () => ({ q: '\\s' }), [3]],
      ['letters beyond ASCII', () => ({ q: 'Störung Ä' }), [4]],
      ['a reference as words', () => ({ q: 'INC-002' }), [2]],
      ['no words', () => ({ q: '' }), [5, 4, 3, 2, 1]],
      ['a NUL character', () => ({ q: 'by\0 hand' }), [5]],
      ['a start', ({ since }) => ({ since }), [5, 4, 3]],
      ['an end', ({ since }) => ({ until: since }), [5, 4, 3, 2, 1]],
      ['an end before all', () => ({ until: '2020-01-01T00:00:00Z' }), []],
      ['a start in another zone', () => ({ since: '2026-07-01T14:30:00+02:00' }), [5, 4, 3]],
      ['drills', () => ({ drill: true }), [3]],
      ['no drills', () => ({ drill: false }), [5, 4, 2, 1]],
      ['ids', ({ ids }) => ({ ids: [ids[0]!, ids[3]!] }), [4, 1]],
      ['references', () => ({ ids: ['INC-002', 'inc-5', 'INC-99'] }), [5, 2]],
      ['ids and references', ({ ids }) => ({ ids: [ids[0]!, 'INC-003'] }), [3, 1]],
      [
        'several at once',
        () => ({ status: ['open', 'acknowledged'], severity: ['critical'], q: 'down' }),
        [1],
      ],
      ['several that exclude each other', () => ({ status: ['resolved'], severity: ['critical'] }), []],
    ]

    test.each(cases)('by %s', async (_, query, numbers) => {
      const answer = await t.admin.listIncidents(project.id, query({ ids, since, source: alertmanager.id }))
      expect(answer.incidents.map((incident) => Number(incident.reference.slice(4)))).toEqual(numbers)
      expect(answer.total).toBe(numbers.length)
      expect(answer.nextCursor).toBeNull()
    })

    test('go on over pages', async () => {
      const query = { status: ['open' as const], limit: 2 }
      const first = await t.admin.listIncidents(project.id, query)
      expect([first.incidents.length, first.total]).toEqual([2, 3])
      const second = await t.admin.listIncidents(project.id, { ...query, cursor: first.nextCursor! })
      expect(second.incidents.map((incident) => incident.reference)).toEqual(['INC-003'])
      expect([second.nextCursor, second.total]).toEqual([null, 3])
    })

    test('refuse a cursor that is not ours', async () => {
      for (const cursor of ['nonsense', 'bm90IGFuIGlk', '%', "' or 1=1"]) {
        const refused = await refusal(t.admin.listIncidents(project.id, { cursor }))
        expect([refused.code, refused.message]).toEqual([
          'invalid_request',
          expect.stringMatching(/^cursor: /),
        ])
      }
    })
  })

  test('pages have no gaps and no repeats while new incidents arrive', async () => {
    const project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source()
    for (let i = 0; i < 25; i++) await source.send({ id: `i${i}`, title: `I ${i}` })
    const seen: string[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await t.admin.listIncidents(project.id, { limit: 4, ...(cursor && { cursor }) })
      seen.push(...page.incidents.map((incident) => incident.title))
      await source.send({ id: `new${seen.length}`, title: 'New' })
      cursor = page.nextCursor
    }
    expect(seen).toEqual(Array.from({ length: 25 }, (_, i) => `I ${24 - i}`))
    expect((await t.admin.listIncidents(project.id, {})).incidents).toHaveLength(20)
  })

  test('an incident shows twenty signals, firing first; all of them are at its signals, newest first', async () => {
    const project = await t.project()
    const source = await project.source()
    for (let i = 0; i < 30; i++) await source.send({ id: `s${i}`, title: `S ${i}` })
    for (let i = 5; i < 30; i++) await source.send({ id: `s${i}`, action: 'resolve' })
    const [incident] = await project.incidents()
    expect(incident).toMatchObject({ signalCount: 30, firingCount: 5 })
    expect(incident?.signals).toHaveLength(20)
    expect(
      incident?.signals
        .slice(0, 5)
        .map((signal) => [signal.key, signal.status])
        .sort(),
    ).toEqual(Array.from({ length: 5 }, (_, i) => [`s${i}`, 'firing']))
    const seen: string[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await t.admin.listIncidentSignals(project.id, incident!.id, {
        limit: 7,
        ...(cursor && { cursor }),
      })
      seen.push(...page.signals.map((signal) => signal.key))
      // One already listed fires again meanwhile.
      await source.send({ id: 's29', title: 'S 29' })
      cursor = page.nextCursor
    }
    expect(seen).toEqual(Array.from({ length: 30 }, (_, i) => `s${29 - i}`))
  })

  test('timelines page oldest first, events newest first', async () => {
    const project = await t.project()
    const source = await project.source()
    for (let i = 0; i < 5; i++) await source.send({ id: `s${i}`, title: `S ${i}` })
    const [incident] = await project.incidents()
    const all = async <T>(
      list: (page: { limit: number; cursor?: string }) => Promise<{ items: T[]; nextCursor: string | null }>,
    ) => {
      const seen: T[] = []
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await list({ limit: 2, ...(cursor && { cursor }) })
        seen.push(...page.items)
        cursor = page.nextCursor
      }
      return seen
    }
    const events = await all(async (page) => {
      const { events: items, nextCursor } = await t.admin.listIncidentEvents(project.id, incident!.id, page)
      return { items: items.map((event) => event.title), nextCursor }
    })
    expect(events).toEqual(['S 4', 'S 3', 'S 2', 'S 1', 'S 0'])
    const timeline = await all(async (page) => {
      const { timeline: items, nextCursor } = await t.admin.listTimeline(project.id, incident!.id, page)
      return { items: items.map((entry) => entry.kind), nextCursor }
    })
    expect(timeline).toEqual(['opened', ...Array(5).fill('context')])
  })

  test('a recovery and an acknowledgement without a title bear that of their alert', async () => {
    const project = await t.project()
    const source = await project.source()
    await source.send({ id: 'db-1', title: 'Disk full' })
    await source.send({ id: 'db-1', action: 'acknowledge' })
    await source.send({ id: 'db-1', action: 'resolve' })
    const [incident] = await project.incidents()
    expect(incident!.status).toBe('resolved')
    const titles = (await project.events(incident!.id)).map(({ title }) => title)
    expect(titles).toEqual(['Disk full', 'Disk full', 'Disk full'])
    const texts = (await project.timeline(incident!.id)).map(({ text }) => text).join('\n')
    expect(texts).toMatch(/“Disk full” acknowledged.*“Disk full” recovered/s)
    expect(texts).not.toContain('db-1')
  })

  test('an unknown incident, id or reference, does not exist', async () => {
    const project = await t.project()
    for (const id of ['INC-001', 'nothing', '', "'", 'a\0b', '019f1d8c-e200-724d-8742-e5e0bce4ab9e'])
      expect((await refusal(t.admin.getIncident(project.id, id))).code).toBe('not_found')
    expect((await refusal(t.admin.listIncidents('nothing', {}))).code).toBe('not_found')
  })
})
