import { randomUUID } from 'node:crypto'
import type { ApiIncident, ApiSource } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Tocsin } from '../../n8n-nodes/nodes/Tocsin/Tocsin.node.ts'
import type { Credential, Execution, Json } from './n8n-process.ts'
import { inARow, openWorld, type World } from './world.ts'

let world: World

beforeAll(async () => {
  world = await openWorld(['api.openai.com'])
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

describe('the credential', () => {
  const check = async (data: { baseUrl: string; apiToken: string }) => {
    const credential = await world.n8n.createCredential('tocsinApi', data)
    return world.n8n.rest('POST', '/credentials/test', {
      credentials: { ...credential, type: 'tocsinApi', data },
    })
  }
  const refused = (message: RegExp) => ({ status: 'Error', message: expect.stringMatching(message) })

  test('passes its test with an address and a key as people paste them, and works so', async () => {
    const apiToken = await world.createKey(['incidents:read'])
    const data = { baseUrl: ` ${world.tocsin.address}/api/v1/ `, apiToken: `${apiToken}\n` }
    expect(await check(data)).toMatchObject({ status: 'OK', message: 'Tocsin knows this key.' })
    const credential = await world.n8n.createCredential('tocsinApi', data)
    const { id, reference } = await openIncident()
    const { output } = await run(
      { operation: 'get', project: byId(world.tocsin.projectId), incident: byId(reference), options: {} },
      { credential },
    )
    expect(output).toMatchObject([{ id }])
  })

  test('names what is wrong with the Base URL', async () => {
    const { address } = world.tocsin
    const apiToken = await world.createKey(['incidents:read'])
    const port = address.split(':').at(-1)
    for (const [baseUrl, message] of [
      ['', /^The Base URL is empty/],
      [`127.0.0.1:${port}`, /^The Base URL does not begin with https/],
      ['http://127.0.0.1:9', /^Nothing answers at 127\.0\.0\.1:9 \(ECONNREFUSED\)\. Check host and port/],
      [`https://127.0.0.1:${port}`, /does not speak https .*begin the Base URL with http:/],
      [`${address}/console`, /Leave out of the Base URL what follows the host\.$/],
      [world.n8n.address, /^Something other than Tocsin answers .*Check the Base URL/],
    ] as const) {
      expect(await check({ baseUrl, apiToken }), baseUrl).toMatchObject(refused(message))
    }
  })

  test('names what is wrong with the API Key', async () => {
    const { address: baseUrl } = world.tocsin
    for (const [apiToken, message] of [
      ['', /^The API Key is empty/],
      ['Bearer x', /^The API Key holds characters that no key has/],
      [
        'wrong',
        /key that is unknown or has expired.* API Key of the credential.* Put in one that is valid\.$/,
      ],
      [
        await world.createKey(['secrets:read']),
        /Tocsin Trigger needs .* The Tocsin node needs .*incidents:read/,
      ],
    ] as const) {
      expect(await check({ baseUrl, apiToken })).toMatchObject(refused(message))
    }
  })

  test('with a Base URL that is none, the node says the same', async () => {
    const credential = await world.n8n.createCredential('tocsinApi', { baseUrl: 'tocsin', apiToken: 'x' })
    const list = { operation: 'getAll', project: byId(world.tocsin.projectId), filters: {}, options: {} }
    expect((await run(list, { credential })).error).toMatchObject({
      message: expect.stringMatching(/^The Base URL does not begin with https/),
      description: 'Open the credential of the node and change the field.',
    })
  })
})

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
        labels: { label: [{ name: 'team', value: 'shop' }, { name: '', value: '' }, {}] },
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
    expect((await run({ ...parameters, title: 'Another' })).error).toMatchObject({
      message: expect.stringContaining('Idempotency-Key: used for another request'),
      description: expect.stringMatching(/^A Dedupe Key has to be new for every new request/),
    })
  })

  test('an empty dedupe key is none; one that cannot be sent is named', async () => {
    const create = (dedupeKey: unknown) =>
      run({ operation: 'create', title: 'Twice', severity: 'low', additionalFields: { dedupeKey } })
    const [first, second] = [await create(''), await create(' ')]
    expect(first.output[0].id).not.toBe(second.output[0].id)
    expect((await create('={{ $json.nothing }}')).output).toMatchObject([{ title: 'Twice' }])
    expect((await create('={{ 4711 }}')).output).toMatchObject([{ title: 'Twice' }])
    for (const key of ['Kühlraum', 'two\nlines', 'x'.repeat(256)]) {
      expect((await create(key)).error).toMatchObject({ message: expect.stringMatching(/^Dedupe Key: /) })
    }
  })

  test('a field that Tocsin refuses is named, and the node says where to look', async () => {
    const description = expect.stringMatching(/^Change the field of the node that the message names/)
    const list = { operation: 'getAll', limit: 1, options: {} }
    expect((await run({ ...list, filters: { since: 'yesterday' } })).error).toMatchObject({
      message: expect.stringContaining('since'),
      description,
    })
    const labels = { label: [{ name: '', value: 'shop' }] }
    const create = { operation: 'create', severity: 'low' }
    expect(
      (await run({ ...create, title: 'A label without a name', additionalFields: { labels } })).error,
    ).toMatchObject({ message: expect.stringContaining('labels'), description })
    expect(
      (await run({ ...create, title: '={{ $json.nothing }}', additionalFields: {} })).error,
    ).toMatchObject({
      message: expect.stringMatching(/title/i),
    })
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
  const pick = (methodName: string, filter?: string, credential = world.credential) =>
    world.n8n.rest<{ results: { name: string; value: string }[]; paginationToken?: string }>(
      'POST',
      '/dynamic-node-parameters/resource-locator-results',
      {
        nodeTypeAndVersion: { name: 'n8n-nodes-tocsin.tocsin', version: 1 },
        path: 'parameters.x',
        methodName,
        currentNodeParameters: {},
        credentials: { tocsinApi: credential },
        ...(filter && { filter }),
      },
    )

  test('list projects, incidents and sources, and find by what is typed', async () => {
    const projects = { results: [{ name: 'default', value: world.tocsin.projectId }] }
    expect(await pick('searchProjects')).toEqual(projects)
    expect(await pick('searchProjects', 'DEF')).toEqual(projects)
    expect(await pick('searchProjects', 'shop')).toEqual({ results: [] })
    const all = await world.n8n.createCredential('tocsinApi', {
      baseUrl: world.tocsin.address,
      apiToken: world.tocsin.adminKey,
    })
    expect(await pick('searchProjects', undefined, all)).toEqual(projects)
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

describe('as tools of an agent', () => {
  const actions = new Tocsin().description.properties
    .filter(({ name }) => name === 'operation')
    .flatMap(({ options }) => options as { action: string }[])
    .map(({ action }) => action.replaceAll(' ', '_'))

  /** What the agent decides: the name of a parameter, and its type. */
  const fromAi = (name: string, type = 'string') => `={{ $fromAI('${name}', 'About ${name}', '${type}') }}`

  test('every operation is offered with its schema and runs with what the agent gives', async () => {
    const generic = await world.tocsin.createSource({
      adapter: 'generic',
      name: 'For agents',
      settings: { grouping: 'signal' },
    })
    const { id, reference } = await openIncident({ title: 'An agent looks at this' })
    const incident = byId(fromAi('incident'))
    // Parameters of each tool, what the agent gives, and what comes back.
    const tools: Record<string, [parameters: object, given: Record<string, unknown>, back: string]> = {
      Acknowledge_an_incident: [
        { operation: 'acknowledge', incident, note: fromAi('note') },
        { incident: reference, note: 'An agent has seen it' },
        '"status":"acknowledged"',
      ],
      Add_a_note_to_an_incident: [
        { operation: 'addNote', incident, text: fromAi('text') },
        { incident: id, text: 'It may be the database' },
        'It may be the database',
      ],
      Create_an_incident: [
        {
          operation: 'create',
          title: fromAi('title'),
          severity: fromAi('severity'),
          additionalFields: { services: fromAi('services', 'json'), description: fromAi('description') },
        },
        { title: 'Made by an agent', severity: 'low', services: ['checkout', 'pay'], description: 'Why' },
        '"services":["checkout","pay"]',
      ],
      Draft_the_postmortem_of_an_incident: [
        { operation: 'draftPostmortem', incident, postmortemOptions: { dryRun: true } },
        { incident: reference },
        'An agent looks at this',
      ],
      Get_an_incident: [{ operation: 'get', incident, options: {} }, { incident: id }, reference],
      Get_many_incidents: [
        {
          operation: 'getAll',
          limit: fromAi('limit', 'number'),
          filters: { q: fromAi('q'), severities: fromAi('severity') },
          options: { simplify: true },
        },
        { limit: 1, q: 'An agent looks', severity: 'medium' },
        reference,
      ],
      Reopen_an_incident: [{ operation: 'reopen', incident, note: '' }, { incident: id }, '"status":"open"'],
      Resolve_an_incident: [
        { operation: 'resolve', incident, note: fromAi('note') },
        { incident: id, note: 'It is over' },
        '"status":"resolved"',
      ],
      Send_an_event: [
        {
          resource: 'event',
          operation: 'send',
          source: byId(generic.id),
          title: fromAi('title'),
          action: 'trigger',
          severity: 'high',
          alertId: fromAi('alertId'),
          additionalFields: {},
        },
        { title: 'Sent by an agent', alertId: 'agent-1' },
        '"outcome":"opened"',
      ],
      Configure_a_source: [
        {
          resource: 'source',
          operation: 'configure',
          source: byId(generic.id),
          fields: { name: fromAi('name') },
        },
        { name: 'Renamed by an agent' },
        'Renamed by an agent',
      ],
      Get_the_webhook_URL_of_a_source: [
        { resource: 'source', operation: 'getWebhookUrl', source: byId(fromAi('source')) },
        { source: generic.id },
        '/webhooks/',
      ],
    }
    const names = Object.keys(tools)
    expect(names.toSorted()).toEqual(actions.toSorted())
    // Resolving before reopening, the rest as it comes.
    const order = names.toSorted(
      (one, other) => Number(one.startsWith('Reopen')) - Number(other.startsWith('Reopen')),
    )
    const turns = order.map((name) => ({
      role: 'assistant',
      content: null,
      tool_calls: [
        {
          id: `call_${name}`,
          type: 'function',
          function: { name, arguments: JSON.stringify(tools[name]![1]) },
        },
      ],
    }))
    const from = world.outside.received.length
    world.outside.play('api.openai.com', () => {
      const message = turns.shift() ?? { role: 'assistant', content: 'Done.' }
      return {
        id: 'c1',
        object: 'chat.completion',
        created: 1,
        model: 'gpt-4.1-mini',
        choices: [{ index: 0, message, finish_reason: 'tool_calls' in message ? 'tool_calls' : 'stop' }],
        usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
      }
    })
    const path = randomUUID()
    const workflow = inARow('An agent acts', [
      {
        name: 'Webhook',
        type: 'n8n-nodes-base.webhook',
        typeVersion: 2,
        webhookId: path,
        parameters: { path, httpMethod: 'POST', responseMode: 'onReceived', options: {} },
      },
      {
        name: 'Agent',
        type: '@n8n/n8n-nodes-langchain.agent',
        typeVersion: 2,
        parameters: { promptType: 'define', text: 'Do it all', options: { maxIterations: 20 } },
      },
    ])
    const attached = [
      {
        name: 'Model',
        type: '@n8n/n8n-nodes-langchain.lmChatOpenAi',
        typeVersion: 1.2,
        parameters: { model: byId('gpt-4.1-mini'), options: {} },
        credentials: { openAiApi: await world.n8n.createCredential('openAiApi', { apiKey: 'sk-test' }) },
      },
      ...names.map((name) => ({
        name: name.replaceAll('_', ' '),
        type: 'n8n-nodes-tocsin.tocsinTool',
        typeVersion: 1,
        parameters: { descriptionType: 'auto', ...tools[name]![0] },
        credentials: { tocsinApi: world.credential },
      })),
    ]
    for (const node of attached) {
      workflow.nodes.push({ ...node, id: randomUUID(), position: [220, 220] })
      const type = node.name === 'Model' ? 'ai_languageModel' : 'ai_tool'
      workflow.connections[node.name] = { [type]: [[{ node: 'Agent', type, index: 0 }]] }
    }
    const workflowId = await world.n8n.createWorkflow(workflow)
    await world.n8n.api('POST', `/workflows/${workflowId}/activate`)
    try {
      await world.n8n.callWebhook(path, {})
      const [execution] = await world.executions(workflowId, 1)
      expect([execution!.status, execution!.error]).toEqual(['success', undefined])
    } finally {
      await world.n8n.forget(workflowId)
    }

    const bodies = world.outside.received.slice(from).map(({ body }) => body as Json)
    const offered = bodies[0].tools.map(({ function: { name, description, parameters } }: Json) => {
      expect(description).toMatch(/ in Tocsin$/)
      return [name, Object.keys(parameters.properties).toSorted()]
    })
    expect(Object.fromEntries(offered)).toEqual(
      Object.fromEntries(names.map((name) => [name, Object.keys(tools[name]![1]).toSorted()])),
    )
    const answers = bodies.at(-1).messages.filter(({ role }: Json) => role === 'tool')
    expect(answers).toHaveLength(names.length)
    for (const [index, name] of order.entries())
      expect(answers[index].content, name).toContain(tools[name]![2])
  })
})
