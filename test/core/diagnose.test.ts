import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { ReceiveAddress } from '../../core/tocsin.ts'
import type { HookRequest } from '../../core/types.ts'
import { databaseKinds } from '../support/databases.ts'
import { until } from '../support/until.ts'
import {
  hookRequest,
  MINUTE,
  notification,
  refusal,
  type Sending,
  type TestProject,
  type TestSource,
  testTocsin,
} from './open-test-tocsin.ts'

const BODY = '{ "title": "Checkout is down",\n  "n": 1 }'

function hmac(secret: string, body: string, prefix = ''): string {
  return createHmac('sha256', secret).update(prefix).update(body).digest('hex')
}

describe.each(databaseKinds)('a rejected request is diagnosed for the owner on %s', (kind) => {
  const t = testTocsin(kind)

  /** Sends what is refused and answers what the log says of it, once it is there. */
  async function diagnosed(source: TestSource, body: string, sending: Sending): Promise<string | null> {
    const error = await refusal(source.send(body, sending))
    const id = String(error.requestId)
    const known = async () => (await source.project.requests()).find((request) => request.id === id)
    await until('the rejection is logged', async () => (await known()) !== undefined)
    const found = await known()
    // Whoever sent it is told nothing of it.
    if (found?.diagnosis)
      expect(JSON.stringify([error.message, error.details])).not.toContain(found.diagnosis)
    for (const secret of [source.secret, sending.secret ?? source.secret]) {
      expect(found?.diagnosis ?? '').not.toContain(secret)
    }
    return found?.diagnosis ?? null
  }

  async function sentry(body: string, headers: (secret: string) => Record<string, string>) {
    const source = await (await t.project()).source('sentry')
    return diagnosed(source, body, { headers: headers(source.secret) })
  }

  test.each([
    ['a newline', '\n', /matches if the trailing newline of the secret is removed/],
    ['CR and LF', '\r\n', /matches if the trailing newline of the secret is removed/],
    ['a space', ' ', /matches if the trailing space of the secret is removed/],
  ])('signed with a secret that ends in %s', async (_, end, expected) => {
    const told = await sentry(BODY, (secret) => ({ 'sentry-hook-signature': hmac(secret + end, BODY) }))
    expect(told).toMatch(expected)
  })

  test('signed with the secret in quotes', async () => {
    const told = await sentry(BODY, (secret) => ({ 'sentry-hook-signature': hmac(`"${secret}"`, BODY) }))
    expect(told).toMatch(/quotes around the secret/)
  })

  test.each([
    ['parsed and serialised again', JSON.stringify(JSON.parse(BODY)), /parsed and serialised again/],
    ['without its last newline', BODY.trimEnd(), /newline at the end of the body/],
  ])('signed over the body %s', async (_, signed, expected) => {
    const told = await sentry(`${BODY}\n`, (secret) => ({ 'sentry-hook-signature': hmac(secret, signed) }))
    expect(told).toMatch(expected)
  })

  test.each([0, 5])('signed with the previous secret, %i minutes of overlap', async (overlapMinutes) => {
    const project = await t.project()
    const source = await project.source('sentry')
    await t.admin.rotateSource(project.id, source.id, { overlapMinutes })
    const end = t.clock.at(overlapMinutes * MINUTE).replace('.000', '')
    t.clock.pass(5 * MINUTE)
    expect(await diagnosed(source, BODY, {})).toBe(
      `It is signed with the previous secret, rotated out at ${end}. Give the sender the current one.`,
    )
  })

  test('sent to the previous token', async () => {
    const project = await t.project()
    const source = await project.source('betterstack')
    await t.admin.rotateSource(project.id, source.id, {})
    expect(await diagnosed(source, BODY, {})).toBe(
      `It came to the previous address of the source, rotated out at ${t.clock.at().replace('.000', '')}. Paste the current one.`,
    )
  })

  test('signed by a clock that is wrong', async () => {
    const project = await t.project()
    const source = await project.source('grafana', { settings: { timestampHeader: 'X-Time' } })
    const signed = (ms: number) => {
      const seconds = String(Math.floor(t.clock.now().getTime() / 1000) + ms / 1000)
      const signature = hmac(source.secret, BODY, `${seconds}:`)
      return { headers: { 'x-time': seconds, 'x-grafana-alerting-signature': signature } }
    }
    expect(await diagnosed(source, BODY, signed(-7 * MINUTE))).toMatch(/clock 7 minutes behind ours/)
    expect(await diagnosed(source, BODY, signed(12 * MINUTE))).toMatch(/clock 12 minutes ahead of ours/)
    const alone = { headers: { 'x-grafana-alerting-signature': hmac(source.secret, BODY) } }
    expect(await diagnosed(source, BODY, alone)).toMatch(/over the body alone/)
  })

  test('signed with a time the source does not look for', async () => {
    const source = await (await t.project()).source('grafana')
    const seconds = String(Math.floor(t.clock.now().getTime() / 1000))
    const headers = {
      'x-time': seconds,
      'x-grafana-alerting-signature': hmac(source.secret, BODY, `${seconds}:`),
    }
    expect(await diagnosed(source, BODY, { headers })).toMatch(/set settings.timestampHeader to "x-time"/)
  })

  test.each<[string, (secret: string) => Record<string, string>, RegExp]>([
    [
      'the secret itself instead of a signature',
      (secret) => ({ authorization: `Bearer ${secret}` }),
      /secret itself came in the header authorization; this source takes a signature/,
    ],
    [
      'a right signature in another header',
      (secret) => ({ 'x-hub-signature-256': `sha256=${hmac(secret, BODY)}` }),
      /right signature came in the header x-hub-signature-256; this source takes it in sentry-hook-signature/,
    ],
    [
      'a right signature in base64',
      (secret) => ({
        'sentry-hook-signature': Buffer.from(hmac(secret, BODY), 'hex').toString('base64'),
      }),
      /signature in the header sentry-hook-signature is right but written as base64: send it as 64 lower/,
    ],
    [
      'a right signature in capitals',
      (secret) => ({ 'sentry-hook-signature': hmac(secret, BODY).toUpperCase() }),
      /signature in the header sentry-hook-signature is right but written in another form: send it as 64/,
    ],
    [
      'a right signature with its algorithm before it',
      (secret) => ({ 'sentry-hook-signature': `sha256=${hmac(secret, BODY)}` }),
      /is right but written in another form: send it as 64 lower-case hex digits alone/,
    ],
    ['no credential', () => ({}), /carried no credential: none of the headers sentry-hook-signature/],
    [
      'an API key',
      () => ({ authorization: `Bearer tocsin_${'k'.repeat(40)}` }),
      /An API key came in the header authorization/,
    ],
  ])('carrying %s', async (_, headers, expected) => {
    const told = await sentry(BODY, (secret) => ({ 'sentry-hook-signature': '', ...headers(secret) }))
    expect(told).toMatch(expected)
  })

  test('an API key where one is taken, by what it lacks', async () => {
    const project = await t.project()
    const other = await t.project()
    const keyOf = async ({ id }: TestProject, scope: 'sources:read' | 'events:write') =>
      (await t.admin.createKey(id, { name: scope, scopes: [scope] })).secret
    const reading = await keyOf(project, 'sources:read')
    const foreign = await keyOf(other, 'events:write')
    const body = JSON.stringify({ project_uuid: project.id, incident_id: 'a', status: 'DOWN' })
    const gitpulse = await project.source('gitpulse')
    const generic = await project.source('generic')
    const atDropIn = async (key: string) => {
      const sent = hookRequest({
        path: '/api/incidents/webhook/',
        headers: { 'content-type': 'application/json', 'x-api-key': key },
        rawBody: Buffer.from(body),
        receivedAt: t.clock.at(),
      })
      const address: ReceiveAddress = { kind: 'drop-in', adapter: 'gitpulse', sourceId: null }
      const logged = async (id: unknown) => (await project.requests()).find((request) => request.id === id)
      const { requestId } = await refusal(t.tocsin.receive(sent, address))
      await until('the rejection is logged', async () => (await logged(requestId)) !== undefined)
      return logged(requestId)
    }
    expect(await atDropIn(reading)).toMatchObject({
      sourceId: gitpulse.id,
      diagnosis:
        'An API key came in the header x-api-key, but it lacks the scope events:write. Send one that has it, or the secret of the source.',
    })
    expect((await atDropIn(`tocsin_${'k'.repeat(40)}`))?.diagnosis).toMatch(/unknown, revoked or of another/)
    const say = (headers: Record<string, string>) =>
      diagnosed(generic, BODY, { headers: { 'x-webhook-secret': '', ...headers } })
    expect(await say({ authorization: `Bearer ${reading}` })).toMatch(/lacks the scope events:write/)
    expect(await say({ authorization: `Bearer ${foreign}` })).toMatch(/unknown, revoked or of another/)
    expect(await say({ 'x-api-key': reading })).toMatch(/this source takes one in authorization/)
  })

  test('the secret in the query', async () => {
    const source = await (await t.project()).source()
    const told = await diagnosed(source, BODY, {
      headers: { 'x-webhook-secret': 'wrong' },
      query: `secret=${source.secret}`,
    })
    expect(told).toMatch(/came in the query parameter "secret"; .* rotate the secret/)
  })

  test('the secret of another source, also where the project has none of that adapter', async () => {
    const project = await t.project()
    const grafana = await project.source('grafana', { name: 'Metrics' })
    const sentryToo = await project.source('sentry')
    const headers = { 'sentry-hook-signature': '', 'x-webhook-secret': grafana.secret }
    expect(await diagnosed(sentryToo, BODY, { headers })).toMatch(
      /credential is that of the source "Metrics" \(grafana\), but it came to an address of sentry/,
    )
    await t.admin.deleteSource(project.id, sentryToo.id)
    expect(await diagnosed(sentryToo, BODY, { headers })).toMatch(/source "Metrics"/)
    expect((await project.requests()).at(-1)?.sourceId).toBe(grafana.id)
  })

  test('the secret of another source that has been rotated out is nobody’s', async () => {
    const project = await t.project()
    const grafana = await project.source('grafana')
    const sentryToo = await project.source('sentry')
    await t.admin.rotateSource(project.id, grafana.id, { overlapMinutes: 0 })
    const headers = { 'sentry-hook-signature': 'x', 'x-webhook-secret': grafana.secret }
    expect(await diagnosed(sentryToo, BODY, { headers })).toBeNull()
  })

  test('PagerDuty’s signature without its version', async () => {
    const source = await (await t.project()).source('pagerduty')
    const headers = { 'x-webhook-secret': '', 'x-pagerduty-signature': hmac(source.secret, BODY) }
    expect(await diagnosed(source, BODY, { headers })).toMatch(
      /in the header x-pagerduty-signature is right but .* send it as v1= and 64 lower-case hex digits/,
    )
  })

  describe('where an address leads to several sources', () => {
    /** Sends to what they share, and answers the rejections that are logged for it, the newest first. */
    async function knock(project: TestProject, address: ReceiveAddress, sending: Partial<HookRequest>) {
      const request = { ...hookRequest({ receivedAt: t.clock.at() }), ...sending }
      const { requestId } = await refusal(t.tocsin.receive(request, address))
      const logged = async () => (await project.requests()).find(({ id }) => id === requestId)
      await until('the rejection is logged', async () => (await logged()) !== undefined)
      const { sourceId, diagnosis } = (await logged())!
      return { sourceId, diagnosis }
    }
    const headersOf = (headers: Record<string, string>) =>
      new Map(Object.entries(headers).map(([name, value]) => [name, [value]]))
    const at = (project: TestProject, adapter: string, sourceId: string | null = null): ReceiveAddress => ({
      kind: 'project',
      projectId: project.id,
      adapter,
      sourceId,
    })

    test('the one whose secret it was is meant, and no other', async () => {
      const project = await t.project()
      const sources = []
      for (let n = 0; n < 12; n++) sources.push(await project.source('sentry', { name: `Sentry ${n}` }))
      const last = sources.at(-1)!
      const sentBy = (secret: string) => ({
        rawBody: Buffer.from(BODY),
        headers: headersOf({ 'sentry-hook-signature': hmac(secret, BODY) }),
      })
      expect(await knock(project, at(project, 'sentry'), sentBy(`${last.secret}\n`))).toMatchObject({
        sourceId: last.id,
        diagnosis: expect.stringMatching(/trailing newline/),
      })
      await t.admin.rotateSource(project.id, last.id, { overlapMinutes: 0 })
      expect(await knock(project, at(project, 'sentry'), sentBy(last.secret))).toMatchObject({
        sourceId: last.id,
        diagnosis: expect.stringMatching(/previous secret/),
      })
      expect(await knock(project, at(project, 'sentry'), sentBy('nobody’s'))).toEqual({
        sourceId: null,
        diagnosis: null,
      })
    })

    test('what holds for all of them is said, and none is blamed', async () => {
      const project = await t.project()
      await project.source('sentry')
      const second = await project.source('sentry')
      expect(await knock(project, at(project, 'sentry'), {})).toMatchObject({
        sourceId: null,
        diagnosis: expect.stringMatching(/carried no credential/),
      })
      expect(await knock(project, at(project, 'sentry', second.id), {})).toMatchObject({
        sourceId: second.id,
      })
      expect(await knock(project, at(project, 'sentry', 'none'), {})).toMatchObject({
        sourceId: null,
        diagnosis: expect.stringMatching(/\?source= for a source that is not there/),
      })
    })

    test('of fifty such rejections and more the last fifty are kept', async () => {
      const project = await t.project()
      const other = await t.project()
      for (const one of [project, other]) for (let n = 0; n < 2; n++) await one.source('sentry')
      await knock(other, at(other, 'sentry'), {})
      for (let n = 0; n < 53; n++) await knock(project, at(project, 'sentry'), {})
      expect([(await project.requests()).length, (await other.requests()).length]).toEqual([50, 1])
    })

    test('a token that was rotated out is told apart among more than ten', async () => {
      const project = await t.project()
      for (let n = 0; n < 11; n++) await project.source('betterstack')
      const last = await project.source('betterstack')
      await t.admin.rotateSource(project.id, last.id, {})
      const address: ReceiveAddress = { kind: 'token', token: last.secret, adapter: 'betterstack' }
      expect(await knock(project, address, {})).toMatchObject({
        sourceId: last.id,
        diagnosis: expect.stringMatching(/previous address/),
      })
    })

    test.each<[string, (secret: string, projectId: string) => Partial<HookRequest>]>([
      [
        'pagerduty-events',
        (secret) => ({
          rawBody: Buffer.from(JSON.stringify({ routing_key: secret, event_action: 'trigger' })),
        }),
      ],
      ['grafana-irm', (secret) => ({ headers: headersOf({ authorization: `Bearer ${secret}` }) })],
      ['gitpulse', (secret) => ({ headers: headersOf({ 'x-api-key': secret }) })],
      [
        'gitpulse',
        (secret, projectId) => ({
          headers: headersOf({ 'x-api-key': secret }),
          rawBody: Buffer.from(JSON.stringify({ project_uuid: projectId })),
        }),
      ],
    ])('also at the one address of %s', async (adapter, sent) => {
      const project = await t.project()
      await project.source(adapter)
      const second = await project.source(adapter)
      await t.admin.rotateSource(project.id, second.id, { overlapMinutes: 0 })
      const address: ReceiveAddress = { kind: 'drop-in', adapter, sourceId: null }
      expect(await knock(project, address, sent(second.secret, project.id))).toEqual({
        sourceId: second.id,
        diagnosis: `It carries the previous secret, rotated out at ${t.clock.at().replace('.000', '')}. Give the sender the current one.`,
      })
    })
  })

  test("another tool's body", async () => {
    const project = await t.project()
    const body = JSON.stringify({
      ...notification([{ fingerprint: 'a', startsAt: t.clock.at() }]),
      orgId: 1,
    })
    const strange = await project.source('sentry')
    expect(await diagnosed(strange, body, { headers: { 'sentry-hook-signature': 'x' } })).toMatch(
      /looks like a body of grafana but came to the address of sentry/,
    )
    expect(await diagnosed(strange, body, {})).toMatch(/looks like a body of grafana/)
  })

  test('an address that is not in the list, behind a proxy too', async () => {
    const project = await t.project()
    const source = await project.source('generic', { settings: { cidrs: ['192.0.2.0/24'] } })
    expect(await diagnosed(source, BODY, { ip: '198.51.100.7' })).toBe(
      "The address 198.51.100.7 is in none of 192.0.2.0/24. Add it to settings.cidrs if it is the sender's.",
    )
    expect(await diagnosed(source, BODY, { ip: 'unknown' })).toMatch(/^The address unknown is in none of/)
    const proxied = { ip: '10.0.0.1', headers: { 'x-forwarded-for': '192.0.2.1' } }
    expect(await diagnosed(source, BODY, proxied)).toMatch(/name it in TOCSIN_TRUST_PROXY/)
    // The address stands in the header, so the proxy was believed.
    for (const header of ['198.51.100.7', '192.0.2.1, 198.51.100.7:4711']) {
      const trusted = { ip: '198.51.100.7', headers: { 'x-forwarded-for': header } }
      expect(await diagnosed(source, BODY, trusted)).not.toMatch(/TRUST_PROXY/)
    }
  })

  test('a plain wrong secret has no better explanation', async () => {
    const source = await (await t.project()).source()
    expect(await diagnosed(source, BODY, { secret: 'wrong-secret' })).toBeNull()
    const { health } = (await t.admin.getSource(source.project.id, source.id)).source
    expect(health.strangers).toMatchObject({ last24h: 1, last: [{ diagnosis: null }] })
  })
})
