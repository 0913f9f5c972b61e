import { beforeAll, describe, expect, test } from 'vitest'
import type { ApiScope } from '../../core/index.ts'
import { INSTRUCTIONS, type Surface } from '../../mcp-server/surface.ts'
import { tools } from '../../mcp-server/tools/index.ts'
import { type TestProject, testTocsin } from '../core/open-test-tocsin.ts'
import { callError, surfaceOf, textOf } from './harness.ts'

const t = testTocsin('sqlite')
const names = tools.map(({ name }) => name)

/** Calls that give advice: of things that are not there, empty, off, or in the wrong words. */
const CALLS: Record<string, object[]> = {
  get_webhook_url: [
    {},
    { source: 'grafana' },
    { source: 'grafana', format: 'setup' },
    { source: 'betterstack' },
    { source: 'sentry' },
    { source: 'nowhere' },
    { source: 'grafana', cursor: 'x' },
    { cursor: 'x' },
    { project: 'nowhere' },
  ],
  configure_webhook: [
    { source: 'grafana', dryRun: true },
    { source: 'nowhere' },
    { source: 'grafana', graceMinutes: 5 },
    { secretAction: 'rotate' },
    { enabled: true },
    { source: 'grafana', secretAction: 'enter' },
  ],
  list_incidents: [
    {},
    { service: 'no-such' },
    { ids: ['INC-099'] },
    { source: 'nowhere' },
    { since: 'x' },
    { cursor: 'x' },
  ],
  get_incident: [
    { incidentId: 'INC-001' },
    { incidentId: 'INC-099' },
    { incidentId: 'INC-001', cursor: 'x' },
  ],
  update_incident: [
    { incidentId: 'INC-099', action: 'acknowledge' },
    { incidentId: 'INC-001', action: 'note' },
    { incidentId: 'INC-001', action: 'resolve' },
    { incidentId: 'INC-001', action: 'acknowledge' },
  ],
  draft_postmortem: [{ incidentId: 'INC-001' }, { incidentId: 'INC-099' }],
}

const PROMPT_ARGS = { incidentId: 'INC-001', provider: 'grafana' }

/** All that a model reads of this surface, by where it stands. */
async function everythingSaid(surface: Surface): Promise<[where: string, text: string][]> {
  const listed = (await surface.listTools()).tools
  const said: [string, string][] = [
    ['instructions', await surface.instructions()],
    ...listed.map((tool): [string, string] => [tool.name, JSON.stringify(tool)]),
    ['templates', JSON.stringify(await surface.listResourceTemplates())],
    ['prompts', JSON.stringify(await surface.listPrompts())],
  ]
  for (const { name } of (await surface.listPrompts()).prompts) {
    said.push([name, JSON.stringify(await surface.getPrompt(name, PROMPT_ARGS))])
  }
  for (const { name } of listed) {
    for (const args of CALLS[name]!) {
      said.push([`${name} ${JSON.stringify(args)}`, textOf(await surface.callTool(name, args))])
    }
  }
  said.push(['no_such', textOf(await surface.callTool('no_such', {}))])
  for (const uri of ['incidents/INC-001', 'incidents/INC-001/timeline', 'sources/grafana']) {
    said.push([uri, JSON.stringify(await surface.readResource(`tocsin://${uri}`)) ?? ''])
  }
  return said
}

const KEYS: readonly (readonly [scopes: readonly ApiScope[], readOnly: boolean])[] = [
  [['admin'], false],
  [['admin'], true],
  [['incidents:read'], false],
  [['incidents:write'], false],
  [['incidents:write'], true],
  [['sources:read'], false],
  [['sources:read', 'sources:write'], false],
  [['sources:read', 'sources:write'], true],
  [['sources:write'], false],
  [['incidents:read', 'incidents:write', 'sources:read'], true],
]

describe.each(KEYS)('a key of %j, read-only %s', (scopes, readOnly) => {
  test.each(['empty', 'used', 'off', 'free'] as const)(
    'is told of no tool it has not: project %s',
    async (state) => {
      const project = await projectThatIs(state)
      const surface = await surfaceOf(project, scopes, { readOnly })
      const offered = tools
        .filter(({ listing }) => !readOnly || listing.annotations.readOnlyHint)
        .filter((tool) => scopes.includes('admin') || tool.scopes.every((scope) => scopes.includes(scope)))
        .map(({ name }) => name)
      expect((await surface.listTools()).tools.map(({ name }) => name)).toEqual(offered)
      const others = names.filter((name) => !offered.includes(name))
      for (const [where, text] of await everythingSaid(surface)) {
        expect(
          others.filter((name) => text.includes(name)),
          `${where}: ${text}`,
        ).toEqual([])
      }
    },
  )
})

async function projectThatIs(state: 'empty' | 'used' | 'off' | 'free'): Promise<TestProject> {
  const project = await t.project(state === 'free' ? { plan: 'free' } : {})
  if (state === 'used' || state === 'off') {
    await (await project.source('generic')).send({ id: 'a', title: 'A' })
    await project.source('grafana')
    await project.source('betterstack')
  }
  if (state === 'off') await t.admin.updateProject(project.id, { ingestionEnabled: false })
  return project
}

describe('who can do it instead', () => {
  let project: TestProject
  beforeAll(async () => {
    project = await projectThatIs('off')
  })
  const WRITERS: ApiScope[] = ['incidents:read', 'incidents:write', 'sources:read', 'sources:write']

  test('is said where this server is read-only', async () => {
    const surface = await surfaceOf(project, WRITERS, { readOnly: true })
    for (const [name, args] of [
      ['update_incident', { incidentId: 'INC-001', action: 'resolve' }],
      ['configure_webhook', { source: 'grafana' }],
    ] as const) {
      expect(await callError(surface, name, args)).toMatch(
        new RegExp(`^\\[read_only\\].*${name} is off.*a person can, over the API`),
      )
    }
    const sentry = textOf(await surface.callTool('get_webhook_url', { source: 'sentry' }))
    expect(sentry).toMatch(/No source for sentry yet\. .*scope sources:write/)
    expect(sentry).toMatch(/Receiving is switched off for the project\. .*scope admin/)
  })

  test('switching a project on is left to a key that may', async () => {
    const writer = await surfaceOf(project, WRITERS)
    const text = textOf(await writer.callTool('get_webhook_url', { source: 'grafana' }))
    expect(text).toMatch(/switched off for the project\. .*scope admin/)
    expect(text).not.toContain('configure_webhook(enabled')
    const admin = await surfaceOf(project, ['admin'])
    expect(textOf(await admin.callTool('get_webhook_url', { source: 'grafana' }))).toContain(
      'configure_webhook(enabled: true)',
    )
  })

  test('a key of no tool is told so', async () => {
    const surface = await surfaceOf(project, ['secrets:read'])
    expect(await callError(surface, 'list_incident')).toBe(
      '[unknown_tool] No tool "list_incident". This key opens none: ask the user for one with more scopes.',
    )
    expect((await surface.listPrompts()).prompts).toEqual([])
    expect((await surface.listResourceTemplates()).resourceTemplates).toEqual([])
  })

  test('a prompt whose tools are not there is refused', async () => {
    const surface = await surfaceOf(project, ['sources:read'])
    expect((await surface.listPrompts()).prompts.map(({ name }) => name)).toEqual(['connect_source'])
    await expect(surface.getPrompt('write_postmortem', { incidentId: 'INC-001' })).rejects.toThrow(
      'needs draft_postmortem, which this key or server does not offer',
    )
    const admin = await surfaceOf(project, ['admin'])
    expect(await admin.instructions()).toBe(INSTRUCTIONS)
    expect((await admin.listPrompts()).prompts).toHaveLength(3)
  })
})
