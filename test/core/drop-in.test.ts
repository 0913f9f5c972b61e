import { describe, expect, test } from 'vitest'
import type { ReceiveAddress } from '../../core/tocsin.ts'
import { databaseKinds } from '../support/databases.ts'
import { ADMIN_KEY, hookRequest, MINUTE, refusal, type TestSource, testTocsin } from './open-test-tocsin.ts'

const OTHER = '11111111-1111-4111-8111-111111111111'

describe.each(databaseKinds)('the address of a drop-in adapter on %s', (kind) => {
  const t = testTocsin(kind)
  const { clock } = t

  /** Sends to the fixed address of an adapter. */
  function post(
    adapter: string,
    body: unknown,
    headers: Record<string, string> = {},
    { query = '', sourceId = null }: { query?: string; sourceId?: string | null } = {},
  ) {
    const request = hookRequest({
      path: '/fixed',
      query,
      headers,
      rawBody: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
      receivedAt: clock.at(),
    })
    const address: ReceiveAddress = { kind: 'drop-in', adapter, sourceId }
    return t.tocsin.receive(request, address)
  }

  function gitpulse(project_uuid: string, key: string, options = {}) {
    const body = { incident_id: `i-${clock.at()}`, project_uuid, status: 'DOWN', incident_time: clock.at() }
    return post('gitpulse', body, { 'x-api-key': key }, options)
  }

  const codeOf = async (answer: Promise<unknown>) => {
    const { code, message } = await refusal(answer)
    return `${String(code)}: ${message}`
  }

  describe('of GitPulse', () => {
    test('takes the secret of a source for its own project', async () => {
      const project = await t.project()
      const source = await project.source('gitpulse')
      expect(await gitpulse(project.id, source.secret)).toMatchObject({
        outcome: 'opened',
        echo: `i-${clock.at()}`,
      })
      expect(await gitpulse(project.id.toUpperCase(), source.secret)).toMatchObject({ success: true })
    })

    test('is 404 for a project the key does not open, and its owner reads why', async () => {
      const [mine, other] = [await t.project(), await t.project()]
      const source = await mine.source('gitpulse')
      await other.source('gitpulse')
      for (const id of [other.id, OTHER, 'invalid-uuid']) {
        expect(await codeOf(gitpulse(id, source.secret))).toBe(
          `not_found: Project with UUID '${id}' not found`,
        )
      }
      expect(await other.requests()).toEqual([])
      expect(await mine.requests()).toMatchObject([{ status: 404 }, { status: 404 }, { status: 404 }])
    })

    test('is 401 for a wrong key, whatever the project; the owner of a named one sees that something knocked', async () => {
      const project = await t.project()
      const source = await project.source('gitpulse')
      const wrong = [
        [project.id, `${source.secret}x`],
        [OTHER, 'wrong'],
        ['none', ''],
      ] as const
      for (const [id, key] of wrong) expect(await codeOf(gitpulse(id, key))).toMatch(/^unauthorized: /)
      expect(await codeOf(post('gitpulse', {}))).toMatch(/^unauthorized: /)
      await expect
        .poll(() => project.requests())
        .toMatchObject([{ status: 401, bodySize: expect.any(Number) }])
    })

    test('tells projects that share a secret apart', async () => {
      const [one, two] = [await t.project(), await t.project()]
      const secret = 'one-secret-for-all'
      await one.source('gitpulse', { secret })
      await gitpulse(one.id, secret)
      await two.source('gitpulse', { secret })
      await gitpulse(two.id, secret)
      expect([(await one.incidents()).length, (await two.incidents()).length]).toEqual([1, 1])
    })

    test('takes an API key with events:write of that project, or of all', async () => {
      const project = await t.project()
      await project.source('gitpulse')
      const key = async (...scopes: ('events:write' | 'incidents:read')[]) =>
        (await t.admin.createKey(project.id, { name: 'k', scopes })).secret
      expect(await gitpulse(project.id, await key('events:write'))).toMatchObject({ outcome: 'opened' })
      clock.pass(1000)
      expect(await gitpulse(project.id, ADMIN_KEY)).toMatchObject({ outcome: 'opened' })
      expect(await codeOf(gitpulse(project.id, await key('incidents:read')))).toMatch(/^unauthorized/)
      expect(await codeOf(gitpulse(OTHER, await key('events:write')))).toMatch(/^not_found/)
      expect(await codeOf(gitpulse(OTHER, ADMIN_KEY))).toMatch(/^not_found/)
      expect(await codeOf(post('gitpulse', {}, { 'x-api-key': ADMIN_KEY }))).toBe(
        'invalid_payload: project_uuid is missing: send it as text.',
      )
    })

    test('wants to be told which of several sources an API key means', async () => {
      const project = await t.project()
      const { secret } = await t.admin.createKey(project.id, { name: 'k', scopes: ['events:write'] })
      expect(await codeOf(gitpulse(project.id, secret))).toContain('the project has no such gitpulse source')
      await project.source('gitpulse')
      const second = await project.source('gitpulse')
      expect(await codeOf(gitpulse(project.id, secret))).toContain('Add ?source=<id>')
      await gitpulse(project.id, secret, { sourceId: second.id })
      const [incident] = await project.incidents()
      expect(incident?.signals[0]?.source.id).toBe(second.id)
    })

    test('says which field is wrong once the key is right, and logs it', async () => {
      const project = await t.project()
      const source = await project.source('gitpulse')
      const sent = (body: unknown) => codeOf(post('gitpulse', body, { 'x-api-key': source.secret }))
      expect(await sent('{broken')).toMatch(/^malformed_body/)
      expect(await sent({})).toContain('incident_id is missing')
      expect(await project.requests()).toMatchObject([{ status: 400 }, { status: 400 }])
    })

    test('takes the new key from the next request on, and the old one for the overlap', async () => {
      const project = await t.project()
      const source = await project.source('gitpulse')
      await gitpulse(project.id, source.secret)
      const { secret } = await t.admin.rotateSource(project.id, source.id, { overlapMinutes: 5 })
      clock.pass(MINUTE)
      expect(await gitpulse(project.id, secret!)).toMatchObject({ success: true })
      expect(await gitpulse(project.id, source.secret)).toMatchObject({ success: true })
      clock.pass(5 * MINUTE)
      expect(await codeOf(gitpulse(project.id, source.secret))).toMatch(/^unauthorized/)
    })
  })

  describe('of the Events API', () => {
    const event = (source: Pick<TestSource, 'secret'>, more: object = {}) =>
      post('pagerduty-events', {
        routing_key: source.secret,
        event_action: 'trigger',
        dedup_key: 'db-1',
        payload: { summary: 'Lag', source: 'db-1', severity: 'critical' },
        ...more,
      })

    test('finds the source by its routing key of 32 hex digits', async () => {
      const project = await t.project()
      const source = await project.source('pagerduty-events')
      expect(source.secret).toMatch(/^[0-9a-f]{32}$/)
      expect(await event(source)).toMatchObject({ outcome: 'opened', echo: 'db-1' })
      expect(await event(source)).toMatchObject({ outcome: 'duplicate', echo: 'db-1' })
      expect(await event(source, { event_action: 'acknowledge' })).toMatchObject({ outcome: 'acknowledged' })
      expect(await event(source, { event_action: 'resolve' })).toMatchObject({ outcome: 'resolved' })
      expect(await event(source)).toMatchObject({ duplicate: false })
    })

    test('shows the summary of the trigger, not its key, where no other is given', async () => {
      const project = await t.project()
      const source = await project.source('pagerduty-events')
      await event(source)
      await event(source, { event_action: 'acknowledge', payload: undefined })
      await event(source, { event_action: 'resolve', payload: undefined })
      const [incident] = await project.incidents()
      expect((await project.events(incident!.id)).map(({ title }) => title)).toEqual(['Lag', 'Lag', 'Lag'])
    })

    test('refuses an unknown key, one that is missing and a body that names none', async () => {
      expect(await codeOf(event({ secret: 'f'.repeat(32) }))).toMatch(/^unauthorized/)
      expect(await codeOf(event({ secret: '' }))).toMatch(/^unauthorized/)
      expect(await codeOf(post('pagerduty-events', '{broken'))).toMatch(/^malformed_body/)
    })

    test('keeps the body for a replay, and shows it without the key', async () => {
      const project = await t.project()
      const source = await project.source('pagerduty-events')
      const accepted = await event(source, { dedup_key: 'kept' })
      expect(await codeOf(event(source, { dedup_key: 'x'.repeat(300) }))).toMatch(/^invalid_payload/)
      const shown = await Promise.all(
        (await project.requests()).map(async ({ id }) => t.admin.getRequest(project.id, id)),
      )
      expect(shown).toHaveLength(2)
      for (const { request } of shown) {
        expect(request.body).toContain(`"routing_key":"${'*'.repeat(32)}","event_action":"trigger"`)
        expect(JSON.stringify(request)).not.toContain(source.secret)
      }
      expect(await t.admin.replayRequest(project.id, accepted.requestId, {})).toMatchObject({
        duplicate: true,
      })
    })

    test('does not let two projects share what alone tells the source', async () => {
      const [one, two] = [await t.project(), await t.project()]
      const source = await one.source('pagerduty-events')
      await one.source('pagerduty-events', { secret: source.secret })
      // What it answers does not say that somebody has it.
      const unfit = await codeOf(two.source('pagerduty-events', { secret: 'too-short' }))
      expect(unfit).toContain('20 to 200')
      expect(await codeOf(two.source('pagerduty-events', { secret: source.secret }))).toBe(unfit)
      const own = await two.source('pagerduty-events')
      const rotated = t.admin.rotateSource(two.id, own.id, { secret: source.secret })
      expect(await codeOf(rotated)).toBe(unfit)
    })
  })

  describe('of Grafana IRM', () => {
    test('finds the source by its bearer token and declares whatever the body is', async () => {
      const project = await t.project()
      const source = await project.source('grafana-irm', { name: 'Call centre' })
      const declare = (body: string, query = '') =>
        post(
          'grafana-irm',
          body,
          { authorization: `Bearer ${source.secret}`, 'content-type': 'text/plain' },
          { query },
        )

      expect(await declare('{"a":{"b":"Slow"}}', 'title=json(a.b)&severity=major')).toMatchObject({
        incident: { title: 'Slow', severity: 'high' },
      })
      const { incident, requestId } = await declare(`broken ${'x'.repeat(5000)}`, 'title=json(a.b)')
      expect(incident).toMatchObject({ title: 'Incident declared by Call centre', severity: 'medium' })
      expect((await project.events(incident!.id))[0]?.flags).toContain('bodyNotRead')
      const { request } = await t.admin.getRequest(project.id, requestId)
      expect(request.body?.length).toBe(4096)
      expect(request.message).toContain('defaults')
    })

    test('takes a path that is not closed as it stands, and tells the owner', async () => {
      const project = await t.project()
      const { secret } = await project.source('grafana-irm')
      const headers = { authorization: `Bearer ${secret}` }
      const declare = (query: string) => post('grafana-irm', { a: 'Down' }, headers, { query })
      const remarkOf = async ({ requestId }: { requestId?: string }) =>
        (await project.requests()).find(({ id }) => id === requestId)?.diagnosis

      const broken = await declare('title=json(a&labels=json(a.b) x')
      expect(broken).toMatchObject({ outcome: 'opened', incident: { title: 'json(a' } })
      expect(await remarkOf(broken)).toMatch(
        /^In the address, title, labels looks like a path .*json\(a\.b\)/,
      )
      expect(await remarkOf(await declare('title=json(a)&other=json(a'))).toBeNull()

      const generic = await project.source('generic')
      const sent = await generic.send({ name: 'Down' }, { query: 'title=json(a' })
      expect(await remarkOf(sent)).toMatch(/^In the address, title looks like a path/)
    })

    test('a body that is no text is kept as its bytes', async () => {
      const project = await t.project()
      const source = await project.source('grafana-irm')
      const body = Buffer.from('{"a":1}', 'utf16le').toString()
      const { requestId } = await post('grafana-irm', body, { authorization: `Bearer ${source.secret}` })
      const { request } = await t.admin.getRequest(project.id, requestId)
      expect([request.bodyEncoding, Buffer.from(request.body ?? '', 'base64').toString()]).toEqual([
        'base64',
        body,
      ])
    })

    test('reads a body of the wrong size as none', async () => {
      const project = await t.project()
      const source = await project.source('grafana-irm')
      const { TocsinError } = await import('../../core/errors.ts')
      const request = hookRequest({
        headers: { authorization: `Bearer ${source.secret}` },
        rawBody: Buffer.from('{"cut":'),
        receivedAt: clock.at(),
      })
      const refused = new TocsinError('payload_too_large', 'Too large.')
      const answer = await t.tocsin.receive(
        request,
        { kind: 'drop-in', adapter: 'grafana-irm', sourceId: null },
        refused,
      )
      expect(answer.outcome).toBe('opened')
    })

    test('refuses a token that is wrong, twice there or of another adapter', async () => {
      const project = await t.project()
      const irm = await project.source('grafana-irm')
      const gitpulse = await project.source('gitpulse')
      const declare = (authorization: string) => codeOf(post('grafana-irm', {}, { authorization }))
      for (const token of [`Bearer ${irm.secret}x`, irm.secret, `Bearer ${gitpulse.secret}`, 'Bearer ']) {
        expect(await declare(token)).toMatch(/^unauthorized/)
      }
      const twice = hookRequest({ receivedAt: clock.at() })
      const headers = new Map([['authorization', [`Bearer ${irm.secret}`, `Bearer ${irm.secret}`]]])
      const address: ReceiveAddress = { kind: 'drop-in', adapter: 'grafana-irm', sourceId: null }
      expect(await codeOf(t.tocsin.receive({ ...twice, headers }, address))).toMatch(/^unauthorized/)
    })
  })

  test('is the address a source shows, and no other adapter has one', async () => {
    const project = await t.project()
    const url = async (adapter: string, input = {}) =>
      (await t.admin.createSource(project.id, { adapter, ...input })).source.url.replace(
        'https://tocsin.example',
        '',
      )
    expect(await url('gitpulse')).toBe('/api/incidents/webhook/')
    expect(await url('grafana-irm')).toBe('/api/experimental/incoming-webhooks/grafana.incident.create')
    expect(await url('pagerduty-events')).toBe('/v2/enqueue')
    expect(await url('runframe')).toMatch(/^\/webhooks\/[\w-]{43}$/)
    expect(await url('gitpulse', { address: 'token' })).toMatch(/^\/api\/webhooks\/gitpulse\/[\w-]{43}$/)
    expect(await url('runframe', { address: 'project' })).toBe(`/api/v1/webhooks/${project.id}/runframe`)
    expect(await codeOf(post('generic', {}))).toMatch(/^unauthorized/)
  })

  test.each(['gitpulse', 'grafana-irm', 'pagerduty-events', 'runframe'])(
    'the test button of a %s source opens a drill',
    async (adapter) => {
      const project = await t.project()
      const source = await project.source(adapter)
      const { success, answers } = await t.admin.testSource(project.id, source.id)
      expect(success).toBe(true)
      expect(answers.map(({ outcome }) => outcome)).toEqual(
        adapter === 'runframe' ? ['opened'] : ['opened', 'resolved'],
      )
      // What a sender's own shape answers is no part of ours.
      for (const answer of answers) expect(answer).not.toHaveProperty('echo')
      expect(await project.incidents()).toMatchObject([{ drill: true, title: 'Tocsin test' }])
    },
  )
})
