import { createHmac, randomUUID } from 'node:crypto'
import type { ApiEndpoint, ApiIncident, ApiMessage, ApiMessageType } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { messageBody } from '../../ingest/message-schema.ts'
import { deliver, fromSentry } from '../demo/senders.ts'
import type { SendingSource } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import type { Execution, Json, Workflow } from './n8n-process.ts'
import { openWorld, triggerAlone, type World } from './world.ts'

let world: World
let sentry: SendingSource

beforeAll(async () => {
  world = await openWorld()
  sentry = await world.tocsin.createSource({ adapter: 'sentry' })
})
afterAll(() => world?.close())

const project = () => `/projects/${world.tocsin.projectId}`
const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString()

/** An incident by hand, for tests that do not care where it comes from. */
async function openIncident(more: object = {}): Promise<ApiIncident> {
  const body = { title: `Incident ${randomUUID()}`, ...more }
  return (await world.tocsin.api<{ incident: ApiIncident }>('POST', `${project()}/incidents`, body)).incident
}

async function change(incident: ApiIncident, step: 'acknowledge' | 'resolve' | 'reopen') {
  await world.tocsin.api('POST', `${project()}/incidents/${incident.id}/${step}`, {})
}

/** Runs with the trigger active, and leaves nothing behind. */
async function withTrigger(
  parameters: Record<string, unknown>,
  run: (workflowId: string, endpoint: ApiEndpoint) => Promise<void>,
) {
  const id = await world.n8n.createWorkflow(triggerAlone(world.credential, parameters))
  try {
    await run(id, await world.activate(id))
  } finally {
    await world.n8n.forget(id)
    await until('nothing is registered', async () => (await world.endpoints()).length === 0)
  }
}

/** As the editor does: the workflow stays active. */
async function save(workflowId: string, edit: (workflow: Workflow) => void) {
  const { name, nodes, connections, settings } = await world.n8n.api<Workflow>(
    'GET',
    `/workflows/${workflowId}`,
  )
  const edited = {
    name,
    nodes,
    connections,
    settings: { saveDataSuccessExecution: settings!.saveDataSuccessExecution },
  }
  edit(edited)
  await world.n8n.api('PUT', `/workflows/${workflowId}`, edited)
}

const items = async (workflowId: string, count: number): Promise<Json[]> =>
  heardIn(await world.executions(workflowId, count))

/**
 * What has started the workflow, once nothing more is on its way: Tocsin has sent all it had, an incident opened after
 * that is heard too, and n8n runs nothing. Without that incident.
 */
async function settled(workflowId: string, endpoint: ApiEndpoint): Promise<Execution[]> {
  await until('Tocsin has sent all', async () => (await counters(endpoint)).pending === 0)
  const last = await openIncident()
  const isLast = ({ output }: Execution) => output['Tocsin Trigger']?.[0]?.data?.incident?.id === last.id
  return until(
    'the last one is heard, and n8n is idle',
    async () => {
      if (await world.n8n.isBusy(workflowId)) return
      const all = await world.n8n.executions(workflowId)
      return all.some(isLast) && all.filter((one) => !isLast(one))
    },
    { withinMs: 90_000, everyMs: 100 },
  )
}

const heardIn = (executions: Execution[]): Json[] =>
  executions.flatMap(({ output }) => output['Tocsin Trigger'] ?? [])

test('a signed Sentry request opens, a person acknowledges, Sentry resolves: one execution each, with the right item', async () => {
  await withTrigger({}, async (workflow, endpoint) => {
    expect(endpoint).toMatchObject({
      url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/webhook\/[^/]+\/webhook$/),
      events: ['incident.opened', 'incident.acknowledged', 'incident.resolved'],
      description: 'n8n: Hears of incidents',
    })
    const opened = await deliver(fromSentry(sentry, 'created', ago(4)))
    expect(opened.status).toBe(200)
    await items(workflow, 1)
    await change(opened.body.incident as unknown as ApiIncident, 'acknowledge')
    await items(workflow, 2)
    await deliver(fromSentry(sentry, 'resolved', ago(1)))

    await items(workflow, 3)
    const executions = await settled(workflow, endpoint)
    expect(executions).toMatchObject([
      { mode: 'webhook', status: 'success' },
      { mode: 'webhook', status: 'success' },
      { mode: 'webhook', status: 'success' },
    ])
    const heard = heardIn(executions)
    expect(heard.map(({ type, data }) => [type, data.sequence, data.incident.status])).toEqual([
      ['incident.opened', 1, 'open'],
      ['incident.acknowledged', 2, 'acknowledged'],
      ['incident.resolved', 3, 'resolved'],
    ])
    for (const { webhookId, ...message } of heard) {
      expect(webhookId).toMatch(/^[0-9a-f-]{36}$/)
      expect(messageBody(message.type as ApiMessageType).parse(message)).toEqual(message)
    }
    const read = await world.tocsin.api<{ incident: ApiIncident }>(
      'GET',
      `${project()}/incidents/${opened.body.incident!.id}`,
    )
    expect(heard[2].data.incident).toEqual(read.incident)

    const { messages } = await world.tocsin.api<{ messages: ApiMessage[] }>(
      'GET',
      `${project()}/endpoints/${endpoint.id}/messages`,
    )
    const [, ...sent] = messages.map(({ id }) => id)
    expect(sent.reverse()).toEqual(heard.map(({ webhookId }) => webhookId))
  })
})

describe('what may not start the workflow', () => {
  /** Signs as Tocsin does, but for what a test changes. */
  async function post(
    endpoint: ApiEndpoint,
    {
      id = randomUUID() as string,
      at = Math.floor(Date.now() / 1000),
      secret = endpoint.secret,
      body = MESSAGE,
      headers = {},
    } = {},
  ) {
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    const signature = createHmac('sha256', key).update(`${id}.${at}.${MESSAGE}`).digest('base64')
    const response = await fetch(endpoint.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': `${at}`,
        'webhook-signature': `v1,${signature}`,
        ...headers,
      },
      body,
    })
    return { status: response.status, body: await response.text() }
  }
  const MESSAGE = JSON.stringify({
    type: 'incident.opened',
    timestamp: '2026-11-21T08:00:00.000Z',
    data: { incident: { title: 'Ümlaut' } },
  })

  test('forged, altered, old and unsigned requests get a 401; a repeat is answered and dropped', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      const now = Math.floor(Date.now() / 1000)
      const forged = `whsec_${Buffer.alloc(32).toString('base64')}`
      expect((await post(endpoint, { secret: forged })).status).toBe(401)
      expect((await post(endpoint, { body: MESSAGE.replace('Ü', 'U') })).status).toBe(401)
      expect((await post(endpoint, { at: now - 310 })).status).toBe(401)
      expect((await post(endpoint, { at: now + 320 })).status).toBe(401)
      expect((await fetch(endpoint.url, { method: 'POST', body: MESSAGE })).status).toBe(401)

      const id = randomUUID()
      expect(await post(endpoint, { id })).toEqual({ status: 200, body: '{"ok":true}' })
      expect(await post(endpoint, { id, at: now - 60 })).toEqual({
        status: 200,
        body: '{"ok":true,"repeat":true}',
      })
      const heard = heardIn(await settled(workflow, endpoint))
      expect(heard.map(({ webhookId }) => webhookId)).toEqual([id])
    })
  })

  test('the same message many times at once starts one execution; many at once are each remembered', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      const same = randomUUID()
      const answers = await Promise.all(Array.from({ length: 10 }, () => post(endpoint, { id: same })))
      expect(answers.filter(({ body }) => body === '{"ok":true}')).toHaveLength(1)
      for (const { status, body } of answers) {
        expect([200, 409]).toContain(status)
        if (status === 200) expect(JSON.parse(body).ok).toBe(true)
      }
      const many = Array.from({ length: 10 }, () => randomUUID() as string)
      await Promise.all(many.map((id) => post(endpoint, { id })))
      const later = { at: Math.floor(Date.now() / 1000) + 1 }
      for (const id of [same, ...many]) {
        expect(await post(endpoint, { id, ...later })).toEqual({
          status: 200,
          body: '{"ok":true,"repeat":true}',
        })
      }
      // A captured request, marked as a replay.
      const marked = { id: same, ...later, headers: { 'tocsin-replay': 'true' } }
      expect((await post(endpoint, marked)).status).toBe(409)
      const heard = heardIn(await settled(workflow, endpoint))
      expect(heard.map(({ webhookId }) => webhookId).toSorted()).toEqual([same, ...many].toSorted())
    })
  })

  test('a replay that someone asked for in Tocsin starts it again', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      await openIncident()
      const [{ webhookId }] = await items(workflow, 1)
      await world.tocsin.api('POST', `${project()}/messages/${webhookId}/replay`, {})
      await items(workflow, 2)
      const heard = heardIn(await settled(workflow, endpoint))
      expect(heard.map((item) => item.webhookId)).toEqual([webhookId, webhookId])
    })
  })

  test('a test from Tocsin is taken, but starts only what asked for tests', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      await world.tocsin.api('POST', `${project()}/endpoints/${endpoint.id}/test`, {})
      await until('the test arrived', async () => (await counters(endpoint)).delivered === 1)
      expect(await settled(workflow, endpoint)).toEqual([])
    })
    await withTrigger({ events: ['test'] }, async (workflow, endpoint) => {
      await world.tocsin.api('POST', `${project()}/endpoints/${endpoint.id}/test`, {})
      const [item] = await items(workflow, 1)
      const { webhookId: _, ...message } = item
      expect(messageBody('test').parse(message)).toEqual(message)
    })
  })

  test('once it is deactivated, its endpoint is gone and its address unknown', async () => {
    let address = ''
    await withTrigger({}, async (workflow, { url }) => {
      address = url
      await world.deactivate(workflow)
      expect(await world.endpoints()).toEqual([])
    })
    expect((await fetch(address, { method: 'POST' })).status).toBe(404)
  })
})

async function counters(endpoint: ApiEndpoint): Promise<ApiEndpoint['counters']> {
  const path = `${project()}/endpoints/${endpoint.id}`
  return (await world.tocsin.api<{ endpoint: ApiEndpoint }>('GET', path)).endpoint.counters
}

describe('what the trigger asks for', () => {
  test('every option becomes a filter of the endpoint; simplify leaves the fields people ask for', async () => {
    const options = {
      project: { __rl: true, mode: 'id', value: world.tocsin.projectId },
      severities: ['critical', 'high'],
      services: 'checkout, payments',
      labels: { label: [{ name: 'team', value: 'shop' }] },
      sources: [sentry.id],
      drills: true,
    }
    await withTrigger({ events: ['incident.reopened'], options }, async (_, endpoint) => {
      expect(endpoint).toMatchObject({
        events: ['incident.reopened'],
        severities: ['critical', 'high'],
        services: ['checkout', 'payments'],
        labels: { team: 'shop' },
        sources: [sentry.id],
        drills: true,
      })
    })
    await withTrigger({ options: { severities: ['critical'], simplify: true } }, async (workflow) => {
      await openIncident({ severity: 'low' })
      const { id, reference, title } = await openIncident({ severity: 'critical', services: ['checkout'] })
      expect(await items(workflow, 1)).toEqual([
        {
          webhookId: expect.any(String),
          type: 'incident.opened',
          timestamp: expect.any(String),
          monitor: null,
          id,
          reference,
          title,
          status: 'open',
          severity: 'critical',
          services: ['checkout'],
          openedAt: expect.any(String),
          acknowledgedAt: null,
          resolvedAt: null,
          durationMs: null,
        },
      ])
    })
  })

  test('an edited event list registers again', async () => {
    await withTrigger({ events: ['incident.opened'] }, async (workflow) => {
      await save(workflow, ({ nodes }) => {
        nodes[0]!.parameters.events = ['incident.resolved']
      })
      await until('the endpoint has the new list', async () => {
        const [endpoint] = await world.endpoints()
        return endpoint?.events.join() === 'incident.resolved'
      })
      const incident = await openIncident()
      await change(incident, 'resolve')
      expect((await items(workflow, 1)).map(({ type }) => type)).toEqual(['incident.resolved'])
      expect(await world.endpoints()).toHaveLength(1)
    })
  })

  test('an endpoint that has our address already is taken over, its filters and its secret renewed', async () => {
    const workflow = triggerAlone(world.credential, { events: ['incident.opened'] })
    const url = `${world.n8n.address}/webhook/${workflow.nodes[0]!.webhookId}/webhook`
    const orphan = { url, events: ['test'], severities: ['low'], drills: true, enabled: false }
    const { endpoint, secret } = await world.tocsin.api<{ endpoint: ApiEndpoint; secret: string }>(
      'POST',
      `${project()}/endpoints`,
      orphan,
    )
    const id = await world.n8n.createWorkflow(workflow)
    await world.n8n.api('POST', `/workflows/${id}/activate`)
    const taken = await until('it is taken over', async () =>
      (await world.endpoints()).find((one) => one.enabled && one.secret !== secret),
    )
    expect(taken).toMatchObject({
      id: endpoint.id,
      events: ['incident.opened'],
      severities: [],
      drills: false,
    })
    await openIncident()
    expect(await items(id, 1)).toHaveLength(1)
    await world.deactivate(id)
  })

  test('the editor listens at an address of its own, registered and removed apart from the production one', async () => {
    const wait = { events: ['incident.opened'], options: { wait: true } }
    await withTrigger(wait, async (workflow, production) => {
      const listen = await world.n8n.rest('POST', `/workflows/${workflow}/run`, {
        triggerToStartFrom: { name: 'Tocsin Trigger' },
      })
      expect(listen).toEqual({ waitingForWebhook: true })
      const [test] = (await world.endpoints()).filter(({ id }) => id !== production.id)
      expect(test!.url).toBe(production.url.replace('/webhook/', '/webhook-test/'))
      expect(test!.secret).not.toBe(production.secret)

      const { id } = await openIncident()
      const heard = await world.executions(workflow, 2)
      expect(heard.map(({ mode }) => mode).toSorted()).toEqual(['manual', 'webhook'])
      for (const { output } of heard) {
        expect(output['Tocsin Trigger']).toMatchObject([{ data: { incident: { id } } }])
      }
      await until('only the production address is left', async () => (await world.endpoints()).length === 1)
      expect((await world.endpoints())[0]!.id).toBe(production.id)
    })
  })

  test('Execute Step gets a sample at once: the newest incident, signed and delivered by Tocsin', async () => {
    const workflow = await world.n8n.createWorkflow(
      triggerAlone(world.credential, { events: ['incident.opened', 'incident.resolved'] }),
    )
    const { id } = await openIncident({ severity: 'high' })
    await world.n8n.rest('POST', `/workflows/${workflow}/run`, {
      triggerToStartFrom: { name: 'Tocsin Trigger' },
    })
    const [{ webhookId, ...message }] = await items(workflow, 1)
    expect(messageBody('incident.opened').parse(message)).toEqual(message)
    expect(message.data).toMatchObject({ incident: { id, severity: 'high' } })
    await until('nothing is registered', async () => (await world.endpoints()).length === 0)
    await world.n8n.forget(workflow)
  })

  test('a key that may not create endpoints: the activation says which scope is missing', async () => {
    const credential = await world.n8n.createCredential('tocsinApi', {
      baseUrl: world.tocsin.address,
      apiToken: await world.createKey(['incidents:read']),
    })
    const id = await world.n8n.createWorkflow(triggerAlone(credential))
    await world.n8n.api('POST', `/workflows/${id}/activate`)
    // It tries several times first.
    await until(
      'n8n says why',
      async () => {
        const status = await world.n8n.rest('GET', `/workflows/${id}/publication-status`)
        return JSON.stringify(status).includes('lacks the scope endpoints:write')
      },
      { withinMs: 60_000, everyMs: 500 },
    )
    await world.n8n.forget(id)
  })
})

test('deactivated with a revoked key: the log of n8n names the endpoint that stays', async () => {
  const { key, secret } = await world.tocsin.api<{ key: { id: string }; secret: string }>(
    'POST',
    `${project()}/keys`,
    { name: 'revoked', scopes: ['endpoints:read', 'endpoints:write'] },
  )
  const credential = await world.n8n.createCredential('tocsinApi', {
    baseUrl: world.tocsin.address,
    apiToken: secret,
  })
  const id = await world.n8n.createWorkflow(triggerAlone(credential, { events: ['incident.opened'] }))
  const endpoint = await world.activate(id)
  await world.tocsin.api('DELETE', `${project()}/keys/${key.id}`)
  await world.n8n.api('POST', `/workflows/${id}/deactivate`)
  await until('it is named', async () =>
    world.n8n.log().includes(`The endpoint ${endpoint.id} stays in Tocsin, which goes on sending`),
  )
  await world.tocsin.api('DELETE', `${project()}/endpoints/${endpoint.id}`)
})

describe('over time', () => {
  test('a restart of Tocsin, one of n8n and a crash of it keep an active workflow working, with the same endpoint', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      await world.tocsin.restart()
      const incident = await openIncident()
      await items(workflow, 1)

      await world.n8n.stop()
      await world.n8n.start()
      await change(incident, 'acknowledge')
      await items(workflow, 2)

      await world.n8n.crash()
      await world.n8n.start()
      await change(incident, 'resolve')
      await items(workflow, 3)
      expect(heardIn(await settled(workflow, endpoint)).map(({ type }) => type)).toEqual([
        'incident.opened',
        'incident.acknowledged',
        'incident.resolved',
      ])
      expect((await world.endpoints()).map(({ id }) => id)).toEqual([endpoint.id])
    })
  })

  test('what happens while n8n is down is heard when it is back, in order, once', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      // Tries again after 10, 20, 40 seconds, where the default waits five minutes.
      await world.tocsin.api('PATCH', `${project()}/endpoints/${endpoint.id}`, { policy: 'uptimera-30m' })
      await world.n8n.stop()
      const incident = await openIncident()
      await change(incident, 'acknowledge')
      await change(incident, 'resolve')
      await until('Tocsin has tried', async () => (await counters(endpoint)).attempts > 0)

      await world.n8n.start()
      await until('all is delivered', async () => (await counters(endpoint)).pending === 0, {
        withinMs: 400_000,
        everyMs: 250,
      })
      expect(await counters(endpoint)).toMatchObject({ delivered: 3, failed: 0 })
      expect(heardIn(await settled(workflow, endpoint)).map(({ type }) => type)).toEqual([
        'incident.opened',
        'incident.acknowledged',
        'incident.resolved',
      ])
    })
  })

  test('renamed, then edited and saved while messages wait: each of them starts an execution, in order', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      await world.n8n.stop()
      const incident = await openIncident()
      await change(incident, 'acknowledge')
      await change(incident, 'resolve')
      const other = await openIncident()
      // The third attempt is five minutes away.
      await until('Tocsin has tried twice', async () => (await counters(endpoint)).attempts >= 4, {
        withinMs: 60_000,
      })
      await world.n8n.start()
      await save(workflow, (edited) => {
        edited.name = 'Another name'
      })
      expect(await counters(endpoint)).toMatchObject({ pending: 4, delivered: 0 })
      await save(workflow, ({ nodes }) => {
        nodes[0]!.parameters.options = { drills: true }
      })

      const heard = await items(workflow, 4)
      const told = (one: ApiIncident) =>
        heard.filter(({ data }) => data.incident.id === one.id).map(({ type }) => type)
      expect(told(incident)).toEqual(['incident.opened', 'incident.acknowledged', 'incident.resolved'])
      expect(told(other)).toEqual(['incident.opened'])
      expect(await world.endpoints()).toMatchObject([
        { id: endpoint.id, drills: true, secret: endpoint.secret },
      ])
      await until('all count as delivered', async () => (await counters(endpoint)).delivered === 4)

      // What the old secret signed and what comes from now on is heard alike.
      await change(other, 'resolve')
      await items(workflow, 5)
      const all = heardIn(await settled(workflow, endpoint))
      expect(all).toHaveLength(5)
      expect(all.at(-1)).toMatchObject({ type: 'incident.resolved' })
    })
  })

  test('an endpoint that someone deleted in Tocsin is there again once the workflow is activated again', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      await world.tocsin.api('DELETE', `${project()}/endpoints/${endpoint.id}`)
      await world.n8n.api('POST', `/workflows/${workflow}/deactivate`)
      expect((await world.activate(workflow)).url).toBe(endpoint.url)
      await openIncident()
      await items(workflow, 1)
    })
  })

  test('deactivated and activated again within minutes, it hears what happened in between', async () => {
    await withTrigger({}, async (workflow, endpoint) => {
      await world.deactivate(workflow)
      const { id } = await openIncident()
      expect(await world.endpoints()).toEqual([])
      expect((await world.activate(workflow)).id).toBe(endpoint.id)
      await items(workflow, 1)
      const heard = heardIn(await settled(workflow, endpoint))
      expect(heard.map(({ data }) => data.incident.id)).toEqual([id])
    })
  })
})
