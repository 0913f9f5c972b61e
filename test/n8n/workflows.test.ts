import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { ApiIncident, ApiReceived, ApiTimelineEntry } from '@tocsin/core'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { inRepository } from '../support/child.ts'
import { freshDatabase } from '../support/databases.ts'
import { send } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { openMailServer } from './mail-server.ts'
import type { Credential, Execution, Json, Workflow } from './n8n-process.ts'
import { type Answer, OUT_OF_ORDER, type OutsideRequest } from './outside.ts'
import { openWorld, type World } from './world.ts'

/** Every ready workflow as it is published: nothing is changed but that its nodes get credentials. */

const FOLDER = inRepository('n8n-nodes/workflows')
const HOSTS = [
  'slack.com',
  'api.github.com',
  'api.linear.app',
  'example.atlassian.net',
  'api.statuspage.io',
  'api.notion.com',
  'api.openai.com',
]

let world: World
const tried = new Set<string>()

beforeAll(async () => {
  world = await openWorld(HOSTS)
})
afterAll(() => world?.close())

const project = () => `/projects/${world.tocsin.projectId}`

async function openIncident(more: object = {}): Promise<ApiIncident> {
  const body = { title: 'Checkout is down', severity: 'critical', services: ['checkout'], ...more }
  return (await world.tocsin.api<{ incident: ApiIncident }>('POST', `${project()}/incidents`, body)).incident
}

/** What a monitor reports: an incident that began twelve minutes ago, by its reference, and how it ends. */
async function openMonitored(more: object = {}): Promise<{ reference: string; recover(): Promise<void> }> {
  const source = await world.tocsin.createSource({
    adapter: 'generic',
    name: randomUUID(),
    settings: { grouping: 'signal' },
  })
  const report = async (step: object) => {
    const body = { title: 'Checkout is down', id: 'check-7', monitor: 'Checkout page', ...more, ...step }
    return (await send<ApiReceived>(source, JSON.stringify(body))).body
  }
  const time = new Date(Date.now() - 12 * 60_000).toISOString()
  const opened = await report({ severity: 'critical', service: 'checkout', time })
  return {
    reference: opened.incident!.reference,
    recover: async () => void (await report({ action: 'resolve' })),
  }
}

/** Sends a message of an execution again, as one that others have overtaken. */
async function replay({ output }: Execution) {
  const { webhookId } = output['Tocsin Trigger']![0]
  await world.tocsin.api('POST', `${project()}/messages/${webhookId}/replay`, {})
}

async function change(incident: ApiIncident, step: 'acknowledge' | 'resolve' | 'reopen') {
  await world.tocsin.api('POST', `${project()}/incidents/${incident.id}/${step}`, {})
}

async function read(incident: ApiIncident): Promise<ApiIncident> {
  return (await world.tocsin.api<{ incident: ApiIncident }>('GET', `${project()}/incidents/${incident.id}`))
    .incident
}

/**
 * Plays a service for one test, and answers what it has taken since. The first request of every kind finds it out of
 * order: no workflow may lose a step by that.
 */
function play(host: string, answer: Answer): () => OutsideRequest[] {
  const kinds = new Set<string>()
  const taken: OutsideRequest[] = []
  world.outside.play(host, (request) => {
    const kind = kindOf(request)
    if (!kinds.has(kind)) {
      kinds.add(kind)
      return OUT_OF_ORDER
    }
    taken.push(request)
    return answer(request)
  })
  return () => taken
}

/** What it wants of a service; of GraphQL the field that is asked for. */
function kindOf({ method, path, body }: OutsideRequest): string {
  const field = /\w+(?=\((filter|input):)/.exec(String((body as Json)?.query))?.[0]
  return [method, path.split('?')[0], field].join(' ')
}

/** Imports a workflow as the editor does, with its pinned data; gives its nodes these credentials. */
async function importWorkflow(
  file: string,
  credentials: Record<string, Record<string, unknown>> = {},
  edit: (workflow: Workflow) => void = () => {},
): Promise<Workflow & { id: string }> {
  const workflow = JSON.parse(readFileSync(`${FOLDER}/${file}.json`, 'utf8')) as Workflow
  edit(workflow)
  hurry(workflow)
  const made: Record<string, Credential> = { tocsinApi: world.credential }
  for (const [type, data] of Object.entries(credentials))
    made[type] = await world.n8n.createCredential(type, data)
  for (const node of workflow.nodes) {
    const type = credentialOf(node)
    if (type) node.credentials = { [type]: made[type]! }
  }
  const { id } = await world.n8n.rest<{ id: string }>('POST', '/workflows', workflow)
  onTestFinished(() => world.n8n.forget(id))
  return { ...workflow, id }
}

/** Waits between two tries, five seconds each, a tenth as long: only their number matters here. */
function hurry({ nodes }: Workflow): void {
  for (const node of nodes) {
    if (node.waitBetweenTries !== undefined) node.waitBetweenTries = 500
    if (node.type === 'n8n-nodes-base.wait') Object.assign(node.parameters, { amount: 0.5 })
  }
}

/** The same, and activates it for one test. */
async function activate(...imported: Parameters<typeof importWorkflow>): Promise<string> {
  tried.add(`${imported[0]}.json`)
  const { id, nodes } = await importWorkflow(...imported)
  if (nodes.some(({ type }) => type.endsWith('tocsinTrigger'))) await world.activate(id)
  else await world.n8n.api('POST', `/workflows/${id}/activate`)
  return id
}

function credentialOf({ type, parameters }: Workflow['nodes'][number]): string | undefined {
  if (type.startsWith('n8n-nodes-tocsin.')) return 'tocsinApi'
  if (type.endsWith('.httpRequest'))
    return (parameters.nodeCredentialType ?? parameters.genericAuthType) as string
  const types: Record<string, string> = {
    slack: 'slackApi',
    github: 'githubApi',
    linear: 'linearApi',
    jira: 'jiraSoftwareCloudApi',
    emailSend: 'smtp',
    postgres: 'postgres',
    webhook: 'httpHeaderAuth',
    lmChatOpenAi: 'openAiApi',
  }
  return types[type.split('.').at(-1)!]
}

/** Waits for the executions of a workflow, all of which have to succeed. */
async function succeeded(workflowId: string, count: number) {
  const executions = await world.executions(workflowId, count)
  expect(executions.map(({ status, error }) => [status, error])).toEqual(
    executions.map(() => ['success', undefined]),
  )
  return executions
}

test('Slack: the button of the message acknowledges, the end is told', async () => {
  const asked = play('slack.com', () => ({ ok: true, channel: 'C1', ts: '1.2', message: {} }))
  const workflow = await activate('slack-acknowledge', { slackApi: { accessToken: 'xoxb-1' } })
  // The title is a stranger's: it must call nobody.
  const incident = await openIncident({ title: 'Checkout <!channel> is down' })
  const [message] = await until('the message is posted', () => asked().length === 1 && asked())
  expect(message).toMatchObject({
    method: 'POST',
    path: '/api/chat.postMessage',
    headers: { authorization: 'Bearer xoxb-1' },
  })
  const text = JSON.stringify(message!.body)
  expect(text).toContain(`*critical* ${incident.reference} Checkout ‹!channel› is down`)

  const button = (message!.body as Json).blocks.find(({ type }: Json) => type === 'actions').elements[0]
  expect(button.text.text).toBe('Acknowledge')
  expect((await read(incident)).status).toBe('open')
  // Previews of chats are told apart from people by this header.
  const person = { headers: { 'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64) Chrome/150.0.0.0' } }
  // The message is out a moment before n8n waits for the click: until then it answers 409.
  await until('the click is taken', async () => (await fetch(button.url, person)).status === 200)
  await until('it is acknowledged', async () => (await read(incident)).status === 'acknowledged')

  await change(incident, 'resolve')
  const [opened] = await succeeded(workflow, 2)
  expect(JSON.stringify(asked()[1]!.body)).toContain(
    `Resolved after less than 1 min: ${incident.reference} Checkout ‹!channel› is down`,
  )
  await replay(opened!)
  await succeeded(workflow, 3)
  expect(asked(), 'nobody is asked about what is over').toHaveLength(2)

  await change(incident, 'reopen')
  const again = await until('its return is told', () => asked()[2])
  expect(JSON.stringify(again.body)).toContain(`It is back: *critical* ${incident.reference}`)
  expect((again.body as Json).blocks.some(({ type }: Json) => type === 'actions')).toBe(true)
})

test('Slack: a button that nobody clicks acknowledges nothing, and waits no longer than it may', async () => {
  const asked = play('slack.com', () => ({ ok: true, channel: 'C1', ts: '1.2', message: {} }))
  const limits: Json[] = []
  const workflow = await activate(
    'slack-acknowledge',
    { slackApi: { accessToken: 'xoxb-1' } },
    ({ nodes }) => {
      const { options } = nodes.find(({ name }) => name === 'Ask in Slack')!.parameters as Json
      limits.push({ ...options.limitWaitTime.values })
      // n8n looks once a minute for what has waited long enough.
      Object.assign(options.limitWaitTime.values, { resumeAmount: 0.01, resumeUnit: 'minutes' })
    },
  )
  expect(limits).toEqual([{ limitType: 'afterTimeInterval', resumeAmount: 1, resumeUnit: 'days' }])
  const incident = await openIncident()
  const [execution] = await succeeded(workflow, 1)
  expect(asked()).toHaveLength(1)
  expect(execution!.output.Acknowledge).toBeUndefined()
  expect((await read(incident)).status).toBe('open')
})

test('GitHub: an issue with labels, and the duration as a comment', async () => {
  const issues = '/repos/your-organisation/your-repository/issues'
  const made: Json[] = []
  const asked = play('api.github.com', ({ method, path, body }) => {
    if (method === 'GET') {
      const label = new URLSearchParams(path.split('?')[1]).get('labels')!
      // Another project has an incident with the same number.
      const other = { number: 3, labels: ['shop', label.split(' ').at(-1)] }
      return [other, ...made].filter(({ labels }) => labels.includes(label))
    }
    // A stand-in in trouble makes the issue, and fails all the same.
    if (path.endsWith('/issues')) return made.push({ number: 7, ...(body as object) }) && OUT_OF_ORDER
    return { id: 1 }
  })
  const workflow = await activate('github-issue', {
    githubApi: { server: 'https://api.github.com', user: 'me', accessToken: 'ghp' },
  })
  const { reference, recover } = await openMonitored()
  const [opened] = await succeeded(workflow, 1)
  await recover()
  await succeeded(workflow, 2)
  const key = `default ${reference}`
  expect(made).toEqual([
    {
      number: 7,
      title: `[${key}] Checkout is down`,
      body: expect.stringContaining('Severity critical'),
      labels: ['Checkout page', 'critical', key],
      assignees: [],
    },
  ])
  const comments = () => asked().filter(({ path }) => path.endsWith('/comments'))
  expect(comments().map(({ path, body }) => [path, body])).toEqual([
    [`${issues}/7/comments`, { body: 'Resolved after 12 min.' }],
  ])
  const searched = asked().filter(({ method }) => method === 'GET')
  for (const { path } of searched) expect(new URLSearchParams(path.split('?')[1]).get('labels')).toBe(key)

  await replay(opened!)
  await succeeded(workflow, 3)
  expect(made, 'what is there is not made again').toHaveLength(1)
  expect(comments()).toHaveLength(1)

  await world.tocsin.api('POST', `${project()}/incidents/${reference}/reopen`, {})
  await succeeded(workflow, 4)
  expect(made).toHaveLength(1)
  expect(comments().at(-1)!.body).toEqual({ body: 'It is back.' })
})

test('GitHub: the end waits for the beginning; where nothing comes both say so', async () => {
  const asked = play('api.github.com', ({ method }) => (method === 'GET' ? [] : OUT_OF_ORDER))
  const workflow = await activate('github-issue', {
    githubApi: { server: 'https://api.github.com', user: 'me', accessToken: 'ghp' },
  })
  const incident = await openIncident()
  await change(incident, 'resolve')
  const ended = await world.executions(workflow, 2)
  const errors = ended.map(({ error }) => error?.message ?? '')
  expect(errors.toSorted()).toEqual([
    expect.stringMatching(/^GitHub takes no issue: ./),
    expect.stringContaining(`No issue has the label default ${incident.reference}.`),
  ])
  const tries = asked().filter(({ method }) => method === 'POST')
  expect(tries.length).toBeGreaterThan(5)
  // Opened by hand, it has no monitor.
  expect((tries[0]!.body as Json).labels).toEqual(['checkout', 'critical', `default ${incident.reference}`])
})

test('Linear: an issue with labels, made where they are missing, and the duration as a comment', async () => {
  const labels = [{ id: 'L-critical', name: 'critical' }]
  let key = ''
  let isMade = false
  const asked = play('api.linear.app', ({ body }) => {
    const { query, variables } = body as Json
    if (query.includes('issueLabels('))
      return { data: { issueLabels: { nodes: labels.filter(({ name }) => variables.names.includes(name)) } } }
    if (query.includes('issueLabelCreate')) {
      // Another incident made the first of them at the same moment.
      labels.push({ id: 'L-monitor', name: 'Checkout page' }, { id: 'L-ref', name: key })
      return { errors: [{ message: 'duplicate label name' }], data: null }
    }
    if (query.includes('issueCreate')) {
      isMade = true
      return { data: { issueCreate: { issue: { id: 'I-1' } } } }
    }
    if (query.includes('issues(')) return { data: { issues: { nodes: isMade ? [{ id: 'I-1' }] : [] } } }
    return { data: { commentCreate: { success: true, comment: { id: 'C-1' } } } }
  })
  const workflow = await activate('linear-issue', { linearApi: { apiKey: 'lin' } })
  const { reference, recover } = await openMonitored()
  key = `default ${reference}`
  // The end overtakes the beginning, whose first requests fail.
  await recover()
  await succeeded(workflow, 2)
  const bodies = asked().map(({ body }) => body as Json)
  const of = (field: string) => bodies.filter(({ query }) => query.includes(field))
  expect(of('issueLabels(').length).toBeGreaterThan(1)
  for (const { variables } of of('issueLabels('))
    expect(variables).toEqual({ names: ['Checkout page', 'critical', key] })
  expect(of('issueLabelCreate').map(({ query }) => query)).toEqual([
    `mutation { l0: issueLabelCreate(input: { name: "Checkout page" }) { issueLabel { id } } l1: issueLabelCreate(input: { name: "${key}" }) { issueLabel { id } } }`,
  ])
  expect(of('issueCreate').map(({ variables }) => variables.input)).toEqual([
    {
      teamId: 'YOUR-TEAM-ID',
      title: `[${key}] Checkout is down`,
      description: expect.stringContaining('Severity critical'),
      labelIds: ['L-critical', 'L-monitor', 'L-ref'],
    },
  ])
  for (const { variables } of of('issues(')) expect(variables).toEqual({ title: `[${key}]` })
  expect(of('commentCreate')).toHaveLength(1)
  expect(JSON.stringify(of('commentCreate'))).toContain('Resolved after 12 min.')
})

test('Linear: what it refuses with a 200 is tried again like any failure; where that goes on its words are said', async () => {
  const refused = { errors: [{ message: 'Could not find referenced Team.' }], data: null }
  const kinds = new Set<string>()
  let isMade = false
  let takesNone = false
  const asked = play('api.linear.app', (request) => {
    const { query } = request.body as Json
    const kind = kindOf(request)
    if (!kinds.has(kind) || (takesNone && query.includes('issueCreate'))) return kinds.add(kind) && refused
    if (query.includes('issueLabels(')) return { data: { issueLabels: { nodes: [] } } }
    if (query.includes('issueCreate')) isMade = true
    if (query.includes('issues(')) return { data: { issues: { nodes: isMade ? [{ id: 'I-1' }] : [] } } }
    return { data: { commentCreate: { success: true, comment: { id: 'C-1' } } } }
  })
  const workflow = await activate('linear-issue', { linearApi: { apiKey: 'lin' } })
  const incident = await openIncident()
  await succeeded(workflow, 1)
  expect(isMade).toBe(true)
  await change(incident, 'resolve')
  await succeeded(workflow, 2)
  const comments = asked().filter(({ body }) => (body as Json).query.includes('commentCreate'))
  expect(comments).toHaveLength(2)

  isMade = false
  takesNone = true
  await openIncident()
  const errors = (await world.executions(workflow, 3)).flatMap(({ error }) => error?.message ?? [])
  expect(errors).toEqual(['Linear takes no issue: Could not find referenced Team.'])
})

test('Jira: a ticket with labels, and the duration as a comment', async () => {
  const made: Json[] = []
  const asked = play('example.atlassian.net', ({ method, path, body }) => {
    if (path.endsWith('/issuetype')) return [{ id: '10001', name: 'Bug' }]
    if (path.includes('search')) return { issues: made.slice(0, 1), total: made.length }
    if (method === 'POST' && path.endsWith('/issue'))
      made.push({ ...(body as object), id: '1', key: 'OPS-1' })
    return { id: '1', key: 'OPS-1', fields: {} }
  })
  const workflow = await activate('jira-ticket', {
    jiraSoftwareCloudApi: { email: 'me@example.com', apiToken: 'j', domain: 'https://example.atlassian.net' },
  })
  const monitor = ` Checkout  ${'x'.repeat(300)}`
  const { reference, recover } = await openMonitored({ monitor })
  await succeeded(workflow, 1)
  await recover()
  await succeeded(workflow, 2)
  const key = `default-${reference}`
  expect(made).toHaveLength(1)
  expect(made[0].fields).toMatchObject({
    summary: `[default ${reference}] Checkout is down`,
    labels: [`Checkout-${'x'.repeat(246)}`, 'critical', key],
    project: { id: '10000' },
  })
  const searched = asked().filter(({ path }) => path.includes('search'))
  expect(searched.length).toBeGreaterThan(1)
  for (const { path, body } of searched)
    expect(decodeURIComponent(path.replaceAll('+', ' ')) + ((body as Json).jql ?? '')).toContain(
      `labels = "${key}"`,
    )
  const comments = asked().filter(({ path }) => path.endsWith('/issue/OPS-1/comment'))
  expect(comments).toHaveLength(1)
  expect(JSON.stringify(comments[0]!.body)).toContain('Resolved after 12 min.')
})

function smtpOf({ port }: { port: number }) {
  return { host: '127.0.0.1', port, secure: false, disableStartTls: true, user: '', password: '' }
}

test('e-mail: one for every step', async () => {
  const server = await openMailServer()
  onTestFinished(server.close)
  const workflow = await activate('email', { smtp: smtpOf(server) })
  const incident = await openIncident()
  await change(incident, 'acknowledge')
  await change(incident, 'resolve')
  await change(incident, 'reopen')
  await succeeded(workflow, 4)
  const subjects = server.mails.map((mail) => /^Subject: (.*)$/m.exec(mail)?.[1])
  expect(subjects.toSorted()).toEqual([
    `[acknowledged] ${incident.reference} Checkout is down`,
    `[opened] ${incident.reference} Checkout is down`,
    `[reopened] ${incident.reference} Checkout is down`,
    `[resolved] ${incident.reference} Checkout is down`,
  ])
  expect(server.mails[0]).toContain('Services: checkout')
})

test('the same file imported twice: both are registered, each at an address of its own', async () => {
  for (const name of ['one', 'other']) {
    const { id } = await importWorkflow('email', { smtp: smtpOf({ port: 25 }) }, (workflow) =>
      Object.assign(workflow, { name }),
    )
    await world.activate(id)
  }
  const urls = (await world.endpoints()).flatMap(({ description, url }) =>
    ['n8n: one', 'n8n: other'].includes(description ?? '') ? url : [],
  )
  expect(new Set(urls).size).toBe(2)
})

test('SQL: a row for every incident, kept up to date', async () => {
  const database = await freshDatabase('postgres')
  onTestFinished(() => database.dispose())
  const { username, password, hostname, port, pathname } = new URL(database.url)
  // The first who comes finds the database away.
  let isAway = true
  const between = createServer((socket) => {
    if (isAway) socket.destroy()
    else
      socket
        .pipe(connect(Number(port), hostname))
        .on('error', () => {})
        .pipe(socket)
        .on('error', () => {})
    isAway = false
  })
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void between.close())
  const workflow = await activate('sql-rows', {
    postgres: {
      host: '127.0.0.1',
      port: (between.address() as AddressInfo).port,
      database: pathname.slice(1),
      user: username,
      password,
      ssl: 'disable',
    },
  })
  const incident = await openIncident({ title: "Robert'); DROP TABLE incidents;--" })
  await succeeded(workflow, 1)
  await change(incident, 'resolve')
  const [opened] = await succeeded(workflow, 2)
  await replay(opened!)
  await succeeded(workflow, 3)

  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query('select * from incidents')
  await client.end()
  expect(rows).toMatchObject([
    {
      id: incident.id,
      reference: incident.reference,
      title: incident.title,
      status: 'resolved',
      severity: 'critical',
      sequence: '2',
    },
  ])
})

test('status page: opened, moved on, ended, opened again, and no title of an alert on it', async () => {
  let pages = 0
  let unresolved: Json[] = []
  const asked = play('api.statuspage.io', ({ method, path, body }) => {
    if (method === 'GET') return [{ id: 'other', name: '[INC-000] Older', metadata: {} }, ...unresolved]
    const { incident } = body as Json
    if (method === 'POST') unresolved = [{ id: `page-${pages++}`, metadata: incident.metadata }]
    // It goes on listing what is resolved until the end of this test: what others have overtaken is sent there.
    return { id: path.split('/').at(-1) }
  })
  const workflow = await activate('status-page', {
    httpHeaderAuth: { name: 'Authorization', value: 'OAuth 1' },
  })
  const incident = await openIncident()
  await succeeded(workflow, 1)
  await change(incident, 'acknowledge')
  const [opened, acknowledged] = await succeeded(workflow, 2)
  await change(incident, 'resolve')
  await succeeded(workflow, 3)
  await replay(acknowledged!)
  await replay(opened!)
  await succeeded(workflow, 5)
  unresolved = []
  await change(incident, 'reopen')
  await succeeded(workflow, 6)
  await change(incident, 'resolve')
  await succeeded(workflow, 7)
  const metadata = { tocsin: { incident: incident.id } }
  const base = '/v1/pages/YOUR-PAGE-ID/incidents'
  expect(
    asked()
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path, body }) => [method, path, (body as Json).incident]),
  ).toEqual([
    [
      'POST',
      base,
      {
        name: `[${incident.reference}] Trouble with checkout`,
        status: 'investigating',
        body: 'We are looking into it.',
        metadata,
      },
    ],
    ['PATCH', `${base}/page-0`, { status: 'identified', body: 'Someone is on it.' }],
    ['PATCH', `${base}/page-0`, { status: 'resolved', body: 'It is over.' }],
    // The older message says what is so by now.
    ['PATCH', `${base}/page-0`, { status: 'resolved', body: 'It is over.' }],
    [
      'POST',
      base,
      {
        name: `[${incident.reference}] Trouble with checkout`,
        status: 'investigating',
        body: 'It is back. We are looking into it.',
        metadata,
      },
    ],
    ['PATCH', `${base}/page-1`, { status: 'resolved', body: 'It is over.' }],
  ])
  expect(asked()[0]!.headers.authorization).toBe('OAuth 1')
})

test('Notion: the postmortem becomes a page when it is over', async () => {
  const asked = play('api.notion.com', () => ({ object: 'page', id: 'n1' }))
  const workflow = await activate('postmortem-to-notion', { notionApi: { apiKey: 'ntn' } })
  const incident = await openIncident()
  await change(incident, 'resolve')
  await succeeded(workflow, 1)
  const [page] = asked()
  expect(page).toMatchObject({
    method: 'POST',
    path: '/v1/pages',
    headers: { authorization: 'Bearer ntn' },
  })
  const { properties, children } = page!.body as Json
  expect(properties.title.title[0].text.content).toBe(`Postmortem of ${incident.reference}: Checkout is down`)
  const blocks = children.map((block: Json) => [block.type, block[block.type].rich_text[0].text.content])
  expect(blocks).toContainEqual(['heading_2', 'Timeline'])
  expect(blocks.flat().join('\n')).toContain(incident.reference)
  expect(blocks.length).toBeLessThanOrEqual(100)
})

test('deploys: 423 with the incidents while a critical one is open, else 200; nothing without the key', async () => {
  await activate('block-deploys', { httpHeaderAuth: { name: 'X-Deploy-Key', value: 'letmein' } })
  const ask = async (key = 'letmein') => {
    const response = await fetch(`${world.n8n.address}/webhook/deploy-gate`, {
      headers: { 'X-Deploy-Key': key },
    })
    return {
      status: response.status,
      body: response.status === 200 || response.status === 423 ? await response.json() : null,
    }
  }
  await until('the gate answers', async () => (await ask()).status !== 404)
  const { incidents } = await world.tocsin.api<{ incidents: ApiIncident[] }>(
    'GET',
    `${project()}/incidents?status=open,acknowledged`,
  )
  for (const incident of incidents) await change(incident, 'resolve')

  expect(await ask()).toEqual({ status: 200, body: { allowed: true, incidents: [] } })
  expect((await ask('wrong')).status).toBe(403)
  await openIncident({ severity: 'low' })
  const critical = await openIncident()
  const second = await openIncident()
  expect(await ask()).toEqual({
    status: 423,
    body: { allowed: false, incidents: [second.reference, critical.reference] },
  })
})

test('AI triage: an agent uses Tocsin as its tool, and can write to this incident only', async () => {
  const call = (name: string, args: object) => ({
    role: 'assistant',
    content: null,
    tool_calls: [
      { id: `call_${name}`, type: 'function', function: { name, arguments: JSON.stringify(args) } },
    ],
  })
  const turns = [
    call('Read_the_incident', {}),
    call('List_other_incidents', { since: '2020-01-01T00:00:00Z' }),
    call('Add_a_note', { text: 'Looks like the database.' }),
    { role: 'assistant', content: 'Done.' },
  ]
  const asked = play('api.openai.com', () => ({
    id: 'c1',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-4.1-mini',
    choices: [{ index: 0, message: turns.shift(), finish_reason: turns.length ? 'tool_calls' : 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  }))
  const workflow = await activate('ai-triage', { openAiApi: { apiKey: 'sk-test' } })
  const incident = await openIncident()
  await succeeded(workflow, 1)

  const { timeline } = await world.tocsin.api<{ timeline: ApiTimelineEntry[] }>(
    'GET',
    `${project()}/incidents/${incident.id}/timeline`,
  )
  expect(timeline.at(-1)).toMatchObject({ kind: 'note', text: 'Looks like the database.' })
  const bodies = asked().map(({ body }) => body as Json)
  const tools = bodies[0].tools.map(({ function: tool }: Json) => [
    tool.name,
    Object.keys(tool.parameters.properties),
  ])
  expect(Object.fromEntries(tools)).toEqual({
    Read_the_incident: [],
    List_other_incidents: ['since'],
    Add_a_note: ['text'],
  })
  const said = JSON.stringify(bodies.at(-1).messages)
  expect(said).toContain(incident.reference)
  expect(said).toContain('Looks like the database.')
})

test('Execute workflow runs the sample that is pinned to the trigger, without an incident', async () => {
  const server = await openMailServer()
  onTestFinished(server.close)
  const { id } = await importWorkflow('email', { smtp: smtpOf(server) })
  await world.n8n.rest('POST', `/workflows/${id}/run`, { triggerToStartFrom: { name: 'Tocsin Trigger' } })
  const [execution] = await succeeded(id, 1)
  expect(execution!.mode).toBe('manual')
  expect(server.mails.join()).toContain('Subject: [opened] INC-042 Checkout is down')
})

test('every workflow of the folder was tried', () => {
  expect([...tried].sort()).toEqual(readdirSync(FOLDER).sort())
})

test('nothing asked for a host that nobody plays', () => {
  expect(world.outside.refused).toEqual([])
})
