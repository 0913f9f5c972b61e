import { randomBytes, randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { ApiMessageType } from '@tocsin/core'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { messageBody, messageExample } from '../../ingest/message-schema.ts'
import { register, unregister } from '../../n8n-nodes/nodes/TocsinTrigger/registration.ts'
import { TocsinTrigger } from '../../n8n-nodes/nodes/TocsinTrigger/TocsinTrigger.node.ts'
import { FakeTocsin, fakeNode, URL_OF_NODE } from './fake-tocsin.ts'

const secret = `whsec_${randomBytes(32).toString('base64')}`

const START = Date.now()
const registration = () => ({ secret, endpointId: randomUUID() as string })

interface Delivery {
  type?: ApiMessageType
  id?: string
  headers?: Record<string, string>
  staticData?: Record<string, unknown>
  options?: Record<string, unknown>
  events?: string[]
  withoutRawBody?: boolean
  /** Seconds from now. */
  at?: number
  signedWith?: string
}

/** Delivers one message as Tocsin signs it. */
async function deliver({
  type = 'incident.opened',
  id = 'm1',
  headers = {},
  staticData = registration(),
  options = {},
  events = [type],
  withoutRawBody = false,
  at: later = 0,
  signedWith = secret,
}: Delivery = {}) {
  const text = JSON.stringify(messageExample(type))
  const at = new Date(START + later * 1000)
  const refused: { status?: number; body?: unknown } = {}
  const response = Object.assign(new EventEmitter(), {
    status(status: number) {
      refused.status = status
      return response
    },
    json(body: unknown) {
      refused.body = body
    },
  })
  const context = {
    getWorkflowStaticData: () => staticData,
    getNodeWebhookUrl: () => URL_OF_NODE,
    getRequestObject: () => ({ rawBody: withoutRawBody ? undefined : Buffer.from(text) }),
    getHeaderData: () => ({
      'webhook-id': id,
      'webhook-timestamp': `${Math.floor(at.getTime() / 1000)}`,
      'webhook-signature': new Webhook(signedWith).sign(id, at, text),
      ...headers,
    }),
    getResponseObject: () => response,
    getNodeParameter: (name: string, fallback: unknown) =>
      name === 'events' ? events : (options[name.replace('options.', '')] ?? fallback),
    logger: { warn: () => {} },
  }
  const result = await new TocsinTrigger().webhook.call(
    context as unknown as ThisParameterType<TocsinTrigger['webhook']>,
  )
  return {
    /** What n8n asks for once the execution is stored. */
    answer: () => result.webhookResponse,
    items: result.workflowData?.[0]?.map(({ json }) => json),
    refused,
    /** n8n answers something else. */
    fail: () => response.emit('finish'),
  }
}

describe.each([
  'incident.opened',
  'incident.acknowledged',
  'incident.resolved',
  'incident.reopened',
  'test',
] as const)('%s', (type) => {
  test('comes out in the shape of its published schema, with its id', async () => {
    const { items, answer } = await deliver({ type })
    expect(answer()).toEqual({ ok: true })
    expect(items).toHaveLength(1)
    const { webhookId, ...message } = items![0]!
    expect(webhookId).toBe('m1')
    expect(message).toEqual(messageExample(type))
    expect(messageBody(type).parse(message)).toEqual(message)
  })
})

test('simplified, an incident is flat and short; a test stays as it is', async () => {
  const { items } = await deliver({ options: { simplify: true } })
  expect(items).toEqual([
    {
      webhookId: 'm1',
      type: 'incident.opened',
      timestamp: '2026-11-21T08:00:00.000Z',
      monitor: 'Checkout',
      id: expect.any(String),
      reference: 'INC-042',
      title: 'Checkout is down',
      status: 'open',
      severity: 'critical',
      services: ['checkout'],
      openedAt: '2026-11-21T08:00:00.000Z',
      acknowledgedAt: null,
      resolvedAt: null,
      durationMs: null,
    },
  ])
  const test = await deliver({ type: 'test', options: { simplify: true } })
  expect(test.items).toEqual([{ webhookId: 'm1', ...messageExample('test') }])
})

test.each([
  ['no secret is stored', { staticData: {} }],
  ['another secret is stored', { staticData: { secret: `whsec_${randomBytes(32).toString('base64')}` } }],
  ['n8n kept no bytes', { withoutRawBody: true }],
  ['the signature is forged', { headers: { 'webhook-signature': 'v1,AAAA' } }],
  ['it is old', { headers: { 'webhook-timestamp': '1600000000' } }],
] as [string, Delivery][])('%s: 401, and nothing starts', async (_, delivery) => {
  const { items, refused } = await deliver(delivery)
  expect(items).toBeUndefined()
  expect(refused).toMatchObject({ status: 401, body: { ok: false } })
})

test('a repeat is answered and dropped; a replay starts again', async () => {
  const staticData = registration()
  expect((await deliver({ staticData })).answer()).toEqual({ ok: true })
  const repeat = await deliver({ staticData })
  expect(repeat.items).toBeUndefined()
  expect(repeat.answer()).toEqual({ ok: true, repeat: true })
  const replay = { 'tocsin-replay': 'true' }
  // What was captured and marked, and then Tocsin's own.
  // Tocsin's own of the same second looks like it: it comes again, with another time.
  const captured = await deliver({ staticData, headers: replay })
  expect(captured).toMatchObject({ items: undefined, refused: { status: 409, body: { ok: false } } })
  expect((await deliver({ staticData, headers: replay, at: 1 })).items).toHaveLength(1)
  expect((await deliver({ staticData, headers: replay, at: 1 })).items).toBeUndefined()
})

test('of one message twice at once one starts; the other is asked to come again, also where the first fails', async () => {
  const staticData = registration()
  const [first, second] = await Promise.all([deliver({ staticData }), deliver({ staticData })])
  expect(first.items).toHaveLength(1)
  expect(second).toMatchObject({ items: undefined, refused: { status: 409, body: { ok: false } } })
  first.fail()
  const third = await deliver({ staticData })
  expect(third.items).toHaveLength(1)
  expect(third.answer()).toEqual({ ok: true })
  third.fail()
  expect((await deliver({ staticData })).answer()).toEqual({ ok: true, repeat: true })
})

test('a message is noted only when n8n asks for the answer: by then its execution is stored', async () => {
  const staticData: Record<string, unknown> = registration()
  const delivered = await deliver({ staticData })
  expect(staticData.taken).toBeUndefined()
  expect(delivered.answer()).toEqual({ ok: true })
  expect(staticData.taken).toEqual([expect.stringMatching(/^\d+\.m1$/)])

  const other = registration()
  const ignored = await deliver({ events: ['incident.resolved'], staticData: other })
  expect(ignored.answer()).toEqual({ ok: true, ignored: true })
  expect(other).not.toHaveProperty('taken')
})

test('the editor gets its sample for a test that comes before n8n noted with what it listens; after that nothing', async () => {
  const node = fakeNode(new FakeTocsin())
  node.mode = 'manual'
  await register(node.context)
  const early: Delivery = {
    type: 'test',
    events: ['incident.opened'],
    staticData: {},
    signedWith: String(node.staticData.secret),
  }
  const { items } = await deliver(early)
  const { project } = messageExample('test').data as { project: unknown }
  expect(items).toMatchObject([
    { webhookId: 'm1', type: 'incident.opened', data: { incident: { reference: 'INC-042' }, project } },
  ])
  expect((await deliver({ type: 'test', staticData: {} })).refused.status).toBe(401)

  await unregister(node.context)
  expect((await deliver(early)).refused.status).toBe(401)
})
