import { adapters, NO_SETTINGS, TocsinError } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { operations } from '../../ingest/app.ts'
import { openApiDocument } from '../../ingest/openapi.ts'
import { webhookAddresses } from '../../ingest/routes/webhooks.ts'
import { hookRequest } from '../core/adapters/payload.ts'
import { serve } from './serve.ts'
import { stubTocsin } from './stub-tocsin.ts'

const JSON_TYPE = { 'Content-Type': 'application/json' }
const GITPULSE = '/api/incidents/webhook/'
const EVENTS = '/v2/enqueue'
const IRM = '/api/experimental/incoming-webhooks/grafana.incident.create'

async function post(path: string, error?: TocsinError, headers: Record<string, string> = JSON_TYPE) {
  const tocsin = stubTocsin(error ? { receive: () => Promise.reject(error) } : {})
  const { url } = await serve({ tocsin })
  const response = await fetch(url + path, { method: 'POST', headers, body: '{}' })
  return { status: response.status, headers: response.headers, body: await response.json(), tocsin }
}

test.each([
  [GITPULSE, { kind: 'drop-in', adapter: 'gitpulse', sourceId: null }],
  [GITPULSE.slice(0, -1), { kind: 'drop-in', adapter: 'gitpulse' }],
  [`${GITPULSE}?source=s-1`, { kind: 'drop-in', adapter: 'gitpulse', sourceId: 's-1' }],
  [EVENTS, { kind: 'drop-in', adapter: 'pagerduty-events' }],
  ['/v2/change/enqueue', { kind: 'drop-in', adapter: 'pagerduty-events' }],
  [IRM, { kind: 'drop-in', adapter: 'grafana-irm' }],
  [`/api/plugins/grafana-incident-app/resources${IRM}`, { kind: 'drop-in', adapter: 'grafana-irm' }],
  [`/grafana/api/plugins/grafana-irm-app/resources${IRM}`, { kind: 'drop-in', adapter: 'grafana-irm' }],
  [`/a/b/api/plugins/p/resources${IRM}?drill=1`, { kind: 'drop-in', adapter: 'grafana-irm' }],
])('%s is understood', async (path, address) => {
  const { tocsin } = await post(path)
  expect(tocsin.received[0]?.address).toMatchObject(address)
})

test.each([`${IRM}&drill=true&title=a`, `${IRM}?&drill=true&title=a`, `${IRM}?drill=true&title=a`])(
  'the query of %s is read',
  async (path) => {
    const { tocsin } = await post(path)
    expect([...tocsin.received[0]!.request.query]).toEqual([
      ['drill', 'true'],
      ['title', 'a'],
    ])
    expect(tocsin.received[0]!.request.path).toBe(IRM)
  },
)

describe('what it answers', () => {
  test('is the shape of the service it stands in for', async () => {
    expect(await post('/webhooks/t')).toMatchObject({
      status: 200,
      body: { success: true, incident: { id: 'INC-001', severity: 'High', status: 'investigating' } },
    })
    expect(await post(GITPULSE)).toMatchObject({
      status: 200,
      body: { success: true, message: 'Incident recorded successfully' },
    })
    expect(await post(EVENTS)).toMatchObject({
      status: 202,
      body: { status: 'success', message: 'Event processed' },
    })
    expect(await post(IRM)).toMatchObject({ status: 200, body: { success: true, outcome: 'opened' } })
  })

  test('names what the sender spoke of, where its shape does, and nowhere else', async () => {
    const tocsin = stubTocsin({
      receive: async () => ({
        success: true,
        outcome: 'info',
        duplicate: false,
        incident: null,
        events: [],
        requestId: 'r',
        echo: 'its-own-id',
      }),
    })
    const { url } = await serve({ tocsin })
    const send = async (path: string) =>
      (await fetch(url + path, { method: 'POST', headers: JSON_TYPE, body: '{}' })).json()
    expect(await send(GITPULSE)).toMatchObject({ incident_id: 'its-own-id' })
    expect(await send(EVENTS)).toMatchObject({ dedup_key: 'its-own-id' })
    expect(await send('/webhooks/t')).toEqual({ success: true, incident: null })
    expect(JSON.stringify(await send('/api/webhooks/gitpulse/t'))).not.toContain('its-own-id')
  })

  const refusals: [TocsinError, Record<string, unknown>][] = [
    [
      new TocsinError('unauthorized', 'Wrong key.'),
      {
        '/webhooks/t': [404, { success: false, error: { code: 'ROUTE_NOT_FOUND' } }],
        [GITPULSE]: [401, { success: false, error: 'Invalid or missing API key', details: 'Wrong key.' }],
        [EVENTS]: [400, { status: 'invalid event', errors: ['Wrong key.'] }],
        [IRM]: [401, { success: false, error: { code: 'unauthorized' } }],
      },
    ],
    [
      new TocsinError('invalid_payload', 'x is missing.'),
      {
        '/webhooks/t': [
          400,
          { success: false, error: { code: 'INVALID_PAYLOAD', message: 'x is missing.' } },
        ],
        [GITPULSE]: [400, { success: false, details: 'x is missing.' }],
        [EVENTS]: [400, { status: 'invalid event', message: expect.any(String), errors: ['x is missing.'] }],
      },
    ],
    [
      new TocsinError('ip_not_allowed', 'Not from there.'),
      { '/webhooks/t': [403, { error: { code: 'IP_NOT_ALLOWED' } }], [GITPULSE]: [403, { success: false }] },
    ],
    [
      new TocsinError('rate_limited', 'Full.', { retryAfterSeconds: 9 }),
      {
        '/webhooks/t': [429, { error: { code: 'RATE_LIMITED' } }],
        [GITPULSE]: [429, { success: false, error: 'Too many requests' }],
        [EVENTS]: [429, { status: 'throttle exceeded', errors: ['Full.'] }],
      },
    ],
    [
      new TocsinError('unavailable', 'Later.'),
      { '/webhooks/t': [503, { error: { code: 'UNAVAILABLE' } }], [EVENTS]: [503, { errors: ['Later.'] }] },
    ],
  ]
  test.each(refusals)('to %s wears its envelope', async (error, answers) => {
    for (const [path, [status, body]] of Object.entries(answers) as [string, [number, unknown]][]) {
      const answer = await post(path, error)
      expect([path, answer.status]).toEqual([path, status])
      expect(answer.body).toMatchObject(body as object)
      expect(answer.headers.get('x-request-id')).toBeTruthy()
      expect(answer.headers.has('retry-after')).toBe(status === 429 || status === 503)
    }
  })

  test('to a fault of ours, too', async () => {
    const { url } = await serve({ tocsin: stubTocsin({ receive: () => Promise.reject(new Error('x')) }) })
    const response = await fetch(url + EVENTS, { method: 'POST', headers: JSON_TYPE, body: '{}' })
    expect([response.status, await response.json()]).toMatchObject([503, { status: 'unavailable' }])
  })
})

describe('methods and types', () => {
  test('a GET is Uptime Kuma’s: what it says is handed over as a body', async () => {
    const tocsin = stubTocsin()
    const { url } = await serve({ tocsin })
    for (const path of ['/api/webhooks/uptime-kuma/t', '/webhooks/t']) {
      expect((await fetch(`${url}${path}?msg=a+b&heartbeat=%7B%7D`)).status).toBe(200)
      const { request } = tocsin.received.at(-1)!
      expect([request.method, request.path, request.rawBody.toString()]).toEqual([
        'GET',
        path,
        'msg=a+b&heartbeat=%7B%7D',
      ])
    }
    expect((await fetch(`${url}/api/webhooks/datadog/t`)).status).toBe(405)
    expect((await fetch(`${url}/api/webhooks/uptime-kuma/t`, { method: 'HEAD' })).status).toBe(405)
  })

  test('a method the tool behind a short address does not use is 405 in its shape, with those it does', async () => {
    const error = new TocsinError('method_not_allowed', 'Send a POST.', {
      details: { allow: ['POST', 'PUT'] },
    })
    const { url } = await serve({ tocsin: stubTocsin({ receive: () => Promise.reject(error) }) })
    const response = await fetch(`${url}/webhooks/t`)
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST, PUT'])
    expect(await response.json()).toEqual({
      success: false,
      error: { code: 'METHOD_NOT_ALLOWED', message: 'Send a POST.' },
    })
  })

  test('forms are taken where the tool sends them', async () => {
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
    expect((await post('/api/webhooks/datadog/t', undefined, form)).status).toBe(200)
    expect(
      (
        await post('/api/webhooks/uptime-kuma/t', undefined, {
          'Content-Type': 'multipart/form-data; boundary=b',
        })
      ).status,
    ).toBe(200)
    expect((await post('/api/webhooks/betterstack/t', undefined, form)).status).toBe(415)
    expect(
      (await post('/api/webhooks/cloudevents/t', undefined, { 'Content-Type': 'text/plain' })).status,
    ).toBe(200)
    expect(
      (await post('/api/webhooks/cloudevents/t', undefined, { 'Content-Type': 'application/xml' })).status,
    ).toBe(415)
  })

  test('an event of CloudEvents in headers needs no type where it has no data', async () => {
    const tocsin = stubTocsin()
    const { url } = await serve({ tocsin })
    const send = (path: string, body = '') => fetch(url + path, { method: 'POST', body: Buffer.from(body) })
    expect((await send('/api/webhooks/cloudevents/t')).status).toBe(200)
    expect((await send('/api/webhooks/cloudevents/t', '{}')).status).toBe(415)
    expect((await send('/api/webhooks/betterstack/t')).status).toBe(415)
  })

  test("Grafana IRM's takes anything; core declares with what can be read", async () => {
    const { tocsin, status } = await post(IRM, undefined, {
      'Content-Type': 'x/y',
      'Content-Encoding': 'gzip',
    })
    expect([status, tocsin.received[0]?.refusal]).toEqual([200, undefined])
  })

  test('a sender of CloudEvents may ask first whether it may send', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const ask = (path: string, headers: Record<string, string>) =>
      fetch(url + path, { method: 'OPTIONS', headers })
    for (const path of [
      '/api/v1/webhooks/11111111-1111-4111-8111-111111111111/cloudevents',
      '/api/webhooks/cloudevents/t',
      '/webhooks/t',
    ]) {
      const response = await ask(path, { 'WebHook-Request-Origin': 'events.example.com' })
      expect(response.status).toBe(200)
      expect(response.headers.get('webhook-allowed-origin')).toBe('events.example.com')
      expect(response.headers.get('webhook-allowed-rate')).toBe('*')
      expect((await ask(path, {})).status).toBe(405)
    }
    const other = await ask('/api/webhooks/generic/t', { 'WebHook-Request-Origin': 'events.example.com' })
    expect([other.status, other.headers.has('webhook-allowed-origin')]).toEqual([405, false])
  })
})

describe('every address is described', () => {
  const { paths } = openApiDocument(operations) as unknown as {
    paths: Record<
      string,
      Record<
        string,
        {
          requestBody?: { content: Record<string, { examples: Record<string, { value: unknown }> }> }
          responses: Record<string, { content?: Record<string, { example?: unknown }>; $ref?: string }>
        }
      >
    >
  }
  const described = webhookAddresses.map(({ id, path }) => ({
    id,
    path,
    post: paths[path.replaceAll(/:(\w+)/g, '{$1}')]!.post!,
  }))

  test.each(described)('$id, with a refused method', ({ post }) => {
    expect(Object.keys(post.responses)).toContain('405')
  })

  test('the addresses of every tool with bodies of every tool, which its adapter reads', async () => {
    for (const id of ['receiveAtProject', 'receiveAtToken']) {
      const { examples } = described.find((one) => one.id === id)!.post.requestBody!.content[
        'application/json'
      ]!
      for (const { slug, says, parse } of adapters) {
        const kinds = says.resolves === null ? ['fire'] : ['fire', 'recover']
        for (const kind of kinds) {
          const { value } = examples[`${slug}-${kind}`]!
          const query = slug === 'grafana-irm' ? 'action=json(action)' : ''
          const parsed = await parse(
            value,
            hookRequest({ body: JSON.stringify(value), query }),
            NO_SETTINGS,
            'a source',
          )
          expect(parsed.events.map((event) => event.kind)).toEqual([kind])
        }
      }
    }
  })

  test("PagerDuty's change events with a body and an answer of their own", () => {
    const [event, change] = ['receivePagerDutyEvent', 'receivePagerDutyChange'].map((id) => {
      const { requestBody, responses } = described.find((one) => one.id === id)!.post
      const examples = Object.values(requestBody!.content['application/json']!.examples)
      return {
        bodies: examples.map(({ value }) => value as Record<string, unknown>),
        answer: responses[202]!.content!['application/json']!.example,
      }
    })
    for (const body of event!.bodies) expect(body).toHaveProperty('event_action')
    for (const body of change!.bodies) expect(body).not.toHaveProperty('event_action')
    expect(change!.bodies).toMatchObject([{ payload: { summary: expect.any(String) } }])
    expect(event!.answer).toHaveProperty('dedup_key')
    expect(change!.answer).toEqual({ status: 'success', message: 'Event processed' })
  })

  test('errors in the shape of the address', () => {
    const example = (id: string, status: number) =>
      described.find((one) => one.id === id)!.post.responses[status]!.content!['application/json']!.example
    expect(example('receiveAtShortToken', 404)).toMatchObject({ error: { code: 'ROUTE_NOT_FOUND' } })
    expect(example('receiveGitPulse', 404)).toMatchObject({ error: 'Invalid project UUID' })
    expect(example('receivePagerDutyChange', 400)).toMatchObject({ status: 'invalid event' })
    const { responses } = described.find((one) => one.id === 'receiveAtShortToken')!.post
    expect(Object.keys(responses)).not.toContain('401')
  })
})
