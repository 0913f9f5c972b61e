import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { tools } from '../../mcp-server/tools/index.ts'
import { testTocsin } from '../core/open-test-tocsin.ts'
import { callError, surfaceOf } from '../mcp-server/harness.ts'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { judge } from './judge.ts'
import { questions } from './questions.ts'

describe('the questions', () => {
  test('are at least 60, each once, of every tool and of none', () => {
    expect(questions.length).toBeGreaterThanOrEqual(60)
    expect(new Set(questions.map(({ ask }) => ask)).size).toBe(questions.length)
    for (const { name } of tools)
      expect(questions.filter(({ tool }) => tool === name).length).toBeGreaterThan(5)
    expect(questions.filter(({ tool }) => tool === null).length).toBeGreaterThanOrEqual(10)
  })

  test.each(questions.filter(({ tool }) => tool !== null))(
    '$ask: what is expected fits the schema',
    (question) => {
      // A note's own words are free, so the expectation leaves them out.
      const args = question.args?.action === 'note' ? { ...question.args, note: 'x' } : question.args
      expect(judge(question, { tool: question.tool!, args: JSON.stringify(args ?? {}) })).toBeUndefined()
    },
  )

  test('a wrong call is told from a right one', () => {
    const question = { ask: '', tool: 'get_incident', args: { incidentId: 'INC-042' } }
    expect(judge(question, { tool: 'get_incident', args: '{"incidentId":"inc-042"}' })).toBeUndefined()
    expect(judge(question, undefined)).toContain('called nothing')
    expect(judge(question, { tool: 'list_incidents', args: '{}' })).toContain('instead of get_incident')
    expect(judge(question, { tool: 'get_incident', args: '{"incidentId":"INC-41"}' })).toContain(
      'instead of "INC-042"',
    )
    expect(judge(question, { tool: 'get_incident', args: '{"id":"INC-042"}' })).toContain('schema')
    expect(judge(question, { tool: 'get_incident', args: '{' })).toContain('no JSON')
    expect(judge({ ask: '', tool: null }, { tool: 'get_incident', args: '{}' })).toContain(
      'instead of nothing',
    )
    expect(judge({ ask: '', tool: null }, undefined)).toBeUndefined()
  })
})

describe('an error leads back onto the way', () => {
  const t = testTocsin('sqlite')
  test.each([
    ['get_incident', { incidentId: 'inc_9' }, /\[not_found\].*INC-001.*list_incidents/],
    ['get_incident', { id: 'INC-001' }, /\[invalid_arguments\].*incidentId.*call get_incident again/],
    ['update_incident', { incidentId: 'INC-001', action: 'close' }, /acknowledge, resolve, reopen, note/],
    ['update_incident', { incidentId: 'INC-001' }, /"action"/],
    ['list_incidents', { status: 'firing' }, /active, open, acknowledged, resolved, all/],
    ['list_incidents', { severity: 'critical' }, /"severity" must be array/],
    ['list_incidents', { severity: ['P1'] }, /critical, high, medium, low, info/],
    ['list_incidents', { since: 'last week' }, /24h, 7d/],
    ['get_webhook_url', { source: 'prometheus' }, /\[not_found\].*alertmanager/],
    ['get_webhook_url', { provider: 'grafana' }, /Unknown argument "provider".*source/],
    ['configure_webhook', { source: 'grafana', secret: 'x' }, /Unknown argument "secret".*secretAction/],
    ['configure_webhook', { source: 'My tool' }, /provider: one of .*generic/],
    ['draft_postmortem', { incidentId: 'INC-001', template: 'long' }, /standard, brief, five_whys/],
    ['restart_pod', {}, /\[unknown_tool\].*list_incidents/],
  ])('%s %j', async (name, args, expected) => {
    const project = await t.project()
    await (await project.source()).send({ id: 'a', title: 'A' })
    expect(await callError(await surfaceOf(project, ['admin']), name, args)).toMatch(expected)
  })
})

describe('npm run evals', () => {
  const run = async (env: Record<string, string>) => {
    const child = await startChild(pinnedNode, [inRepository('test/evals/main.ts')], {
      cwd: inRepository('test'),
      env,
    })
    return [(await child.exited).code, child.stdout(), child.stderr()] as const
  }

  test('says "not measured" without a model', async () => {
    expect(await run({})).toEqual([0, expect.stringMatching(/^not measured/), ''])
  })

  test('counts what a model gets right', async () => {
    // Always asks for the list: right for some questions, wrong for the others.
    const server = createServer((_req, res) => {
      const call = { id: 'c', type: 'function', function: { name: 'list_incidents', arguments: '{}' } }
      const message = { role: 'assistant', content: null, tool_calls: [call] }
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify({ id: 'x', object: 'chat.completion', choices: [{ index: 0, message }] }))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      const [code, stdout] = await run({
        TOCSIN_EVAL_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
        TOCSIN_EVAL_MODEL: 'stub',
        TOCSIN_EVAL_API_KEY: 'key',
      })
      const right = questions.filter(
        (one) => judge(one, { tool: 'list_incidents', args: '{}' }) === undefined,
      ).length
      expect([code, stdout]).toEqual([
        0,
        expect.stringContaining(`${right} of ${questions.length} first calls right`),
      ])
      expect(right).toBeGreaterThan(0)
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })
})
