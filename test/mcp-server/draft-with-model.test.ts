import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ModelSettings } from '../../core/postmortem/model.ts'
import { MINUTE, type TestProject, testTocsin } from '../core/open-test-tocsin.ts'
import { call, callError, type Structured, surfaceOf } from './harness.ts'

const MOODS = ['calm', 'busy', 'odd', 'slow', 'quiet']

describe.each(['sqlite', 'postgres'] as const)('a model that never says the same twice, on %s', (kind) => {
  const model: ModelSettings = { baseUrl: '', model: 'small', apiKey: null }
  let asked = 0
  let isBroken = false
  const server = createServer(async (req, res) => {
    const { messages } = JSON.parse(await text(req))
    asked += 1
    if (isBroken) {
      res.writeHead(400).end()
      return
    }
    const headings = Array.from(messages[1].content.matchAll(/^## .+$/gm), ([heading]) => heading)
    const content = headings.map((heading) => `${heading}\n\nIt was ${MOODS[asked]} here [E1].`).join('\n\n')
    res.writeHead(200, { 'Content-Type': 'application/json' })
    res.end(JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content } }] }))
  })
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    model.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  })
  afterAll(() => server.close())
  const t = testTocsin(kind, { model })
  beforeEach(() => {
    asked = 0
    isBroken = false
  })

  async function longIncident(): Promise<TestProject> {
    const project = await t.project({ policy: { grouping: 'project' } })
    const generic = await project.source('generic')
    for (let i = 0; i < 40; i++) {
      t.clock.pass(MINUTE)
      await generic.send({ id: `a${i}`, title: `Alert ${i} ${'word '.repeat(20)}`, service: `shop-${i}` })
    }
    return project
  }

  async function readAll(project: TestProject): Promise<Structured[]> {
    const surface = await surfaceOf(project, ['incidents:read'])
    const parts: Structured[] = []
    let cursor: string | undefined
    do {
      const args = { incidentId: 'INC-001', ...(cursor !== undefined && { cursor }) }
      parts.push(await call(surface, 'draft_postmortem', args))
      cursor = parts.at(-1)!.nextCursor
    } while (cursor !== undefined)
    return parts
  }

  test('is asked once for all parts of a long draft, and for what is stored then', async () => {
    const project = await longIncident()
    const parts = await readAll(project)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts.map(({ generatedBy }) => generatedBy)).toEqual(parts.map(() => 'model'))
    expect(parts.map(({ markdown }) => markdown).join('')).toContain('It was busy here')
    expect(await readAll(project)).toEqual(parts.map((part) => ({ ...part, text: expect.any(String) })))
    const { postmortem } = await t.admin.draftPostmortem(project.id, 'INC-001', {})
    expect([postmortem.generatedBy, postmortem.markdown]).toEqual([
      'model',
      expect.stringContaining('It was busy here'),
    ])
    expect(asked).toBe(1)
    const other = await t.another()
    await other
      .actingAs({ keyId: 'b', name: 'b', scopes: ['admin'], projectId: null })
      .draftPostmortem(project.id, 'INC-001', { dryRun: true })
    expect(asked).toBe(1)
  })

  test('is asked anew for other facts, and a cursor of the draft before says so', async () => {
    const project = await longIncident()
    const surface = await surfaceOf(project, ['incidents:read'])
    const { nextCursor } = await call(surface, 'draft_postmortem', { incidentId: 'INC-001' })
    await t.admin.addNote(project.id, 'INC-001', { text: 'Nothing found yet.' })
    expect(
      await callError(surface, 'draft_postmortem', { incidentId: 'INC-001', cursor: nextCursor }),
    ).toMatch(/^\[invalid_cursor\].*changed since/)
    expect(asked).toBe(2)
  })

  test('that fails leaves a draft that can be read in parts, and is asked again for one to store', async () => {
    const project = await longIncident()
    isBroken = true
    const parts = await readAll(project)
    expect(parts.length).toBeGreaterThan(1)
    expect(parts[0]!.fallbackReason).toBe('The endpoint of the model answered 400.')
    expect(asked).toBe(1)
    isBroken = false
    t.clock.pass(11 * MINUTE)
    expect((await readAll(project))[0]!.generatedBy).toBe('model')
    expect(asked).toBe(2)
  })

  test('two who ask at once get the same', async () => {
    const project = await longIncident()
    const drafts = await Promise.all(
      [1, 2].map(() => t.admin.draftPostmortem(project.id, 'INC-001', { dryRun: true })),
    )
    expect(drafts[0]!.postmortem.markdown).toBe(drafts[1]!.postmortem.markdown)
  })
})
