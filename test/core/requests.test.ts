import { describe, expect, test } from 'vitest'
import type { Adapter } from '../../core/adapters/adapter.ts'
import { adapterBySlug } from '../../core/index.ts'
import { insertRows, updateRows } from '../../core/store/statement.ts'
import { databaseKinds } from '../support/databases.ts'
import { until } from '../support/until.ts'
import { HOUR, MINUTE, notification, refusal, type TestTocsin, testTocsin } from './open-test-tocsin.ts'

/** How many rows each table has. */
async function rowCounts(t: TestTocsin): Promise<Record<string, number>> {
  return Object.fromEntries([...(await t.tables())].map(([name, rows]) => [name, rows.length]))
}

/** Makes the adapter throw what no adapter should, until the answer is called. */
function poison(slug: string, isPoison: (body: unknown) => boolean): () => void {
  const adapter = adapterBySlug(slug) as { -readonly [K in keyof Adapter]: Adapter[K] }
  const { parse } = adapter
  adapter.parse = (body, ...more) => {
    if (isPoison(body)) throw new TypeError('a bug of ours')
    return parse(body, ...more)
  }
  return () => {
    adapter.parse = parse
  }
}

describe.each(databaseKinds)('the request log on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  test('keeps the first 4 KiB of what was rejected, with the field that was wrong', async () => {
    const project = await t.project()
    const source = await project.source()
    const body = JSON.stringify({ text: 'x'.repeat(10_000) })
    const error = await refusal(source.send(body))
    expect(error.code).toBe('invalid_payload')
    const { request } = await t.admin.getRequest(project.id, String(error.requestId))
    expect(request).toMatchObject({
      status: 400,
      outcome: 'rejected',
      reason: 'invalid_payload',
      bodySize: body.length,
      replayable: false,
      body: body.slice(0, 4096),
      events: [],
    })
    expect(request.message).toContain('title')
    const again = await refusal(t.admin.replayRequest(project.id, request.id, {}))
    expect(again.code).toBe('conflict')
  })

  test('shows and replays bodies as they came, also where only their difference to an earlier one is kept', async () => {
    const project = await t.project()
    const source = await project.source('alertmanager')
    const body = (startsAt: string) => {
      const said = notification([{ fingerprint: 'f', startsAt }])
      said.alerts[0]!.annotations = { description: `"Löst" \\ 🚒 ${'word '.repeat(100)}` }
      return JSON.stringify(said)
    }
    const bodies: string[] = []
    const send = async (text: string) => {
      bodies.push(text)
      await source.send(text)
    }
    for (let minute = 3; minute > 0; minute--) await send(body(clock.at(-minute * MINUTE)))
    // Word for word; one that is only alike at its ends; one that has hardly anything in common.
    await send(bodies[2]!)
    await send(bodies[2]!.replaceAll('word ', '🚒 '))
    await send(JSON.stringify(JSON.parse(body(clock.at())), null, 4))
    // What came on another day is not leaned on.
    clock.pass(24 * 60 * MINUTE)
    await send(body(clock.at()))

    const shown = await Promise.all(
      (await project.requests()).map(async ({ id }) => (await t.admin.getRequest(project.id, id)).request),
    )
    expect(shown.map((request) => request.body)).toEqual(bodies)
    expect(shown.map(({ bodySize }) => bodySize)).toEqual(bodies.map((text) => Buffer.byteLength(text)))
    expect(shown.every(({ replayable }) => replayable)).toBe(true)
    const kept = (await t.tables()).get('hook_request')!.filter(({ source_id: id }) => id === source.id)
    const shortened = kept.map((row) => (row.body as Buffer).length < 30)
    expect(shortened).toEqual([false, true, true, true, false, false, false])
    for (const { id } of shown) {
      expect((await t.admin.replayRequest(project.id, id, {})).outcome).toBe('duplicate')
    }
  })

  test('shows a body that 0010 kept without the longest text it shares', async () => {
    const project = await t.project()
    const source = await project.source()
    const { requestId } = await source.send({ title: 'A' })
    await t.database.transaction(function* () {
      const shared = { project_id: project.id, hash: 'h', text: '{"a":"short","b":"lo\\"ng"}' }
      yield* insertRows('shared_text', [shared])
      const cut = { body: Buffer.from('{"b": ""}'), body_text: 'h', body_text_at: 7 }
      yield* updateRows(
        'hook_request',
        [{ project_id: project.id, id: requestId, ...cut }],
        ['project_id', 'id'],
      )
    })
    const { request } = await t.admin.getRequest(project.id, requestId)
    expect(request.body).toBe('{"b": "lo\\"ng"}')
  })

  test('leans on no body that was not stored', async () => {
    const project = await t.project()
    const source = await project.source()
    const text = 'word '.repeat(100)
    await t.admin.updateProject(project.id, { ingestionEnabled: false })
    await refusal(source.send({ id: 'a', title: 'A', text }))
    await t.admin.updateProject(project.id, { ingestionEnabled: true })
    await source.send({ id: 'a', title: 'A', text })
    await source.send({ id: 'a', title: 'B', text })
    const [, stored, next] = (await t.tables())
      .get('hook_request')!
      .filter(({ source_id: id }) => id === source.id)
    expect(stored).toMatchObject({ body_like: null })
    expect(next).toMatchObject({ body_like: stored!.id })
  })

  test('an event shows its links whole, also the one to where it leads itself', async () => {
    const project = await t.project()
    const source = await project.source('alertmanager')
    const said = notification([{ fingerprint: 'f', startsAt: clock.at() }])
    const url = 'http://prometheus.example.com/graph?g0.expr=up'
    Object.assign(said.alerts[0]!, { generatorURL: url })
    said.alerts[0]!.annotations = { runbook_url: 'https://wiki.example.com/up' }
    const { requestId } = await source.send(JSON.stringify(said))
    const { request } = await t.admin.getRequest(project.id, requestId)
    expect(request.events).toMatchObject([{ url }])
    const hrefs = request.events[0]!.evidence!.links!.map(({ href }) => href)
    expect(hrefs.toSorted()).toEqual([url, 'https://wiki.example.com/up'])
  })

  test('names what is not JSON', async () => {
    const project = await t.project()
    const source = await project.source()
    expect((await refusal(source.send('{"title": '))).code).toBe('malformed_body')
    expect((await refusal(source.send(Buffer.from([0x22, 0xff, 0x22])))).code).toBe('malformed_body')
    const [, second] = await project.requests()
    const { request } = await t.admin.getRequest(project.id, second!.id)
    expect([request.bodyEncoding, request.body]).toEqual(['base64', 'Iv8i'])
  })

  test('keeps the last fifty strangers of a source, without body and with their address cut', async () => {
    const project = await t.project()
    const source = await project.source()
    const other = await project.source('alertmanager')
    await refusal(other.send({ secret: 1 }, { secret: 'wrong', ip: '2001:db8:a:b::9' }))
    for (let i = 0; i < 60; i++) {
      clock.pass(1)
      await refusal(source.send({ text: `stranger ${i}` }, { secret: 'wrong', ip: '203.0.113.77' }))
    }
    const strangersOf = async () =>
      (await project.requests()).filter(({ sourceId, status }) => sourceId === source.id && status === 401)
    await until(
      'the last stranger is stored',
      async () => (await strangersOf()).at(-1)?.receivedAt === clock.at(),
    )
    const known = await source.send({ title: 'Known' })
    const requests = await project.requests()
    const strangers = await strangersOf()
    expect(strangers).toHaveLength(50)
    expect(strangers.at(-1)).toMatchObject({
      outcome: 'rejected',
      reason: 'unauthorized',
      ip: '203.0.113.0/24',
      receivedAt: clock.at(),
      replayable: false,
    })
    expect(requests.find((request) => request.sourceId === other.id)?.ip).toBe('2001:db8:a::/48')
    const { request } = await t.admin.getRequest(project.id, strangers[0]!.id)
    expect([request.body, request.headers]).toEqual([null, {}])
    expect(requests.at(-1)).toMatchObject({ id: known.requestId, ip: '203.0.113.7' })
  })

  test('keeps a stranger with the source it asked for', async () => {
    const project = await t.project()
    await project.source()
    const second = await project.source()
    await refusal(second.send({ title: 'X' }, { secret: 'wrong' }))
    await second.send({ title: 'X' })
    await until('both are stored', async () => (await project.requests()).length === 2)
    expect((await project.requests()).map((request) => request.sourceId)).toEqual([second.id, second.id])
  })

  test('tells the health of a source', async () => {
    const project = await t.project()
    const source = await project.source()
    const health = async () => (await t.admin.getSource(project.id, source.id)).source.health
    expect(await health()).toEqual({
      successRate24h: null,
      successRate30d: null,
      lastRequestAt: null,
      lastSuccessAt: null,
      lastErrors: [],
      strangers: { last24h: 0, last: [] },
      successStreak: 0,
      failureStreak: 0,
      opened30d: 0,
      recovered30d: 0,
      unknownStatusWords: [],
      notes: [],
    })
    await source.send({ title: 'Fine' })
    const lastSuccessAt = clock.at()
    clock.pass(25 * HOUR)
    const error = await refusal(source.send({ no: 'title' }))
    expect(await health()).toEqual({
      successRate24h: 0,
      successRate30d: 0.5,
      lastRequestAt: clock.at(),
      lastSuccessAt,
      lastErrors: [
        {
          at: clock.at(),
          code: 'invalid_payload',
          message: error.message,
          diagnosis: null,
          requestId: error.requestId,
        },
      ],
      strangers: { last24h: 0, last: [] },
      successStreak: 0,
      failureStreak: 1,
      opened30d: 1,
      recovered30d: 0,
      unknownStatusWords: [],
      notes: [],
    })
  })

  test('filters by source, outcome, status and time, and pages', async () => {
    const project = await t.project()
    const a = await project.source()
    const b = await project.source()
    await a.send({ title: 'One' })
    clock.pass(MINUTE)
    const since = clock.at()
    await b.send({ title: 'Two' })
    await refusal(b.send({ no: 'title' }))
    const list = async (query: object) => {
      const { requests } = await t.admin.listRequests(project.id, query)
      return requests.map((request) => request.outcome)
    }
    expect(await list({})).toEqual(['rejected', 'attached', 'opened'])
    expect(await list({ source: a.id })).toEqual(['opened'])
    expect(await list({ outcome: ['opened', 'attached'] })).toEqual(['attached', 'opened'])
    expect(await list({ status: [400] })).toEqual(['rejected'])
    expect(await list({ since })).toEqual(['rejected', 'attached'])
    const seen: string[] = []
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await t.admin.listRequests(project.id, { limit: 1, ...(cursor && { cursor }) })
      seen.push(...page.requests.map((request) => request.outcome))
      cursor = page.nextCursor
    }
    expect(seen).toEqual(['rejected', 'attached', 'opened'])
  })

  test('a key without a source to send to is told so, and the log has it', async () => {
    const project = await t.project()
    const { secret } = await t.admin.createKey(project.id, { name: 'k', scopes: ['events:write'] })
    const one = await project.source()
    const two = await project.source()
    const send = (sourceId: string | null) =>
      t.tocsin.receive(
        {
          method: 'POST',
          path: '/hook',
          query: new URLSearchParams(),
          headers: new Map([['authorization', [`Bearer ${secret}`]]]),
          rawBody: Buffer.from('{"title":"X"}'),
          receivedAt: clock.at(),
          ip: null,
        },
        { kind: 'project', projectId: project.id, adapter: 'generic', sourceId },
      )
    const several = await refusal(send(null))
    expect([several.code, several.message]).toEqual([
      'invalid_request',
      'source: the project has several generic sources. Add ?source=<id>.',
    ])
    expect((await send(two.id)).outcome).toBe('opened')
    await t.admin.deleteSource(project.id, one.id)
    expect((await send(null)).outcome).not.toBe('rejected')
    await t.admin.deleteSource(project.id, two.id)
    const none = await refusal(send(null))
    expect(none.message).toMatch(/no such generic source/)
    expect((await project.requests()).map(({ status, sourceId }) => [status, sourceId])).toEqual([
      [400, null],
      [200, two.id],
      [200, two.id],
      [400, null],
    ])
  })

  describe('our own faults', () => {
    test('park the body, which runs at its original place once mended', async () => {
      const project = await t.project()
      const source = await project.source()
      const mend = poison('generic', () => true)
      const receivedAt = clock.at()
      const error = await refusal(source.send({ id: 'x', title: 'X' })).finally(mend)
      expect([error.code, error.retryAfterSeconds]).toEqual(['unavailable', 60])
      const { request } = await t.admin.getRequest(project.id, String(error.requestId))
      expect(request).toMatchObject({
        status: 503,
        outcome: 'parked',
        reason: 'internal',
        replayable: true,
        body: '{"id":"x","title":"X"}',
      })
      clock.pass(HOUR)
      const replayed = await t.admin.replayRequest(project.id, request.id, {})
      expect(replayed.outcome).toBe('opened')
      expect(await project.incident(replayed.incident?.id)).toMatchObject({ detectedAt: receivedAt })
      expect(await project.requests()).toMatchObject([
        {
          id: request.id,
          status: 200,
          outcome: 'opened',
          reason: null,
          receivedAt,
          incidentId: replayed.incident?.id,
        },
      ])
      expect((await t.admin.replayRequest(project.id, request.id, {})).outcome).toBe('duplicate')
    })

    test('of one request leave the others of its batch alone', async () => {
      const project = await t.project()
      const source = await project.source()
      await source.send({ id: 'first', title: 'First' })
      t.faults.length = 0
      const bodies = Array.from({ length: 8 }, (_, i) => ({ id: `b${i}`, title: `B ${i}` }))
      // Past every check of the receiver: what cannot be written as JSON stops the batch that holds it.
      const adapter = adapterBySlug('generic') as { -readonly [K in keyof Adapter]: Adapter[K] }
      const { parse } = adapter
      adapter.parse = (...given) => {
        const parsed = parse(...given)
        const isPoison = parsed.events[0]?.externalId === 'b3'
        return isPoison
          ? { ...parsed, events: parsed.events.map((event) => ({ ...event, metadata: { size: 1n } })) }
          : parsed
      }
      const answers = await Promise.allSettled(bodies.map((body) => source.send(body))).finally(() => {
        adapter.parse = parse
      })
      expect(answers.map((answer) => answer.status)).toEqual(
        bodies.map(({ id }) => (id === 'b3' ? 'rejected' : 'fulfilled')),
      )
      expect((await project.requests()).map((request) => request.outcome).sort()).toEqual([
        ...Array(7).fill('attached'),
        'opened',
        'parked',
      ])
      expect(await project.incidents()).toMatchObject([{ signalCount: 8 }])
      expect(t.faults).toHaveLength(1)
      const parked = (await project.requests()).find((request) => request.outcome === 'parked')
      expect((await t.admin.replayRequest(project.id, parked!.id, {})).outcome).toBe('attached')
    })
  })

  describe('a replay', () => {
    test('of an accepted request is a duplicate and takes no slot', async () => {
      const project = await t.project({ plan: 'pro' })
      const source = await project.source()
      const fire = await source.send({ id: 'x', title: 'X' })
      await source.send({ id: 'x', action: 'resolve' })
      const before = (await t.tables()).get('hook_request')
      clock.pass(MINUTE)
      for (const dryRun of [true, false]) {
        const again = await t.admin.replayRequest(project.id, fire.requestId, { dryRun })
        expect([again.outcome, again.duplicate, again.incident?.id]).toEqual([
          'duplicate',
          true,
          fire.incident?.id,
        ])
      }
      expect((await t.tables()).get('hook_request')).toEqual(before)
      expect(await project.incidents()).toHaveLength(1)
    })

    test('of a filtered request runs by the filter of today', async () => {
      const project = await t.project()
      const source = await project.source('sentry', { settings: { sentryProject: 'other' } })
      const issue = {
        id: '1',
        title: 'E',
        level: 'error',
        status: 'unresolved',
        project: { slug: 'shop', name: 'S' },
      }
      const headers = { 'sentry-hook-resource': 'issue', 'sentry-hook-timestamp': '1782900000' }
      const filtered = await source.send({ action: 'created', data: { issue } }, { headers })
      expect(filtered.outcome).toBe('filtered')
      expect(await project.incidents()).toEqual([])
      await source.set({ sentryProject: 'shop' })
      expect((await t.admin.replayRequest(project.id, filtered.requestId, {})).outcome).toBe('opened')
      expect((await project.requests()).map(({ outcome, reason }) => [outcome, reason])).toEqual([
        ['opened', null],
      ])
      expect((await t.admin.replayRequest(project.id, filtered.requestId, {})).outcome).toBe('duplicate')
    })

    test('of a parked request is a duplicate where its event was accepted meanwhile (D7)', async () => {
      const project = await t.project()
      const source = await project.source('alertmanager')
      const body = notification([{ fingerprint: 'x', startsAt: clock.at() }])
      const mend = poison('alertmanager', () => true)
      const error = await refusal(source.send(body)).finally(mend)
      expect((await source.send(body)).outcome).toBe('opened')
      expect((await t.admin.replayRequest(project.id, String(error.requestId), {})).outcome).toBe('duplicate')
    })

    test('run dry decides and stores nothing', async () => {
      const project = await t.project()
      const source = await project.source()
      const mend = poison('generic', () => true)
      const error = await refusal(source.send({ id: 'x', title: 'X' })).finally(mend)
      const before = await t.tables()
      const counts = await rowCounts(t)
      const dry = await t.admin.replayRequest(project.id, String(error.requestId), { dryRun: true })
      expect([dry.outcome, dry.incident?.reference]).toEqual(['opened', 'INC-001'])
      expect(await rowCounts(t)).toEqual(counts)
      expect(await t.tables()).toEqual(before)
      expect((await t.admin.replayRequest(project.id, String(error.requestId), {})).outcome).toBe('opened')
    })

    test('of a request whose source is gone is refused', async () => {
      const project = await t.project()
      const source = await project.source()
      const { requestId } = await source.send({ title: 'X' })
      await t.admin.deleteSource(project.id, source.id)
      expect((await refusal(t.admin.replayRequest(project.id, requestId, {}))).code).toBe('conflict')
      expect((await refusal(t.admin.replayRequest(project.id, 'none', {}))).code).toBe('not_found')
    })
  })
})

describe.each(databaseKinds)('the hour of a plan on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  test('parks one large body again and again without the disk it takes, each to be replayed as it came', async () => {
    const project = await t.project({ plan: 'pro' })
    const source = await project.source()
    for (let i = 0; i < 100; i++) await source.send({ id: `a${i}`, title: `A ${i}` })
    const large = (word: string) => JSON.stringify({ id: 'big', title: 'Big', text: word.repeat(25_000) })
    const bodies = [...Array(5).fill(large('word ')), large('work ')]
    for (const body of bodies) await refusal(source.send(body))

    const parked = (await t.admin.listRequests(project.id, { outcome: ['parked'] })).requests.toReversed()
    const shown = await Promise.all(parked.map(({ id }) => t.admin.getRequest(project.id, id)))
    expect(shown.map(({ request }) => request.body)).toEqual(bodies)
    const kept = (await t.tables()).get('hook_request')!.filter(({ outcome, source_id: id }) => {
      return outcome === 'parked' && id === source.id
    })
    expect(kept.map((row) => (row.body as Buffer).length)).toEqual([
      Buffer.byteLength(bodies[0]!),
      ...[0, 0, 0, 0],
      Buffer.byteLength(bodies[5]!),
    ])
    clock.pass(HOUR)
    expect((await t.admin.replayRequest(project.id, parked[3]!.id, {})).outcome).toBe('attached')
    expect((await t.admin.replayRequest(project.id, parked[4]!.id, {})).outcome).toBe('duplicate')
  })

  test('takes a hundred, parks the next and comes back exactly an hour after', async () => {
    const project = await t.project({ plan: 'pro' })
    const source = await project.source()
    const first = clock.now().getTime()
    for (let i = 0; i < 100; i++) {
      if (i === 1) clock.pass(10_000)
      await source.send({ id: `a${i}`, title: `A ${i}` })
    }
    clock.pass(90_000)
    const receivedAt = clock.at()
    const full = await refusal(source.send({ id: 'more', title: 'More' }))
    expect(full).toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 3500,
      details: { outcome: 'parked', duplicate: false },
    })
    const { request } = await t.admin.getRequest(project.id, String(full.requestId))
    expect(request).toMatchObject({
      status: 429,
      outcome: 'parked',
      reason: 'rate_limited',
      replayable: true,
    })

    // Recoveries of what fires pass a full hour; duplicates are refused, though stored before.
    expect((await source.send({ id: 'a7', action: 'resolve' })).outcome).toBe('recovered')
    expect(await refusal(source.send({ id: 'a8', title: 'A 8' }))).toMatchObject({
      code: 'rate_limited',
      details: { outcome: 'duplicate', duplicate: true },
    })
    expect((await refusal(source.send({ id: 'unknown', action: 'resolve' }))).code).toBe('rate_limited')
    expect(await refusal(t.admin.replayRequest(project.id, request.id, {}))).toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 3500,
    })
    expect((await t.admin.getRequest(project.id, request.id)).request).toMatchObject({
      status: 429,
      outcome: 'parked',
    })
    // What was accepted once runs again whatever the hour.
    const accepted = (await t.admin.listRequests(project.id, { outcome: ['opened'] })).requests[0]
    expect((await t.admin.replayRequest(project.id, accepted!.id, {})).outcome).toBe('duplicate')

    clock.pass(first + HOUR - 1 - clock.now().getTime())
    expect((await refusal(source.send({ id: 'late', title: 'Late' }))).retryAfterSeconds).toBe(1)
    clock.pass(1)
    expect((await t.admin.replayRequest(project.id, request.id, {})).outcome).toBe('attached')
    expect((await t.admin.getRequest(project.id, request.id)).request).toMatchObject({
      status: 200,
      outcome: 'attached',
      reason: null,
      receivedAt,
    })
    // The one slot that came back is taken.
    expect((await refusal(source.send({ id: 'later', title: 'Later' }))).code).toBe('rate_limited')
    await t.admin.updateProject(project.id, { plan: 'team' })
    expect((await source.send({ id: 'later', title: 'Later' })).outcome).toBe('attached')
  })

  test('a filtered or refused request takes no slot', async () => {
    const project = await t.project({ plan: 'pro' })
    const source = await project.source()
    for (let i = 0; i < 99; i++) await source.send({ id: `a${i}`, title: `A ${i}` })
    for (let i = 0; i < 3; i++) await refusal(source.send({ no: 'title' }))
    expect((await source.send({ id: 'a100', title: 'A 100' })).outcome).toBe('attached')
    expect((await refusal(source.send({ id: 'a101', title: 'A 101' }))).code).toBe('rate_limited')
  })

  test('two processes share it', async () => {
    const project = await t.project({ plan: 'pro' })
    const source = await project.source()
    const other = await t.another()
    const answers = await Promise.allSettled(
      Array.from({ length: 120 }, (_, i) =>
        source.send({ id: `s${i}`, title: `S ${i}` }, i % 2 === 0 ? {} : { by: other }),
      ),
    )
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(100)
    expect(await project.incidents()).toMatchObject([{ signalCount: 100, firingCount: 100 }])
  })
})
