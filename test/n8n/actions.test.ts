import { randomUUID } from 'node:crypto'
import type { ApiIncident, ApiSource } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Credential, Execution, Json } from './n8n-process.ts'
import { inARow, openWorld, type World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world?.close())

const project = () => `/projects/${world.tocsin.projectId}`
const byId = (value: string) => ({ __rl: true, mode: 'id', value })

async function openIncident(more: object = {}): Promise<ApiIncident> {
  const body = { title: `Incident ${randomUUID()}`, ...more }
  return (await world.tocsin.api<{ incident: ApiIncident }>('POST', `${project()}/incidents`, body)).incident
}

/** Runs the node once for each item, in a workflow that a webhook starts; answers what came out and what went wrong. */
async function run(
  parameters: Record<string, unknown>,
  {
    items = [{}],
    onError = 'stopWorkflow',
    credential = world.credential,
  }: { items?: object[]; onError?: string; credential?: Credential } = {},
): Promise<{ output: Json[]; paired: number[]; error: Execution['error'] }> {
  const path = randomUUID()
  const workflow = inARow('Acts', [
    {
      name: 'Webhook',
      type: 'n8n-nodes-base.webhook',
      typeVersion: 2,
      webhookId: path,
      parameters: { path, httpMethod: 'POST', responseMode: 'lastNode', options: {} },
    },
    {
      name: 'Items',
      type: 'n8n-nodes-base.splitOut',
      typeVersion: 1,
      parameters: { fieldToSplitOut: 'body.items', options: {} },
    },
    {
      name: 'Tocsin',
      type: 'n8n-nodes-tocsin.tocsin',
      typeVersion: 1,
      parameters,
      onError,
      credentials: { tocsinApi: credential },
    },
  ])
  const id = await world.n8n.createWorkflow(workflow)
  await world.n8n.api('POST', `/workflows/${id}/activate`)
  try {
    await world.n8n.callWebhook(path, { items })
    const [execution] = await world.executions(id, 1)
    const { output, paired, error } = execution!
    return { output: output.Tocsin ?? [], paired: paired.Tocsin ?? [], error }
  } finally {
    await world.n8n.forget(id)
  }
}

describe('incidents', () => {
  test('create, with everything it takes; the same dedupe key makes no second one', async () => {
    const parameters = {
      operation: 'create',
      title: 'Checkout is down',
      severity: 'high',
      additionalFields: {
        dedupeKey: randomUUID(),
        description: 'Seen in the shop',
        services: 'checkout, payments',
        labels: { label: [{ name: 'team', value: 'shop' }] },
        drill: true,
      },
    }
    const { output } = await run(parameters)
    expect(output).toEqual([
      expect.objectContaining({
        title: 'Checkout is down',
        severity: 'high',
        status: 'open',
        services: ['checkout', 'payments'],
        labels: { team: 'shop' },
        drill: true,
      }),
    ])
    expect((await run(parameters)).output[0].id).toBe(output[0].id)
  })

  test('get by reference, whole and simplified', async () => {
    const incident = await openIncident()
    const whole = await run({ operation: 'get', incident: byId(incident.reference), options: {} })
    expect(whole.output).toEqual([incident])
    const simple = await run({ operation: 'get', incident: byId(incident.id), options: { simplify: true } })
    expect(Object.keys(simple.output[0])).toEqual([
      'id',
      'reference',
      'title',
      'status',
      'severity',
      'services',
      'openedAt',
      'acknowledgedAt',
      'resolvedAt',
      'durationMs',
    ])
  })

  test('get many: page after page, up to a limit, by filters', async () => {
    const service = `service-${randomUUID()}`
    const made = []
    for (let left = 103; left > 0; left--)
      made.push(await openIncident({ services: [service], severity: left > 2 ? 'low' : 'critical' }))
    const ids = made.map(({ id }) => id).reverse()
    const list = (more: object, filters: object = {}) =>
      run({ operation: 'getAll', filters: { service, ...filters }, options: {}, ...more })

    expect((await list({ returnAll: true })).output.map(({ id }) => id)).toEqual(ids)
    expect((await list({ limit: 101 })).output.map(({ id }) => id)).toEqual(ids.slice(0, 101))
    expect((await list({})).output).toHaveLength(50)
    const filters = {
      severities: ['critical'],
      status: ['open', 'acknowledged'],
      since: '2020-01-01T00:00:00',
      until: '2099-01-01T00:00:00',
      drill: false,
      q: 'Incident',
      source: [],
    }
    expect((await list({ options: { simplify: true } }, filters)).output.map(({ id }) => id)).toEqual(
      ids.slice(0, 2),
    )
    expect((await list({}, { severities: ['info'] })).output).toEqual([])
  })

  test('acknowledge, resolve, reopen and note, item by item, each paired with its item', async () => {
    const incidents = [await openIncident(), await openIncident()]
    const items = incidents.map(({ id }) => ({ id }))
    const incident = byId('={{ $json.id }}')
    const step = async (operation: string) => {
      const { output, paired } = await run({ operation, incident, note: `By n8n: ${operation}` }, { items })
      expect(paired).toEqual([0, 1])
      return output.map(({ id, status }) => [id, status])
    }
    const all = (status: string) => incidents.map(({ id }) => [id, status])

    expect(await step('acknowledge')).toEqual(all('acknowledged'))
    expect(await step('resolve')).toEqual(all('resolved'))
    expect(await step('resolve')).toEqual(all('resolved'))
    expect(await step('reopen')).toEqual(all('open'))
    const { output } = await run(
      { operation: 'addNote', incident, text: 'Looking into {{ $json.id }}' },
      { items: [items[0]!] },
    )
    expect(output).toMatchObject([{ kind: 'note', text: 'Looking into {{ $json.id }}' }])

    const { timeline } = await world.tocsin.api<Json>(
      'GET',
      `${project()}/incidents/${incidents[0]!.id}/timeline`,
    )
    expect(timeline.map(({ text }: Json) => text).join('\n')).toMatch(
      /By n8n: acknowledge[\s\S]*By n8n: resolve[\s\S]*By n8n: reopen[\s\S]*Looking into/,
    )
  })
})

test('draft a postmortem, as a try and as a revision', async () => {
  const incident = await openIncident({ severity: 'critical' })
  await world.tocsin.api('POST', `${project()}/incidents/${incident.id}/resolve`, {})
  const draft = { operation: 'draftPostmortem', incident: byId(incident.reference) }
  const dry = await run({
    ...draft,
    postmortemOptions: { dryRun: true, template: 'brief', audience: 'customer' },
  })
  expect(dry.output).toMatchObject([
    { revision: null, template: 'brief', audience: 'customer', reference: incident.reference },
  ])
  const kept = await run({ ...draft, postmortemOptions: {} })
  expect(kept.output).toMatchObject([
    {
      revision: 1,
      template: 'standard',
      audience: 'internal',
      markdown: expect.stringContaining(incident.title),
    },
  ])
  expect(kept.output[0]).toMatchObject({ facts: {}, timeline: expect.any(Array), gaps: expect.any(Array) })
})

describe('events', () => {
  test('an event sent through a source opens an incident, its end resolves it', async () => {
    const generic = await world.tocsin.createSource({
      adapter: 'generic',
      name: 'From n8n',
      settings: { grouping: 'signal' },
    })
    const alertId = randomUUID()
    const event = {
      resource: 'event',
      operation: 'send',
      source: byId(generic.id),
      title: 'Disk is full',
      alertId,
    }
    const fired = await run({
      ...event,
      action: 'trigger',
      severity: 'critical',
      additionalFields: { services: 'db', url: 'https://example.com/disk', dedupeKey: alertId },
    })
    expect(fired.output).toMatchObject([
      { success: true, outcome: 'opened', incident: { severity: 'critical', title: 'Disk is full' } },
    ])
    const over = await run({ ...event, action: 'resolve', additionalFields: {} })
    expect(over.output).toMatchObject([
      { outcome: 'resolved', incident: { id: fired.output[0].incident.id } },
    ])
  })
})

describe('sources', () => {
  test('a tool without a source gets one, and then its address', async () => {
    const source = { __rl: true, mode: 'tool', value: 'sentry' }
    const fields = {
      name: 'Sentry of the shop',
      severity: 'low',
      services: 'shop',
      grouping: 'signal',
      reopenWindowMinutes: 7,
    }
    const made = await run({ resource: 'source', operation: 'configure', source, fields })
    expect(made.output).toMatchObject([
      {
        adapter: 'sentry',
        name: 'Sentry of the shop',
        settings: {
          grouping: 'signal',
          reopenWindowMinutes: 7,
          defaults: { severity: 'low', services: ['shop'] },
        },
      },
    ])
    const changed = await run({
      resource: 'source',
      operation: 'configure',
      source,
      fields: { enabled: false, drill: true },
    })
    expect(changed.output).toMatchObject([
      {
        id: made.output[0].id,
        enabled: false,
        settings: { grouping: 'signal', defaults: { severity: 'low', drill: true } },
      },
    ])

    const { output } = await run({
      resource: 'source',
      operation: 'getWebhookUrl',
      source: byId(made.output[0].id),
    })
    expect(output).toMatchObject([
      {
        adapter: 'sentry',
        url: `${world.tocsin.address}/api/v1/webhooks/${world.tocsin.projectId}/sentry`,
        secret: '********',
        hint: expect.stringContaining('secrets:read'),
        setup: expect.any(Array),
      },
    ])
    const credential = await world.n8n.createCredential('tocsinApi', {
      baseUrl: world.tocsin.address,
      apiToken: await world.createKey(['sources:read', 'secrets:read']),
    })
    const shown = await run({ resource: 'source', operation: 'getWebhookUrl', source }, { credential })
    expect(shown.output[0].secret).toHaveLength((await secretOf(made.output[0].id)).length)
    expect(shown.output[0].hint).toBeUndefined()
  })

  async function secretOf(id: string): Promise<string> {
    return (
      (await world.tocsin.api<{ source: ApiSource }>('GET', `${project()}/sources/${id}`)).source.secret ?? ''
    )
  }
})

describe('what cannot be done', () => {
  test('Tocsin says why, and the node what to do', async () => {
    const { error } = await run({ operation: 'get', incident: byId('INC-999'), options: {} })
    expect(error).toMatchObject({
      message: expect.stringContaining('no such incident'),
      description: 'Choose one from the list, or check the ID and the project.',
    })
    const readOnly = await world.n8n.createCredential('tocsinApi', {
      baseUrl: world.tocsin.address,
      apiToken: await world.createKey(['incidents:read']),
    })
    const { id } = await openIncident()
    expect(
      (await run({ operation: 'resolve', incident: byId(id), note: '' }, { credential: readOnly })).error,
    ).toMatchObject({
      message: expect.stringContaining('lacks the scope incidents:write'),
    })
    expect(
      (await run({ operation: 'get', incident: byId('={{ $json.nothing }}'), options: {} })).error,
    ).toMatchObject({
      message: 'Choose an incident',
    })
  })

  test('a key that opens all projects has to be told which one', async () => {
    const credential = await world.n8n.createCredential('tocsinApi', {
      baseUrl: world.tocsin.address,
      apiToken: world.tocsin.adminKey,
    })
    const list = { operation: 'getAll', limit: 1, filters: {}, options: {} }
    expect((await run(list, { credential })).error).toMatchObject({ message: 'Choose a project' })
    const chosen = { ...list, project: byId(world.tocsin.projectId) }
    expect((await run(chosen, { credential })).output).toHaveLength(1)
  })

  test('with "continue on fail" the good items go on', async () => {
    const { id } = await openIncident()
    const { output, error } = await run(
      { operation: 'acknowledge', incident: byId('={{ $json.id }}'), note: '' },
      { items: [{ id: 'INC-999' }, { id }], onError: 'continueRegularOutput' },
    )
    expect(error).toBeUndefined()
    expect(output).toMatchObject([
      { error: expect.stringContaining('no such incident') },
      { id, status: 'acknowledged' },
    ])
  })
})

describe('the pickers of the editor', () => {
  const pick = (methodName: string, filter?: string, parameters: object = {}) =>
    world.n8n.rest<{ results: { name: string; value: string }[]; paginationToken?: string }>(
      'POST',
      '/dynamic-node-parameters/resource-locator-results',
      {
        nodeTypeAndVersion: { name: 'n8n-nodes-tocsin.tocsin', version: 1 },
        path: 'parameters.x',
        methodName,
        currentNodeParameters: parameters,
        credentials: { tocsinApi: world.credential },
        ...(filter && { filter }),
      },
    )

  test('list projects, incidents and sources, and find by what is typed', async () => {
    expect(await pick('searchProjects')).toEqual({
      results: [{ name: "The Key's Own Project", value: world.tocsin.projectId }],
    })
    const { id, reference, title } = await openIncident({ title: 'A rare one' })
    expect(await pick('searchIncidents', 'rare')).toEqual({
      results: [{ name: `${reference} ${title}`, value: id }],
    })
    const betterstack = await world.tocsin.createSource({ adapter: 'betterstack', name: 'Uptime' })
    expect((await pick('searchSources', 'uptime')).results).toEqual([
      { name: 'Uptime (betterstack)', value: betterstack.id },
    ])
    expect((await pick('searchGenericSources', 'uptime')).results).toEqual([])
    const options = await world.n8n.rest<{ value: string }[]>('POST', '/dynamic-node-parameters/options', {
      nodeTypeAndVersion: { name: 'n8n-nodes-tocsin.tocsinTrigger', version: 1 },
      path: 'parameters.options.sources',
      methodName: 'sourceOptions',
      currentNodeParameters: {},
      credentials: { tocsinApi: world.credential },
    })
    expect(options.map(({ value }) => value)).toContain(betterstack.id)
  })
})
