import { adapterBySlug } from '@tocsin/core'
import { Liquid } from 'liquidjs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Reading, reading } from '../../support/reading.ts'
import { startTocsin, type TocsinProcess } from '../../support/tocsin-process.ts'
import { curl, paste, post } from './paste.ts'

/** The page "Incident Webhooks" of GitPulse: what it shows, with host, ids and keys replaced. */

let tocsin: TocsinProcess
let key: string
let read: Reading

beforeAll(async () => {
  tocsin = await startTocsin()
  const source = await tocsin.createSource({ adapter: 'gitpulse' })
  expect(source.url).toBe(`${tocsin.address}/api/incidents/webhook/`)
  key = source.secret!
  read = reading(tocsin)
  return () => tocsin.dispose()
})

function send(
  body: unknown,
  headers: Record<string, string> = { 'X-API-Key': key },
  path = '/api/incidents/webhook/',
) {
  return post(`${tocsin.address}${path}`, body, headers)
}

test.runIf(curl)('its curl line works as pasted', async () => {
  const { status, body } = await paste(`curl -X POST ${tocsin.address}/api/incidents/webhook/ \\
-H "Content-Type: application/json" \\
-H "X-API-Key: ${key}" \\
-d '{
"incident_id": "test-incident-001",
"project_uuid": "${tocsin.projectId}",
"status": "ALERT",
"incident_time": "2025-01-15T10:30:00Z",
"monitor_name": "Test Monitor",
"message": "Test incident for webhook validation"
}'`)
  expect([status, body]).toEqual([
    200,
    { success: true, message: 'Incident recorded successfully', incident_id: 'test-incident-001' },
  ])
  const [incident] = await read.incidents()
  expect(incident).toMatchObject({
    title: 'Test Monitor',
    status: 'open',
    startedAt: '2025-01-15T10:30:00.000Z',
    signals: [{ key: 'test-incident-001' }],
  })
  expect((await read.events(incident!.id))[0]).toMatchObject({
    flags: ['backfilled'],
    description: 'Test incident for webhook validation',
  })
})

const format = (project: string) => ({
  incident_id: 'db-conn-001',
  project_uuid: project,
  status: 'DOWN',
  incident_time: '2025-01-15T10:30:00Z',
  monitor_name: 'Database Connection',
  monitor_id: 'db-conn-001',
  repo_uuid: '550e8400-e29b-41d4-a716-446655440001',
  message: 'Database connection timeout after 30 seconds',
})

test('one incident_id is an alert and its recovery, with and without the slash', async () => {
  const alert = format(tocsin.projectId)
  expect((await send(alert)).status).toBe(200)
  const recovery = { ...alert, status: 'UP', incident_time: '2025-01-15T10:42:00Z' }
  expect((await send(recovery, { 'X-API-Key': key }, '/api/incidents/webhook')).status).toBe(200)
  const [incident] = await read.incidents('q=Database')
  expect(incident).toMatchObject({
    status: 'resolved',
    durationMs: 12 * 60_000,
    labels: { repo_uuid: '550e8400-e29b-41d4-a716-446655440001' },
  })
})

test.each([
  ['its request format', { status: 'ALERT', monitor_name: 'Database Connection', monitor_id: 'db-conn-002' }],
  [
    'its custom system',
    { status: 'ALERT', monitor_name: 'Your Monitor Name', monitor_id: 'your-monitor-id' },
  ],
])('%s opens, and with RECOVERY resolves', async (_, fields) => {
  const sent = { ...format(tocsin.projectId), incident_id: `own ${fields.monitor_id}`, ...fields }
  expect(await send(sent)).toMatchObject({ status: 200, body: { incident_id: sent.incident_id } })
  const [incident] = await read.incidents()
  expect(incident).toMatchObject({ status: 'open', signals: [{ key: sent.incident_id }] })
  await send({ ...sent, status: 'RECOVERY', incident_time: '2025-01-15T10:45:00Z' })
  expect(await read.incident(incident!.id)).toMatchObject({ status: 'resolved', durationMs: 15 * 60_000 })
})

test('an API key of the project with events:write does as well', async () => {
  const { secret } = await tocsin.api<{ secret: string }>('POST', `/projects/${tocsin.projectId}/keys`, {
    name: 'gitpulse',
    scopes: ['events:write'],
  })
  const body = { ...format(tocsin.projectId), incident_id: 'by-key' }
  expect((await send(body, { 'X-API-Key': secret })).status).toBe(200)
})

const GRAFANA_TEMPLATE = `{
"incident_id": "{{ (index .Alerts 0).Fingerprint }}",
"project_uuid": "<Your GitPulse Project UUID>",
"status": "{{ .Status }}",
"incident_time": "{{ (index .Alerts 0).StartsAt }}",
"monitor_name": "{{ (index .Alerts 0).Labels.alertname }}",
"monitor_id": "{{ (index .Alerts 0).Labels.monitor_id }}",
"repo_uuid": "<Your GitPulse repo UUID>",
"message": "{{ (index .Alerts 0).Annotations.message }}"
}`

const KUMA_TEMPLATE = `{
"incident_id": "{{ monitorJSON.name }}",
"project_uuid": "<Your GitPulse Project UUID>",
"status": "{% if heartbeatJSON %}{% if heartbeatJSON.status == 0 %}down{% elsif heartbeatJSON.status == 1 %}up{% elsif heartbeatJSON.status == 2 %}pending{% else %}maintenance{% endif %}{% else %}pending{% endif %}",
"incident_time": "{% if heartbeatJSON %}{{ heartbeatJSON.time }}{% else %}{{ 'now' | date: '%Y-%m-%d %H:%M:%S' }}{% endif %}",
"local_time": "{% if heartbeatJSON %}{{ heartbeatJSON.localDateTime }}{% else %}{{ 'now' | date: '%Y-%m-%d %H:%M:%S' }}{% endif %}",
"timezone": "{% if heartbeatJSON %}{{ heartbeatJSON.timezone }}{% else %}UTC{% endif %}",
"monitor_name": "{{ monitorJSON.name }}",
"monitor_id": "{{ monitorJSON.id }}",
"repo_uuid": "<Your GitPulse repo UUID>",
"message": "{{ msg }}"
}`

describe('its Grafana template', () => {
  /** As Go renders it: its own form of a time, and `<no value>` for what is not there. */
  function rendered(values: Record<string, string>): string {
    return GRAFANA_TEMPLATE.replaceAll(
      /\{\{ (.+?) \}\}/g,
      (_, expression: string) => values[expression] ?? '<no value>',
    ).replace('<Your GitPulse Project UUID>', tocsin.projectId)
  }

  test('opens and resolves, although it sends the start for both', async () => {
    const values = {
      '(index .Alerts 0).Fingerprint': 'c6eadffa33fcdf37',
      '.Status': 'firing',
      '(index .Alerts 0).StartsAt': '2025-01-15 10:30:00.123 +0000 UTC',
      '(index .Alerts 0).Labels.alertname': 'HighErrorRate',
    }
    const sent = rendered(values)
    expect(sent).toContain('"monitor_id": "<no value>"')
    expect((await send(sent)).body).toMatchObject({ success: true, incident_id: 'c6eadffa33fcdf37' })
    expect((await send(rendered({ ...values, '.Status': 'resolved' }))).status).toBe(200)

    const [incident] = await read.incidents('q=HighErrorRate')
    expect(incident).toMatchObject({ status: 'resolved', startedAt: '2025-01-15T10:30:00.123Z' })
    expect(incident!.durationMs).toBeGreaterThan(300 * 24 * 3_600_000)
    const [, recovery] = await read.events(incident!.id).then((events) => events.toReversed())
    expect(recovery?.flags).toContain('timeInferred')
  })
})

test('its templates stand in the set-up steps, but for the repository, which need not be told', () => {
  const { setup } = adapterBySlug('gitpulse')!
  const shown = setup.flatMap((step) => /`(\{.*\})`$/.exec(step)?.[1] ?? []).map((text) => JSON.parse(text))
  const wanted = [GRAFANA_TEMPLATE, KUMA_TEMPLATE].map((text) => {
    const { repo_uuid: _, ...template } = JSON.parse(text)
    return { ...template, project_uuid: '<id of this project>' }
  })
  expect(shown).toEqual(wanted)
})

describe('its Uptime Kuma template', () => {
  const monitorJSON = { id: 12, name: 'Shop homepage' }
  const beat = (status: number, time: string) => ({
    status,
    time,
    localDateTime: '2025-01-15 11:30:00',
    timezone: 'Europe/Paris',
  })

  function sendRendered(heartbeatJSON: unknown, monitor: unknown, msg: string) {
    const rendered = new Liquid().parseAndRenderSync(KUMA_TEMPLATE, {
      heartbeatJSON,
      monitorJSON: monitor,
      msg,
    })
    return send(rendered.replace('<Your GitPulse Project UUID>', tocsin.projectId))
  }

  test('opens and resolves', async () => {
    const down = beat(0, '2025-01-15 10:30:00.123')
    expect((await sendRendered(down, monitorJSON, '[Shop homepage] [🔴 Down] timeout')).status).toBe(200)
    expect((await sendRendered(beat(1, '2025-01-15 10:40:00.123'), monitorJSON, 'up')).status).toBe(200)
    expect(await read.incidents('q=Shop')).toMatchObject([
      {
        title: 'Shop homepage',
        status: 'resolved',
        durationMs: 600_000,
        metadata: { localTime: '2025-01-15 11:30:00', timezone: 'Europe/Paris' },
      },
    ])
  })

  test('pending opens and maintenance resolves, as its page says', async () => {
    const monitor = { id: 13, name: 'Blog' }
    expect((await sendRendered(beat(2, '2025-01-15 10:30:00.123'), monitor, 'pending')).status).toBe(200)
    expect(await read.incidents('q=Blog')).toMatchObject([{ title: 'Blog', status: 'open' }])
    expect((await sendRendered(beat(3, '2025-01-15 10:35:00.123'), monitor, 'maintenance')).status).toBe(200)
    expect(await read.incidents('q=Blog')).toMatchObject([{ status: 'resolved', durationMs: 300_000 }])
  })

  test('its test button opens nothing and is answered well', async () => {
    const before = (await read.incidents()).length
    const { status, body } = await sendRendered(null, null, 'Tocsin Testing')
    expect([status, body.success]).toEqual([200, true])
    expect((await read.incidents()).length).toBe(before)
    expect((await read.requests())[0]).toMatchObject({ outcome: 'test' })
  })
})

describe('its errors', () => {
  test('400 names the field', async () => {
    const { incident_time: _, ...body } = format(tocsin.projectId)
    expect(await send(body)).toMatchObject({
      status: 400,
      body: { success: false, error: expect.any(String), details: expect.stringContaining('incident_time') },
    })
    expect((await send('{"incident_id":')).status).toBe(400)
  })

  test('401 for a missing or wrong key', async () => {
    for (const headers of [{}, { 'X-API-Key': 'wrong' }] as Record<string, string>[]) {
      expect(await send(format(tocsin.projectId), headers)).toMatchObject({
        status: 401,
        body: { success: false, error: 'Invalid or missing API key' },
      })
    }
  })

  test('404 for a project that is not ours, in its words', async () => {
    expect(await send(format('invalid-uuid'))).toEqual({
      status: 404,
      body: {
        success: false,
        error: 'Invalid project UUID',
        details: "Project with UUID 'invalid-uuid' not found",
      },
    })
  })

  test('404 for a repository the source does not list', async () => {
    const listed = await tocsin.createSource({ adapter: 'gitpulse', settings: { repositories: ['mine'] } })
    expect(await send(format(tocsin.projectId), { 'X-API-Key': listed.secret! })).toMatchObject({
      status: 404,
      body: { success: false, error: 'Invalid repository UUID' },
    })
  })

  test('an unknown status is kept and processed', async () => {
    const { status } = await send({ ...format(tocsin.projectId), incident_id: 'odd', status: 'Wobbly' })
    expect(status).toBe(200)
    expect((await read.requests())[0]).toMatchObject({ outcome: 'info' })
  })

  test('another method is told which one to use', async () => {
    const response = await fetch(`${tocsin.address}/api/incidents/webhook/`)
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    expect(await response.json()).toMatchObject({ success: false, details: expect.stringContaining('POST') })
  })
})
