import { describe, expect, test } from 'vitest'
import { createIds } from '../../core/ids.ts'
import { forgetOld, forgetOldRequests } from '../../core/retention.ts'
import { hookRequestRow, type LoggedRequest } from '../../core/store/hook-request.ts'
import { insertRows } from '../../core/store/statement.ts'
import { databaseKinds } from '../support/databases.ts'
import { DAY, HOUR, hookRequest, MINUTE, refusal, testTocsin } from './open-test-tocsin.ts'
import { watchedWriter } from './watched-writer.ts'

const LOGGED: Omit<LoggedRequest, 'id' | 'projectId'> = {
  sourceId: null,
  status: 200,
  outcome: 'info',
  reason: null,
  message: null,
  rule: null,
  diagnosis: null,
  deliveryKey: null,
  incidentId: null,
  slotAt: null,
  slotKind: null,
  drill: false,
  keep: 'all',
}

describe.each(databaseKinds)('the health of a source on %s', (kind) => {
  const t = testTocsin(kind)

  async function observed(adapter = 'generic') {
    const project = await t.project()
    const source = await project.source(adapter)
    const health = async () => (await t.admin.getSource(project.id, source.id)).source.health
    return { project, source, health }
  }

  const newId = createIds(t.clock.now, (size) => Buffer.alloc(size, 1))

  /** Forgets what is old, and notes what each transaction answers. */
  function forgetting(answers: unknown[] = []) {
    const writer = watchedWriter(t, answers)
    return {
      forget: async (isOver?: () => boolean) => {
        const core = { database: t.database, writer, now: t.clock.now }
        await forgetOldRequests(core, isOver, async () => answers.push('rest'))
        await forgetOld(core)
      },
      close: () => writer.close(),
    }
  }

  test('counts streaks over hours and batches', async () => {
    const { source, health } = await observed()
    await Promise.all(Array.from({ length: 5 }, (_, n) => source.send({ id: `a${n}`, title: 'A' })))
    t.clock.pass(HOUR)
    await source.send({ id: 'b', title: 'B' })
    expect(await health()).toMatchObject({ successStreak: 6, failureStreak: 0, successRate24h: 1 })
    t.clock.pass(HOUR)
    for (let n = 0; n < 2; n++) await refusal(source.send({ no: 'title' }))
    t.clock.pass(2 * HOUR)
    await refusal(source.send({ no: 'title' }))
    expect(await health()).toMatchObject({
      successStreak: 0,
      failureStreak: 3,
      successRate24h: 0.6667,
      lastRequestAt: t.clock.at(),
      lastSuccessAt: t.clock.at(-3 * HOUR),
      notes: expect.arrayContaining([expect.stringMatching(/last 3 requests were refused/)]),
    })
    await source.send({ id: 'c', title: 'C' })
    expect(await health()).toMatchObject({ successStreak: 1, failureStreak: 0 })
    t.clock.pass(31 * DAY)
    expect(await health()).toMatchObject({ successRate30d: null, lastRequestAt: null, successStreak: 0 })
  })

  test('says that nothing ever recovers, until something does', async () => {
    const { source, health } = await observed()
    for (const id of ['a', 'b', 'c']) await source.send({ id, title: id })
    await source.send({ id: 'a', title: 'a' })
    expect(await health()).toMatchObject({
      opened30d: 3,
      recovered30d: 0,
      notes: [expect.stringMatching(/3 alerts began in 30 days and none recovered/)],
    })
    await source.send({ id: 'a', action: 'resolve' })
    expect(await health()).toMatchObject({ opened30d: 3, recovered30d: 1, notes: [] })
  })

  test('names status words that are not known', async () => {
    const { project, source, health } = await observed()
    await source.send({ id: 'a', title: 'A', status: 'KAPUTT' })
    t.clock.pass(MINUTE)
    await source.send({ id: 'b', title: 'B', status: 'KAPUTT' })
    await source.send({ id: 'c', title: 'C', status: 'DOWN' })
    expect(await health()).toMatchObject({
      unknownStatusWords: [{ word: 'KAPUTT', count: 2, lastAt: t.clock.at() }],
      notes: [expect.stringMatching(/"KAPUTT"\. Say in settings\.statusWords/)],
    })
    await source.set({ statusWords: { kaputt: 'fire' } })
    expect(await source.send({ id: 'd', title: 'D', status: 'KAPUTT' })).toMatchObject({
      outcome: 'attached',
    })
    // A sender that puts anything there costs no more than this.
    for (let n = 0; n < 60; n++) await source.send({ id: `x${n}`, title: 'X', status: `word ${n}` })
    expect((await health()).unknownStatusWords).toHaveLength(50)
    await t.admin.deleteProject(project.id)
  })

  const unknownWords: [string, string, object][] = [
    [
      'cloudevents',
      'com.example.Check.wobbling',
      { specversion: '1.0', source: '/checks', type: 'com.example.Check.wobbling', subject: 's' },
    ],
    [
      'uptimera',
      'incident.wobbling',
      { type: 'incident.wobbling', incident: { id: 'i' }, monitor: { id: 'm' } },
    ],
    ['datadog', 'Wobbling', { alert_id: '1', transition: 'Wobbling', title: 'Slow' }],
    [
      'uptime-kuma',
      '9',
      { heartbeat: { monitorID: 1, status: 9 }, monitor: { id: 1, name: 'Shop' }, msg: 'm' },
    ],
    ['grafana', 'wobbling', { alerts: [{ status: 'wobbling', labels: { alertname: 'A' } }] }],
    ['gitpulse', 'WOBBLING', { incident_id: 'a', status: 'WOBBLING' }],
  ]

  test.each(unknownWords)(
    'what it shows of %s as unknown can be pasted into the settings',
    async (adapter, word, body) => {
      const project = await t.project()
      const source = await project.source(adapter, { address: 'token' })
      let n = 0
      const send = async () => {
        n += 1
        t.clock.pass(MINUTE)
        const more =
          adapter === 'cloudevents'
            ? { id: `${n}` }
            : adapter === 'gitpulse'
              ? { project_uuid: project.id, incident_time: t.clock.at() }
              : { n }
        const type = adapter === 'cloudevents' ? 'application/cloudevents+json' : 'application/json'
        return (await source.send({ ...body, ...more }, { headers: { 'content-type': type } })).outcome
      }
      const unknown = async () =>
        (await t.admin.getSource(project.id, source.id)).source.health.unknownStatusWords
      expect(await send()).toBe('info')
      expect(await unknown()).toMatchObject([{ word, count: 1 }])
      const [shown] = await unknown()
      await source.set({ statusWords: { [shown!.word]: 'info' } })
      await send()
      expect(await unknown()).toMatchObject([{ word, count: 1 }])
      await source.set({ statusWords: { [shown!.word]: 'fire' } })
      expect(await send()).toBe('opened')
    },
  )

  test.each<[string, string, object]>([
    ['pagerduty', 'incident.annotated', { event: { data: { type: 'incident', id: 'P1', title: 'Down' } } }],
    [
      'pagerduty',
      'incident.annotated',
      { event: { data: { type: 'incident_note', incident: { id: 'P1' } } } },
    ],
    ['sentry', 'assigned', { data: { issue: { id: '1', title: 'E' } } }],
    ['betterstack', 'comment_added', { data: { id: '1', type: 'incident', attributes: { name: 'n' } } }],
  ])('what %s only tells, %s, can be made to open', async (adapter, word, body) => {
    const project = await t.project()
    const source = await project.source(adapter, {
      address: 'token',
      settings: { statusWords: { [word]: 'fire' } },
    })
    const said =
      'event' in body
        ? { event: { event_type: word, ...(body.event as object) } }
        : { action: word, event: word, ...body }
    expect((await source.send(said)).outcome).toBe('opened')
  })

  test('what belongs to no incident of PagerDuty only informs, whatever its word', async () => {
    const project = await t.project()
    const source = await project.source('pagerduty', {
      address: 'token',
      settings: { statusWords: { 'service.updated': 'fire' } },
    })
    const event = { event_type: 'service.updated', data: { type: 'service', summary: 's' } }
    expect((await source.send({ event })).outcome).toBe('info')
  })

  test('the last word of a type will do as well', async () => {
    const project = await t.project()
    const source = await project.source('cloudevents', { settings: { statusWords: { wobbling: 'fire' } } })
    const event = { specversion: '1.0', id: '1', source: '/checks', type: 'check.wobbling', subject: 's' }
    const headers = { 'content-type': 'application/cloudevents+json' }
    expect((await source.send(event, { headers })).outcome).toBe('opened')
  })

  test.each<[string, object]>([
    [
      'pagerduty',
      { event: { event_type: 'incident.annotated', data: { type: 'incident_note', summary: 'n' } } },
    ],
    ['pagerduty', { event: { event_type: 'service.updated', data: { type: 'service', summary: 's' } } }],
    ['pagerduty', { messages: [{ event: 'incident.delegate', incident: { id: 'P1' } }] }],
    ['uptime-kuma', { heartbeat: { monitorID: 1, status: 2 }, monitor: { id: 1, name: 'Shop' }, msg: 'm' }],
    ['uptime-kuma', { heartbeat: { monitorID: 1, status: 3 }, monitor: { id: 1, name: 'Shop' }, msg: 'm' }],
  ])('what %s only tells is known to do so', async (adapter, body) => {
    const project = await t.project()
    const source = await project.source(adapter, { address: 'token' })
    expect(await source.send(body)).toMatchObject({ success: true })
    const { health } = (await t.admin.getSource(project.id, source.id)).source
    expect(health).toMatchObject({ successStreak: 1, unknownStatusWords: [] })
  })

  test('a change event of the Events API is known to inform', async () => {
    const project = await t.project()
    const source = await project.source('pagerduty-events')
    const request = hookRequest({
      path: '/v2/change/enqueue',
      receivedAt: t.clock.at(),
      rawBody: Buffer.from(
        JSON.stringify({ routing_key: source.secret, payload: { summary: 'Deployed', source: 'ci' } }),
      ),
    })
    await t.tocsin.receive(request, { kind: 'drop-in', adapter: 'pagerduty-events', sourceId: null })
    const { health } = (await t.admin.getSource(project.id, source.id)).source
    expect(health).toMatchObject({ successStreak: 1, unknownStatusWords: [] })
  })

  test('the test button is no alert', async () => {
    const { project, source, health } = await observed()
    expect(await t.admin.testSource(project.id, source.id)).toMatchObject({ success: true })
    expect(await health()).toMatchObject({ successStreak: 2, opened30d: 0, recovered30d: 0 })
  })

  test('strangers spoil nothing: they are counted apart', async () => {
    const { source, health } = await observed()
    await source.send({ title: 'A' })
    const error = await refusal(source.send({ no: 'title' }))
    await source.send({ title: 'B' })
    const before = await health()
    t.clock.pass(MINUTE)
    for (let n = 0; n < 60; n++) await refusal(source.send({ title: 'C' }, { secret: 'guessed-secret' }))
    await expect.poll(async () => (await health()).strangers.last24h).toBe(50)
    expect(await health()).toEqual({
      ...before,
      lastErrors: [expect.objectContaining({ requestId: error.requestId })],
      strangers: { last24h: 50, last: expect.any(Array) },
      notes: [],
    })
    expect((await health()).strangers.last).toHaveLength(5)
    expect((await health()).strangers.last[0]).toMatchObject({
      at: t.clock.at(),
      message: expect.stringMatching(/^No credential/),
    })
    t.clock.pass(DAY + MINUTE)
    expect((await health()).strangers).toMatchObject({ last24h: 0, last: { length: 5 } })
  })

  test('each source has its own', async () => {
    const { project, source } = await observed()
    const other = await project.source()
    await source.send({ title: 'A' })
    const { sources } = await t.admin.listSources(project.id, {})
    const streaks = sources.map(({ id, health }) => [id, health.successStreak])
    expect(Object.fromEntries(streaks)).toEqual({ [source.id]: 1, [other.id]: 0 })
  })

  test('what is old is forgotten in small transactions, the oldest of all projects first', async () => {
    const projects = await Promise.all(Array.from({ length: 60 }, () => t.project()))
    const [first] = projects
    const oldRequests = (projectId: string, count: number) =>
      Array.from({ length: count }, () =>
        hookRequestRow(hookRequest({ receivedAt: t.clock.at() }), { ...LOGGED, id: newId(), projectId }),
      )
    const rows = [...projects.map(({ id }) => oldRequests(id, 1)), oldRequests(first!.id, 450)].flat()
    await t.database.transaction(() => insertRows('hook_request', rows))
    t.clock.pass(31 * DAY)
    await first!.source().then((source) => source.send({ title: 'New' }))

    const gone: unknown[] = []
    const { forget, close } = forgetting(gone)
    // A run that is told to stop ends with the transaction under way.
    await forget(() => gone.length > 0)
    expect(gone.filter((count) => typeof count === 'number')).toHaveLength(1)
    // Any other goes on until nothing is left, however much that is, and rests in between.
    await forget()
    await close()
    expect(gone.filter((_, at) => typeof gone[at - 1] === 'number').every((next) => next === 'rest')).toBe(
      true,
    )
    const ofRuns = gone.filter((count) => typeof count === 'number')
    expect(Math.max(...ofRuns)).toBe(200)
    expect(ofRuns.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(510)
    const left = (await t.tables()).get('hook_request')!.map((row) => row.project_id)
    expect(left.filter((id) => projects.some((project) => project.id === id))).toEqual([first!.id])
  })

  test('what is older than 30 days is forgotten, and nothing else', async () => {
    const { project, source } = await observed()
    for (let n = 0; n < 3; n++) await source.send({ id: `${n}`, title: 'Old', status: `old ${n}` })
    t.clock.pass(29 * DAY)
    await source.send({ id: 'new', title: 'New', status: 'new' })
    // To the end of the UTC day: requests are forgotten by the day.
    t.clock.pass(2 * DAY)

    const { forget, close } = forgetting()
    await forget()
    await close()
    expect((await project.requests()).map(({ outcome }) => outcome)).toHaveLength(1)
    const ofSource = async (table: string) =>
      (await t.tables()).get(table)!.filter((row) => row.source_id === source.id)
    expect(await ofSource('source_hour')).toHaveLength(1)
    expect(await ofSource('source_word')).toMatchObject([{ word: 'new' }])
  })
})

describe.each(databaseKinds)('the request log on %s', (kind) => {
  const t = testTocsin(kind)

  test('has the rule that decided', async () => {
    const project = await t.project()
    const source = await project.source()
    await source.send({ id: 'a', title: 'A' })
    await source.send({ id: 'a', title: 'A' })
    await source.send({ id: 'zz', action: 'resolve' })
    await refusal(source.send({ no: 'title' }))
    expect((await project.requests()).map(({ outcome, rule }) => [outcome, rule])).toEqual([
      ['opened', 'M4'],
      ['duplicate', expect.stringMatching(/^D/)],
      ['unmatched', expect.stringMatching(/^R/)],
      ['rejected', null],
    ])
  })
})
