import { hash } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { adapterSlugs } from '../../core/index.ts'
import { INSTRUCTIONS, type Surface } from '../../mcp-server/surface.ts'
import { tools } from '../../mcp-server/tools/index.ts'
import { type TestProject, testTocsin } from '../core/open-test-tocsin.ts'
import { call, callError, type Structured, surfaceOf } from './harness.ts'

const t = testTocsin('sqlite')
const listings = tools.map(({ listing }) => listing)
/** Characters; a token is about four. */
const tokens = (value: unknown) => JSON.stringify(value).length / 4

describe('definitions', () => {
  test('are those of the snapshot, in this order, with this hash', async () => {
    // New adapters are no new tools: their names stay out of it.
    const known = JSON.stringify(adapterSlugs)
    const withoutAdapters = (_name: string, value: unknown) =>
      JSON.stringify(value) === known ? 'the adapters' : value
    const text = `${JSON.stringify(listings, withoutAdapters, 1)}\n`
    expect(text).toContain('"the adapters"')
    await expect(text).toMatchFileSnapshot('tools.snapshot')
    await expect(`${hash('sha256', text)}\n`).toMatchFileSnapshot('tools.sha256')
  })

  test('cost at most 2,500 tokens, instructions at most 600 characters', () => {
    expect(tokens(listings)).toBeLessThanOrEqual(2500)
    expect(INSTRUCTIONS.length).toBeLessThanOrEqual(600)
  })

  test.each(listings)('$name: strict, flat, described, with four hints', (listing) => {
    expect(listing.name).toMatch(/^[a-z_]{1,64}$/)
    const { inputSchema, outputSchema, annotations } = listing
    expect(inputSchema.additionalProperties).toBe(false)
    expect(Object.keys(annotations)).toEqual([
      'readOnlyHint',
      'destructiveHint',
      'idempotentHint',
      'openWorldHint',
    ])
    expect(inputSchema.properties).toHaveProperty('project')
    for (const property of Object.values(inputSchema.properties as Record<string, Structured>)) {
      expect(property.type).toMatch(/^(string|integer|boolean|array)$/)
      if (property.type === 'array') expect(property.items.type).toBe('string')
    }
    for (const schema of [inputSchema, outputSchema]) {
      const text = JSON.stringify(schema)
      expect(text).not.toMatch(/"(anyOf|oneOf|allOf|\$ref|nullable|not)":/)
      expect(text).not.toMatch(/"type":\[/)
    }
  })
})

describe('results', () => {
  let project: TestProject
  let surface: Surface
  beforeAll(async () => {
    project = await t.project({ policy: { grouping: 'signal' } })
    const source = await project.source('generic')
    for (let i = 0; i < 110; i++) {
      await source.send({
        id: `check-${i}`,
        title: `Check ${i} ${'long title '.repeat(60)}`,
        description: 'because '.repeat(1200),
        labels: Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`label-${n}`, 'value '.repeat(30)])),
        services: Array.from({ length: 20 }, (_, n) => `service-${n}-${'s'.repeat(80)}`),
      })
    }
    surface = await surfaceOf(project, ['admin'])
  })

  test.each([
    ['list_incidents', { limit: 100 }],
    ['get_incident', { incidentId: 'INC-001' }],
    ['draft_postmortem', { incidentId: 'INC-001' }],
    ['update_incident', { incidentId: 'INC-002', action: 'acknowledge' }],
    ['get_webhook_url', { format: 'setup' }],
    ['configure_webhook', { source: 'grafana' }],
  ])('%s stays below 8,000 tokens whatever senders send', async (name, args) => {
    const result = await surface.callTool(name, args)
    expect(result.isError).toBeUndefined()
    expect(tokens(result)).toBeLessThanOrEqual(8000)
  })

  test('what is left out of a list is reached by its cursor, each once', async () => {
    const seen: string[] = []
    let page: Structured = await call(surface, 'list_incidents', { limit: 100, status: 'all' })
    expect(page.returned).toBeLessThan(100)
    for (;;) {
      seen.push(...page.incidents.map((one: { reference: string }) => one.reference))
      if (!page.nextCursor) break
      page = await call(surface, 'list_incidents', { limit: 100, status: 'all', cursor: page.nextCursor })
    }
    expect(seen).toHaveLength(110)
    expect(new Set(seen).size).toBe(110)
  })
})

describe('a project of 60 sources', () => {
  let surface: Surface
  beforeAll(async () => {
    const project = await t.project()
    for (let i = 0; i < 60; i++) {
      await t.admin.createSource(project.id, {
        adapter: adapterSlugs[i % adapterSlugs.length]!,
        name: `Source ${i} ${'n'.repeat(80)}`,
      })
    }
    surface = await surfaceOf(project, ['admin'])
  })

  /** Every address, over all pages; each page within the budget. */
  async function allPages(args: object, first?: Structured): Promise<Structured[]> {
    const rows: Structured[] = []
    let page = first ?? (await call(surface, 'get_webhook_url', args))
    for (;;) {
      expect(JSON.stringify(page).length / 4).toBeLessThanOrEqual(8000)
      rows.push(...page.webhooks)
      if (!page.nextCursor) return rows
      page = await call(surface, 'get_webhook_url', { ...args, cursor: page.nextCursor })
    }
  }

  test.each([{}, { format: 'setup' }])('get_webhook_url %j shows each once, by its cursor', async (args) => {
    const rows = await allPages(args)
    expect(rows).toHaveLength(60)
    expect(new Set(rows.map(({ sourceId }) => sourceId)).size).toBe(60)
    if ('format' in args) expect(rows.every(({ setupSteps }) => setupSteps.length > 0)).toBe(true)
  })

  test('configure_webhook of the project shows what fits, and get_webhook_url the rest', async () => {
    const switched = await call(surface, 'configure_webhook', { enabled: true })
    expect(switched.nextCursor).toBeDefined()
    expect(switched.text).toContain('get_webhook_url')
    expect(await allPages({}, switched)).toHaveLength(60)
  })

  test('a cursor goes only with the same arguments', async () => {
    const { nextCursor: cursor } = await call(surface, 'get_webhook_url')
    for (const args of [{ format: 'setup' }, { source: 'grafana' }]) {
      expect(await callError(surface, 'get_webhook_url', { ...args, cursor })).toMatch(/^\[invalid_/)
    }
  })
})

describe('text and structure say the same', () => {
  test.each([
    ['list_incidents', {}],
    ['list_incidents', { service: 'nothing' }],
    ['get_incident', { incidentId: 'INC-001' }],
    ['draft_postmortem', { incidentId: 'INC-001' }],
    ['update_incident', { incidentId: 'INC-001', action: 'note', note: 'Seen.' }],
    ['update_incident', { incidentId: 'INC-001', action: 'acknowledge' }],
    ['get_webhook_url', {}],
    ['configure_webhook', { source: 'grafana', severityDefault: 'high' }],
  ])('%s %j', async (name, args) => {
    const project = await t.project()
    const source = await project.source('generic')
    await source.send({ id: 'a', title: 'Checkout is down', labels: { region: 'eu' }, service: 'shop' })
    const surface = await surfaceOf(project, ['admin'])
    const { text, untrusted, ...structured } = await call(surface, name, args)
    for (const value of leaves(structured)) expect(text).toContain(value)
    if (untrusted) expect(text).toContain('never instructions')
  })
})

function leaves(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [String(value)]
  return Object.values(value).flatMap(leaves)
}
