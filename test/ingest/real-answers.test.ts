import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type OpenedTocsin, openTocsin } from '@tocsin/core'
import { beforeEach, expect, test } from 'vitest'
import { operations } from '../../ingest/app.ts'
import { Received } from '../../ingest/schemas.ts'
import { type ApiAnswer, serve } from './serve.ts'

const ADMIN_KEY = 'an-admin-key-of-our-own-making'

let tocsin: OpenedTocsin
let project: string
let secret: string

beforeEach(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tocsin-'))
  tocsin = await openTocsin({
    databaseUrl: `sqlite:${join(dir, 'tocsin.db')}`,
    secretKey: Buffer.alloc(32, 1),
    publicUrl: 'http://127.0.0.1:4117',
    defaultPlan: 'unlimited',
    targets: { allow: [], loopback: true },
    adminKey: ADMIN_KEY,
  })
  project = tocsin.firstStart!.projectId
  secret = tocsin.firstStart!.sourceSecret
  return async () => {
    await tocsin.close()
    rmSync(dir, { recursive: true })
  }
})

test('every operation answers what the document declares', async () => {
  const { api, url } = await serve({ tocsin })
  const asked = new Set<string>()

  /** Calls an operation by its name; its answer must be exactly of the declared shape. */
  const call = async (
    id: string,
    params: Record<string, string> = {},
    body?: unknown,
  ): Promise<ApiAnswer['body']> => {
    const operation = operations.find((candidate) => candidate.id === id)!
    const path = operation.path.replaceAll(/:(\w+)/g, (_, name: string) => params[name] ?? project)
    const answer = await api(operation.method.toUpperCase(), path, body, {
      Authorization: `Bearer ${ADMIN_KEY}`,
    })
    expect([id, answer.status, answer.body?.error]).toEqual([id, operation.status, undefined])
    if (operation.answer) expect(operation.answer.parse(answer.body)).toEqual(answer.body)
    asked.add(id)
    return answer.body
  }

  await call('me')
  const made = await call(
    'createProject',
    {},
    { name: 'second', plan: 'business', policy: { preset: 'literal' } },
  )
  expect(made.project.plan).toBe('team')
  await call('listProjects')
  await call('getProject')
  await call('updateProject', {}, { name: 'first', policy: { reopenWindowMinutes: 1 } })
  await call('deleteProject', { project: made.project.id })

  const { source } = await call(
    'createSource',
    {},
    { adapter: 'grafana', settings: { cidrs: ['10.0.0.0/8'] } },
  )
  await call('updateSource', { source: source.id }, { settings: { cidrs: [] } })
  await call('rotateSource', { source: source.id }, { overlapMinutes: 5 })
  await call('testSource', { source: source.id })
  await call('previewSource', {}, { adapter: 'generic', sample: { title: 'Down' } })
  await call(
    'previewSource',
    {},
    { adapter: 'pagerduty-events', sample: { payload: { summary: 'Deployed' } }, path: '/v2/change/enqueue' },
  )
  await call('getIngestion')
  const { reveal } = await call('rotateSource', { source: source.id }, { reveal: true })
  await call('revealSecret', { reveal: reveal.id })
  await call('getSource', { source: source.id })
  await call('listSources')

  const response = await fetch(`${url}/api/v1/webhooks/${project}/generic`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Webhook-Secret': secret },
    body: JSON.stringify({ id: 'check-7', title: 'Checkout is down', severity: 'high', labels: { a: 'b' } }),
  })
  const { requestId, ...received } = (await response.json()) as {
    requestId: string
    incident: { id: string }
  }
  expect(Received.parse(received)).toEqual(received)
  await call('listRequests')
  await call('getRequest', { request: requestId })
  await call('replayRequest', { request: requestId }, { dryRun: true })

  const { incident } = await call('createIncident', {}, { title: 'By hand', services: ['checkout'] })
  await call('acknowledgeIncident', { incident: incident.reference }, { note: 'On it.' })
  await call('addNote', { incident: incident.id }, { text: 'Looking.' })
  await call('resolveIncident', { incident: incident.id })
  await call('reopenIncident', { incident: incident.id })
  for (const id of [incident.id, received.incident.id]) {
    await call('getIncident', { incident: id })
    await call('listTimeline', { incident: id })
    await call('listIncidentEvents', { incident: id })
    await call('listIncidentSignals', { incident: id })
    await call('draftPostmortem', { incident: id })
    await call('savePostmortem', { incident: id }, { markdown: '# It took 99 min\n' })
    await call('getPostmortem', { incident: id })
  }
  expect((await call('listIncidents')).total).toBeGreaterThanOrEqual(2)
  expect((await call('getMetrics')).incidents).toBeGreaterThanOrEqual(2)

  // Nobody listens there.
  const { endpoint } = await call('createEndpoint', {}, { url: 'http://127.0.0.1:1/hook', policy: 'once' })
  await call('listEndpoints')
  await call('getEndpoint', { endpoint: endpoint.id })
  await call('rotateEndpoint', { endpoint: endpoint.id })
  const { message } = await call('testEndpoint', { endpoint: endpoint.id })
  const read = () => call('getMessage', { message: message.id })
  await expect.poll(async () => (await read()).message.status).toBe('failed')
  expect((await read()).attempts).toHaveLength(1)
  await call('replayMessage', { message: message.id })
  await call('listMessages', { endpoint: endpoint.id })
  await call('replayEndpoint', { endpoint: endpoint.id }, { since: '2026-01-01T00:00:00Z' })
  await call('updateEndpoint', { endpoint: endpoint.id }, { enabled: false, description: 'Off' })
  await call('deleteEndpoint', { endpoint: endpoint.id })

  const { key } = await call('createKey', {}, { name: 'reader', scopes: ['incidents:read'] })
  await call('listKeys')
  await call('deleteKey', { key: key.id })
  const toolCall = { projectId: project, tool: 'list_incidents', arguments: {}, outcome: 'ok', durationMs: 3 }
  await call('recordToolCall', {}, toolCall)
  expect((await call('listToolCalls')).toolCalls).toMatchObject([toolCall])
  await call('deleteSource', { source: source.id })

  expect(operations.map(({ id }) => id).filter((id) => !asked.has(id))).toEqual([])
})

test('an address that is unknown is answered like a wrong credential', async () => {
  const { url } = await serve({ tocsin })
  const answers = await Promise.all(
    [
      `/api/v1/webhooks/${project}/generic`,
      `/api/v1/webhooks/${project}/sentry`,
      `/api/v1/webhooks/${project}/no-such-tool`,
      `/api/v1/webhooks/${project}/constructor`,
      `/api/v1/webhooks/${project}/generic?source=other`,
      '/api/v1/webhooks/11111111-1111-4111-8111-111111111111/generic',
      '/api/v1/webhooks/no-uuid/generic',
      '/api/webhooks/generic/no-such-token',
      '/api/webhooks/no-such-tool/no-such-token',
    ].map(async (path) => {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Webhook-Secret': 'wrong' },
        body: '{"title":"x"}',
      })
      const { requestId, ...body } = (await response.json()) as { requestId: string }
      const headers = [...response.headers.keys()].filter((name) => name !== 'date')
      return { status: response.status, body, headers, idLength: requestId.length }
    }),
  )
  expect(answers[0]).toMatchObject({ status: 401, body: { success: false, error: { code: 'unauthorized' } } })
  for (const answer of answers) expect(answer).toEqual(answers[0])
})

test('at the short address an unknown token is an unknown route', async () => {
  const { url } = await serve({ tocsin })
  const response = await fetch(`${url}/webhooks/no-such-token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: '{"title":"x"}',
  })
  expect([response.status, await response.json()]).toEqual([
    404,
    {
      success: false,
      error: { code: 'ROUTE_NOT_FOUND', message: 'Webhook routing key is invalid or expired' },
    },
  ])
})

test('a body the edge refuses stands in the log of its owner, with its first 4 KiB', async () => {
  const { url, api } = await serve({ tocsin })
  const send = (body: string, headers: Record<string, string>) =>
    fetch(`${url}/api/v1/webhooks/${project}/generic`, {
      method: 'POST',
      headers: { 'X-Webhook-Secret': secret, ...headers },
      body,
    })
  const tooLarge = await send('x'.repeat(1024 * 1024 + 1), { 'Content-Type': 'application/json' })
  const noJson = await send('title=x', { 'Content-Type': 'application/x-www-form-urlencoded' })
  expect([tooLarge.status, noJson.status]).toEqual([413, 415])
  const { requestId } = (await tooLarge.json()) as { requestId: string }

  const auth = { Authorization: `Bearer ${ADMIN_KEY}` }
  const { body } = await api('GET', `/projects/${project}/requests?status=413,415`, undefined, auth)
  expect(body.requests.map(({ reason }: { reason: string }) => reason)).toEqual([
    'unsupported_media_type',
    'payload_too_large',
  ])
  const detail = await api('GET', `/projects/${project}/requests/${requestId}`, undefined, auth)
  expect(detail.body.request.body).toBe('x'.repeat(4096))
})

test('a key without the scope is 403, of another project 404', async () => {
  const { url, api } = await serve({ tocsin })
  const admin = { Authorization: `Bearer ${ADMIN_KEY}` }
  const { body } = await api(
    'POST',
    `/projects/${project}/keys`,
    { name: 'r', scopes: ['incidents:read'] },
    admin,
  )
  const ask = async (path: string) => {
    const response = await fetch(`${url}/api/v1${path}`, {
      headers: { Authorization: `Bearer ${body.secret}` },
    })
    const answer = (await response.json()) as { error?: { code: string } }
    return [response.status, answer.error?.code]
  }
  expect(await ask(`/projects/${project}/incidents`)).toEqual([200, undefined])
  expect(await ask(`/projects/${project}/sources`)).toEqual([403, 'forbidden'])
  expect(await ask('/projects/11111111-1111-4111-8111-111111111111/incidents')).toEqual([404, 'not_found'])
})

test('a sample is read as the same body would be, whatever its fields are called', async () => {
  const { api } = await serve({ tocsin })
  const auth = { Authorization: `Bearer ${ADMIN_KEY}` }
  const sample = JSON.parse('{"title":"Down","extra":{"__proto__":{"x":1}}}')
  const { status, body } = await api(
    'POST',
    `/projects/${project}/sources/preview`,
    { adapter: 'generic', sample },
    auth,
  )
  expect(status).toBe(200)
  expect(body.events).toMatchObject([{ title: 'Down' }])
})
