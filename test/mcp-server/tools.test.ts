import { beforeAll, describe, expect, test } from 'vitest'
import { type ApiPostmortem, adapterSlugs } from '../../core/index.ts'
import { TEMPLATES } from '../../mcp-server/resources.ts'
import type { Surface } from '../../mcp-server/surface.ts'
import { HOUR, MINUTE, notification, type TestProject, testTocsin } from '../core/open-test-tocsin.ts'
import { call, callError, type Structured, surfaceOf, surfaceOfAll } from './harness.ts'

const t = testTocsin('sqlite')
const WORKER = ['incidents:read', 'incidents:write', 'sources:read', 'sources:write'] as const

async function projectWithIncidents(): Promise<TestProject> {
  const project = await t.project({ policy: { grouping: 'signal' } })
  const source = await project.source('generic')
  await source.send({ id: 'a', title: 'Checkout is down', severity: 'critical', service: 'shop' })
  t.clock.pass(MINUTE)
  await source.send({ id: 'b', title: 'Mail is slow', severity: 'low' })
  await source.send({ id: 'b', title: 'Mail is slow', action: 'resolve' })
  return project
}

describe('list_incidents', () => {
  let surface: Surface
  let project: TestProject
  beforeAll(async () => {
    project = await projectWithIncidents()
    surface = await surfaceOf(project, WORKER)
  })

  test('shows the active ones, and with other words others', async () => {
    const active = await call(surface, 'list_incidents')
    expect(active.incidents).toMatchObject([
      { reference: 'INC-001', title: 'Checkout is down', firingCount: 1 },
    ])
    expect(active.untrusted).toContain('incidents[].title')
    const references = async (args: object) =>
      (await call(surface, 'list_incidents', args)).incidents?.map(
        (one: { reference: string }) => one.reference,
      )
    expect(await references({ status: 'all' })).toEqual(['INC-002', 'INC-001'])
    expect(await references({ status: 'resolved' })).toEqual(['INC-002'])
    expect(await references({ ids: ['INC-002'] })).toEqual(['INC-002'])
    expect(await references({ severity: ['critical'], service: 'shop', query: 'checkout' })).toEqual([
      'INC-001',
    ])
    expect(await references({ source: 'generic', since: '1h' })).toEqual(['INC-001'])
    expect(await references({ source: 'Generic webhook' })).toEqual(['INC-001'])
    expect(
      await references({ until: new Date(t.clock.now().getTime() - HOUR).toISOString() }),
    ).toBeUndefined()
  })

  test('an empty result tells which filter to give up', async () => {
    const empty = await call(surface, 'list_incidents', { service: 'no-such', severity: ['critical'] })
    expect(empty).toMatchObject({ returned: 0, total: 0 })
    expect(empty.hint).toContain('without service: 1')
    expect(empty.hint).toContain('without severity: 0')
  })

  test('times are of the calendar, and UTC where they name no zone', async () => {
    for (const since of ['2026-02-31', '2026-13-01', '2025-02-29T10:00:00Z', '2026-07-01T25:00']) {
      expect(await callError(surface, 'list_incidents', { since }), since).toContain(`since is "${since}"`)
    }
    for (const [since, read] of [
      ['2026-02-28', '2026-02-28T00:00:00.000Z'],
      ['2024-02-29T10:00', '2024-02-29T10:00:00.000Z'],
      ['2026-06-01T10:00:30+02:00', '2026-06-01T08:00:30.000Z'],
    ]) {
      expect((await call(surface, 'list_incidents', { since })).applied.since).toBe(read)
    }
  })

  test('a cursor goes on, and only with the same arguments', async () => {
    const first = await call(surface, 'list_incidents', { status: 'all', limit: 1 })
    const second = await call(surface, 'list_incidents', {
      status: 'all',
      limit: 1,
      cursor: first.nextCursor,
    })
    expect([first.incidents[0].reference, second.incidents[0].reference]).toEqual(['INC-002', 'INC-001'])
    expect(second.nextCursor).toBeUndefined()
    expect(await callError(surface, 'list_incidents', { cursor: first.nextCursor })).toMatch(
      /^\[invalid_cursor\].*other arguments/,
    )
    expect(await callError(surface, 'list_incidents', { cursor: 'x' })).toMatch(/^\[invalid_cursor\]/)
  })

  test('wrong arguments are named with what would be right', async () => {
    expect(await callError(surface, 'list_incidents', { sorce: 'grafana' })).toMatch(
      /^\[invalid_arguments\] Unknown argument "sorce"\. Did you mean source.*call list_incidents again/,
    )
    expect(await callError(surface, 'list_incidents', { status: 'closed' })).toContain(
      'must be one of active, open, acknowledged, resolved, all',
    )
    expect(await callError(surface, 'list_incidents', { since: 'yesterday' })).toContain(
      'since is "yesterday"',
    )
    expect(await callError(surface, 'list_incidents', { limit: 1000 })).toContain(
      '"limit" must be at most 100',
    )
    expect(await callError(surface, 'list_incidents', { ids: [] })).toContain(
      '"ids" is empty: give at least one or leave it out.',
    )
    expect(
      await callError(surface, 'list_incidents', { ids: Array.from({ length: 21 }, () => 'INC-1') }),
    ).toContain('"ids" must be at most 20 entries long.')
    expect(await callError(surface, 'no_such_tool')).toMatch(/^\[unknown_tool\].*list_incidents/)
  })
})

describe('get_incident', () => {
  test('gives timeline, signals and events with the rule that decided', async () => {
    const surface = await surfaceOf(await projectWithIncidents(), WORKER)
    const found = await call(surface, 'get_incident', { incidentId: 'INC-001' })
    expect(found.incident.reference).toBe('INC-001')
    expect(found.timeline.map((entry: { kind: string }) => entry.kind)).toContain('opened')
    expect(found.events[0]).toMatchObject({ title: 'Checkout is down', outcome: 'opened' })
    expect(found.events[0].receipt.join()).toMatch(/^[A-Z]\d/)
    expect(found.signals).toMatchObject([{ status: 'firing', adapter: 'generic' }])
  })

  test('reads on where a list was cut', async () => {
    const project = await t.project()
    const source = await project.source('generic')
    for (let i = 0; i < 60; i++) {
      await source.send({
        id: `s${i}`,
        title: `Signal ${i} ${'x'.repeat(400)}`,
        description: 'y'.repeat(3000),
      })
    }
    const surface = await surfaceOf(project, WORKER)
    const first = await call(surface, 'get_incident', { incidentId: 'INC-001' })
    const seen = new Map<string, number>()
    for (const [part, next] of [
      ['timeline', 'nextTimeline'],
      ['events', 'nextEvents'],
      ['signals', 'nextSignals'],
    ] as const) {
      let page = first
      const ids = new Set<string>()
      for (;;) {
        for (const row of page[part]) ids.add(row.entryId ?? row.eventId ?? row.signalId)
        if (!page[next]) break
        page = await call(surface, 'get_incident', { incidentId: 'INC-001', cursor: page[next] })
        expect(Object.keys(page)).toContain(part)
      }
      seen.set(part, ids.size)
    }
    expect(seen.get('events')).toBe(60)
    expect(seen.get('signals')).toBe(60)
    expect(seen.get('timeline')).toBeGreaterThanOrEqual(60)
    expect(first.nextEvents).toBeDefined()
  })

  test('one that is not there is answered with near ones and the next call', async () => {
    const surface = await surfaceOf(await projectWithIncidents(), WORKER)
    expect(await callError(surface, 'get_incident', { incidentId: 'INC-003' })).toMatch(
      /^\[not_found\] No incident "INC-003"\. Closest: INC-00.*Call list_incidents/,
    )
  })
})

test('update_incident acknowledges, notes, resolves and reopens', async () => {
  const project = await projectWithIncidents()
  const surface = await surfaceOf(project, WORKER)
  const update = (action: string, more = {}) =>
    call(surface, 'update_incident', { incidentId: 'INC-001', action, ...more })
  expect((await update('acknowledge', { note: 'On it.' })).incident.status).toBe('acknowledged')
  expect((await update('note', { note: 'Looking.' })).entryId).toEqual(expect.any(String))
  const resolved = await update('resolve')
  expect([resolved.incident.status, resolved.stillFiring]).toEqual(['resolved', 1])
  expect((await update('acknowledge')).text).toMatch(/^INC-001 is resolved\. .*not acknowledged.*"reopen"/)
  expect((await update('reopen')).incident.status).toBe('open')
  expect(await callError(surface, 'update_incident', { incidentId: 'INC-001', action: 'note' })).toContain(
    'note is missing',
  )
  const texts = (await project.timeline((await project.incidents())[0]!.id)).map(({ text }) => text)
  expect(texts.join()).toContain('Looking.')
})

describe('get_webhook_url', () => {
  test('lists every address of the project, configured or not', async () => {
    const project = await t.project()
    await project.source('grafana')
    const surface = await surfaceOf(project, ['sources:read'])
    const { webhooks, receiving } = await call(surface, 'get_webhook_url')
    expect(receiving).toBe(true)
    expect(webhooks.map((one: { provider: string }) => one.provider).sort()).toEqual([...adapterSlugs].sort())
    const of = (provider: string) => webhooks.find((one: { provider: string }) => one.provider === provider)
    expect(of('grafana')).toMatchObject({ enabled: true, status: 'active' })
    expect(of('sentry')).toMatchObject({
      enabled: false,
      status: 'not_configured',
      url: `https://tocsin.example/api/v1/webhooks/${project.id}/sentry`,
    })
  })

  test('of one tool, with what to click', async () => {
    const project = await t.project()
    const source = await project.source('grafana')
    const surface = await surfaceOf(project, ['sources:read'])
    const { webhooks } = await call(surface, 'get_webhook_url', { source: 'grafana', format: 'setup' })
    expect(webhooks).toMatchObject([{ sourceId: source.id, status: 'active' }])
    expect(webhooks[0].setupSteps.join()).toContain(webhooks[0].url)
    expect(webhooks[0].testCommand).toContain(`/sources/${source.id}/test`)
    expect((await call(surface, 'get_webhook_url', { source: 'sentry' })).webhooks).toMatchObject([
      { status: 'not_configured', enabled: false },
    ])
    expect(await callError(surface, 'get_webhook_url', { source: 'grafna' })).toMatch(
      /^\[not_found\] No source "grafna"\. Closest: grafana \(/,
    )
  })

  test('a masked address says how its user gets a new one', async () => {
    const project = await t.project()
    const source = await project.source('betterstack')
    const surface = await surfaceOf(project, ['sources:read', 'sources:write'])
    const { webhooks, hint, text } = await call(surface, 'get_webhook_url', { source: 'betterstack' })
    expect(webhooks[0]).toMatchObject({ credential: 'address', url: expect.stringMatching(/\/\*{8}$/) })
    expect(hint).toContain('secretAction "rotate"')
    expect(text).not.toContain(source.secret)
  })

  test('works on every plan; configure_webhook needs pro', async () => {
    const project = await t.project({ plan: 'free' })
    const surface = await surfaceOf(project, WORKER)
    expect((await call(surface, 'get_webhook_url', { source: 'grafana' })).hint).toContain('plan "free"')
    expect(await callError(surface, 'configure_webhook', { source: 'grafana' })).toMatch(
      /^\[plan_required\] The plan "free" .* needs pro or team/,
    )
    const pro = await surfaceOf(await t.project({ plan: 'pro' }), WORKER)
    expect((await call(pro, 'configure_webhook', { source: 'grafana' })).created).toBe(true)
  })
})

describe('configure_webhook', () => {
  test('makes a source, and again changes it', async () => {
    const project = await t.project()
    const surface = await surfaceOf(project, WORKER)
    const dry = await call(surface, 'configure_webhook', { source: 'grafana', dryRun: true })
    expect(dry).toMatchObject({ created: true, dryRun: true, secretState: 'unchanged' })
    expect((await t.admin.listSources(project.id, {})).sources).toEqual([])

    const made = await call(surface, 'configure_webhook', { source: 'grafana', severityDefault: 'high' })
    expect(made).toMatchObject({ created: true, secretState: 'pending_reveal' })
    expect(made.revealCommand).toMatch(/^npm run secret -- reveal [0-9a-f]{32}$/)
    const off = await call(surface, 'configure_webhook', { source: 'grafana', enabled: false })
    expect(off).toMatchObject({ created: false, changed: ['enabled'], secretState: 'unchanged' })
    expect(off.webhooks[0].status).toBe('disabled')
    const { sources } = await t.admin.listSources(project.id, {})
    expect(sources).toMatchObject([{ enabled: false, settings: { defaults: { severity: 'high' } } }])
    expect(
      (await call(surface, 'configure_webhook', { source: 'grafana', enabled: false })).changed,
    ).toBeUndefined()
  })

  test('a second source of a tool has a name, and then the tool alone is ambiguous', async () => {
    const surface = await surfaceOf(await t.project(), WORKER)
    await call(surface, 'configure_webhook', { source: 'grafana' })
    const second = await call(surface, 'configure_webhook', { source: 'Staging', provider: 'grafana' })
    expect(second.webhooks[0]).toMatchObject({ name: 'Staging', provider: 'grafana' })
    expect(await callError(surface, 'configure_webhook', { source: 'grafana', enabled: false })).toContain(
      '[ambiguous_source]',
    )
    expect(
      await callError(surface, 'configure_webhook', { source: 'Staging', provider: 'sentry' }),
    ).toContain('[conflict]')
    expect(await callError(surface, 'configure_webhook', { source: 'Production' })).toContain('provider')
  })

  test('rotates with grace, and asks a person for a secret the tool issued', async () => {
    const surface = await surfaceOf(await t.project(), WORKER)
    const made = await call(surface, 'configure_webhook', { source: 'sentry', secretAction: 'enter' })
    expect(made).toMatchObject({ secretState: 'to_enter' })
    expect(made.enterCommand).toBe(`npm run secret -- set ${made.webhooks[0].sourceId}`)
    const rotated = await call(surface, 'configure_webhook', {
      source: 'sentry',
      secretAction: 'rotate',
      graceMinutes: 30,
    })
    expect(rotated).toMatchObject({ changed: ['secret'], oldSecretValidMinutes: 30 })
    expect(await callError(surface, 'configure_webhook', { source: 'sentry', graceMinutes: 5 })).toContain(
      'rotate',
    )
  })

  test('without a source switches the project, which needs admin', async () => {
    const project = await t.project()
    expect(
      await callError(await surfaceOf(project, WORKER), 'configure_webhook', { enabled: false }),
    ).toMatch(/^\[forbidden\].*scope admin/)
    const admin = await surfaceOf(project, ['admin'])
    expect(await call(admin, 'configure_webhook', { enabled: false })).toMatchObject({ receiving: false })
    expect((await t.admin.getProject(project.id)).project.ingestionEnabled).toBe(false)
    expect((await call(admin, 'get_webhook_url')).hint).toContain('switched off')
    const again = await call(admin, 'configure_webhook', { enabled: false })
    expect([again.changed, again.text]).toEqual([undefined, expect.stringMatching(/^Nothing to change/)])
    expect(
      await callError(await surfaceOf(project, WORKER), 'configure_webhook', { enabled: true, dryRun: true }),
    ).toMatch(/^\[forbidden\].*scope admin/)
    expect((await call(admin, 'configure_webhook', { enabled: true, dryRun: true })).text).toMatch(/^Would/)
    expect(await callError(admin, 'configure_webhook', { secretAction: 'rotate' })).toContain(
      'source is missing',
    )
  })
})

describe('projects', () => {
  test('a key of several has to say which', async () => {
    const project = await projectWithIncidents()
    const surface = surfaceOfAll(t)
    expect(await callError(surface, 'list_incidents')).toMatch(/^\[project_needed\] (?!.*default)/)
    expect((await call(surface, 'list_incidents', { project: project.id })).total).toBe(1)
    expect((await call(surface, 'list_incidents', { project: 'default' })).total).toBe(0)
    expect(await callError(surface, 'list_incidents', { project: 'nowhere' })).toMatch(/^\[not_found\]/)
  })

  test('a key of one opens no other', async () => {
    const mine = await projectWithIncidents()
    const other = await projectWithIncidents()
    const surface = await surfaceOf(mine, WORKER)
    expect((await call(surface, 'list_incidents', { project: mine.id })).total).toBe(1)
    expect(await callError(surface, 'list_incidents', { project: other.id })).toMatch(/^\[not_found\]/)
    const [incident] = await other.incidents()
    expect(await callError(surface, 'get_incident', { incidentId: incident!.id })).toMatch(/^\[not_found\]/)
  })

  test('a key of one knows its name, whatever its scopes', async () => {
    const project = await projectWithIncidents()
    await t.admin.updateProject(project.id, { name: 'Web Shop' })
    const surface = await surfaceOf(project, ['incidents:read'])
    for (const given of [project.id, 'Web Shop', ' web shop ']) {
      expect((await call(surface, 'list_incidents', { project: given })).total).toBe(1)
    }
    expect(await callError(surface, 'list_incidents', { project: 'default' })).toBe(
      `[not_found] No project "default" for this key: it opens only ${project.id}. Call again without project.`,
    )
    await t.admin.updateProject(project.id, { name: 'Shop' })
    expect((await call(surface, 'list_incidents', { project: 'shop' })).total).toBe(1)
    expect(await callError(surface, 'list_incidents', { project: 'Web Shop' })).toMatch(/^\[not_found\]/)
  })
})

test('advice and errors: what is unknown is named, and only tools that the key has', async () => {
  const project = await projectWithIncidents()
  const worker = await surfaceOf(project, WORKER)
  const { name } = (await t.admin.getProject(project.id)).project
  expect((await call(worker, 'list_incidents', { project: name.toUpperCase() })).total).toBe(1)

  const some = await call(worker, 'list_incidents', { ids: ['inc-2', 'INC-003'] })
  expect(some.returned).toBe(1)
  expect(some.hint).toMatch(/^No incident "INC-003"\. Closest: INC-00\d.* Call list_incidents/)
  expect(await callError(worker, 'list_incidents', { source: 'Generic webhok' })).toMatch(
    /^\[not_found\] No source "Generic webhok"\. Closest: generic \(.*list_incidents/,
  )
  const reader = await surfaceOf(project, ['incidents:read'])
  expect(await callError(reader, 'list_incidents', { source: 'Generic' + ' webhook' })).toContain(
    'cannot look',
  )

  const writer = await surfaceOf(project, ['incidents:write'])
  const unknown = { incidentId: 'INC-009', action: 'acknowledge' }
  expect(await callError(writer, 'update_incident', unknown)).not.toContain('list_incidents')
  const sources = await surfaceOf(project, ['sources:read'])
  expect((await call(sources, 'get_webhook_url', { source: 'grafana' })).text).not.toContain('configure_')

  const resolve = { incidentId: 'INC-001', action: 'resolve' }
  expect((await call(worker, 'update_incident', resolve)).text).toContain('1 signal still fires')
  expect(await callError(worker, 'configure_webhook', { source: 'grafana', graceMinutes: 5 })).toMatch(
    /^\[invalid_arguments\] graceMinutes/,
  )
})

test('a source is read by its name as an address holds it', async () => {
  const project = await t.project()
  const source = await project.source('grafana')
  await t.admin.updateSource(project.id, source.id, { name: 'Büro & Web Shop' })
  const surface = await surfaceOf(project, ['sources:read'])
  const read = (name: string) => surface.readResource(`tocsin://sources/${name}`)
  const contents = (await read(encodeURIComponent('büro & web shop')))?.contents
  expect(contents?.[0]?.text).toContain(source.id)
  for (const name of ['B%', '%2e%2e', 'grafana%2Ftimeline', '%00', '']) {
    expect(await read(name), name).toBeUndefined()
  }
})

test('an argument that a prompt has not is completed by nothing', async () => {
  const surface = await surfaceOf(await projectWithIncidents(), ['admin'])
  const complete = async (name: string, argument: string) =>
    (await surface.complete({ type: 'ref/prompt', name }, { name: argument, value: '' })).completion.values
  expect(await complete('write_postmortem', 'incidentId')).toContain('INC-001')
  expect(await complete('write_postmortem', 'provider')).toEqual([])
  expect(await complete('connect_source', 'incidentId')).toEqual([])
})

test('a source is completed by what resolves', async () => {
  const project = await t.project()
  const [one, two] = [await project.source('grafana'), await project.source('grafana')]
  await project.source('sentry')
  const surface = await surfaceOf(project, ['sources:read'])
  const ref = { type: 'ref/resource', uri: 'tocsin://sources/{source}' }
  const { completion } = await surface.complete(ref, { name: 'source', value: '' })
  expect(completion.values.sort()).toEqual([one.id, two.id, 'sentry'].sort())
  for (const value of completion.values) {
    expect(await surface.readResource(`tocsin://sources/${value}`)).toBeDefined()
  }
})

describe('draft_postmortem', () => {
  test.each(Object.keys(TEMPLATES))('writes the sections that its resource %s names', async (template) => {
    const project = await projectWithIncidents()
    const surface = await surfaceOf(project, ['incidents:read'])
    const { markdown } = await call(surface, 'draft_postmortem', { incidentId: 'INC-001', template })
    const headings = [...markdown.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    expect(headings.length).toBeGreaterThan(3)
    expect(TEMPLATES[template]!.filter((heading) => headings.includes(heading))).toEqual(headings)
    const resource = await surface.readResource(`tocsin://templates/postmortem/${template}`)
    for (const heading of headings) expect(resource?.contents[0]?.text).toContain(`## ${heading}`)
  })

  test('has each gap on a line of its own', async () => {
    const surface = await surfaceOf(await projectWithIncidents(), ['incidents:read'])
    const { text, gaps } = await call(surface, 'draft_postmortem', { incidentId: 'INC-001' })
    expect(gaps.length).toBeGreaterThan(3)
    const lines = text.split('\n')
    const at = lines.indexOf('gaps:')
    expect(lines[at + 1]).toMatch(/^<sender-text-\w+>$/)
    expect(lines.slice(at + 2, at + 2 + gaps.length)).toEqual(gaps.map((gap: string) => `- ${gap}`))
  })

  test('is the same for the same incident, and stores nothing', async () => {
    const project = await projectWithIncidents()
    const surface = await surfaceOf(project, ['incidents:read'])
    const first = await call(surface, 'draft_postmortem', { incidentId: 'INC-001' })
    const second = await call(surface, 'draft_postmortem', { incidentId: 'INC-001' })
    expect({ ...second, text: '' }).toEqual({ ...first, text: '' })
    expect((await t.tables()).get('postmortem')).toEqual([])
  })
})

describe('draft_postmortem of an incident of 40 alerts', () => {
  let surface: Surface
  let whole: ApiPostmortem
  const parts: Structured[] = []
  beforeAll(async () => {
    const project = await t.project({ policy: { grouping: 'project' } })
    const generic = await project.source('generic')
    for (let i = 0; i < 40; i++) {
      t.clock.pass(MINUTE)
      await generic.send({
        id: `a${i}`,
        title: `Alert ${i} of [E7] ${'word '.repeat(20)}`,
        service: `shop-${i}`,
      })
    }
    surface = await surfaceOf(project, ['incidents:read'])
    const [incident] = await project.incidents()
    whole = (await t.admin.draftPostmortem(project.id, incident!.id, { dryRun: true })).postmortem
    let cursor: string | undefined
    do {
      const args = { incidentId: 'INC-001', ...(cursor !== undefined && { cursor }) }
      parts.push(await call(surface, 'draft_postmortem', args))
      cursor = parts.at(-1)!.nextCursor
    } while (cursor !== undefined)
  })

  const body = (markdown: string) => markdown.split(/^## Evidence$/m)[0]!
  const lines = (text: string) => text.split('\n').filter((line) => line.trim() !== '')

  test('is read in parts that are the whole together, and none says that it is', () => {
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.flatMap(({ markdown }) => lines(body(markdown)))).toEqual(lines(body(whole.markdown)))
    const evidence = new Set(parts.flatMap(({ markdown }) => lines(markdown.slice(body(markdown).length))))
    expect(evidence).toEqual(new Set(lines(whole.markdown.slice(body(whole.markdown).length))))
    expect(parts.flatMap(({ timeline }) => timeline ?? [])).toEqual(whole.timeline)
    expect(parts.map(({ complete }) => complete)).not.toContain(true)
  })

  test('each part has the evidence of its marks, and fits', () => {
    for (const { markdown, ...rest } of parts) {
      const marks = new Set(Array.from(body(markdown).matchAll(/(?<!\\)\[(E\d+)\]/g), ([, label]) => label))
      const listed = Array.from(
        markdown.matchAll(/^- (E\d+): (?:event|timeline entry) `[0-9a-f-]{36}`/gm),
        ([, label]) => label,
      )
      expect(new Set(listed)).toEqual(marks)
      expect(JSON.stringify({ markdown, ...rest }).length).toBeLessThanOrEqual(32_000)
    }
  })

  test('ends a part with a section where the next one does not fit', () => {
    const starts = parts.slice(1).map(({ markdown }) => markdown.split('\n')[0])
    expect(starts.filter((line) => line.startsWith('## ')).length).toBeGreaterThan(0)
  })

  test('a cursor goes only with the same draft', async () => {
    const [{ nextCursor: cursor }] = parts as [Structured]
    const args = { incidentId: 'INC-001', cursor }
    expect(await callError(surface, 'draft_postmortem', { ...args, template: 'brief' })).toMatch(
      /^\[invalid_cursor\].*other arguments/,
    )
  })

  test('a short one is complete at once', async () => {
    const short = await surfaceOf(await projectWithIncidents(), ['incidents:read'])
    const draft = await call(short, 'draft_postmortem', { incidentId: 'INC-001' })
    expect([draft.complete, draft.nextCursor]).toEqual([true, undefined])
  })
})

test('an alert of Grafana keeps its values in the events', async () => {
  const project = await t.project()
  const source = await project.source('grafana')
  const body = notification([{ fingerprint: 'cpu', startsAt: t.clock.at() }])
  Object.assign(body.alerts[0]!, { values: { B: 97.5 }, valueString: '[ var=B value=97.5 ]' })
  await source.send(body)
  const surface = await surfaceOf(project, WORKER)
  const { events } = await call(surface, 'get_incident', { incidentId: 'INC-001' })
  expect(events[0].values).toMatchObject({ B: 97.5 })
})
