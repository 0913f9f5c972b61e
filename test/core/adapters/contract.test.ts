import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ZodError } from 'zod'
import type { Adapter } from '../../../core/adapters/adapter.ts'
import { readJsonBody } from '../../../core/adapters/read-body.ts'
import { adapterBySlug, adapters } from '../../../core/adapters/registry.ts'
import { TocsinError } from '../../../core/errors.ts'
import { explain } from '../../../core/explain.ts'
import type { HookRequest, SourceSettings } from '../../../core/types.ts'
import { hookRequest, noSettings, payloadsOf } from './payload.ts'

const SECRET = 'a secret of a source'
const context = {
  id: 'test-1',
  at: '2026-07-01T12:00:00.000Z',
  secret: SECRET,
  projectId: '11111111-1111-4111-8111-111111111111',
  settings: noSettings,
}

function sent(
  adapter: Adapter,
  kind: 'fire' | 'recover',
  settings: SourceSettings = noSettings,
): HookRequest {
  const test = adapter.testRequest(kind, { ...context, settings })
  if (!test) throw new Error(`${adapter.slug} has no ${kind} to send`)
  return hookRequest({ ...test, receivedAt: context.at })
}

function withHeader(request: HookRequest, name: string, values: string[]): HookRequest {
  return { ...request, headers: new Map([...request.headers, [name, values]]) }
}

function parsed(adapter: Adapter, request: HookRequest) {
  return adapter.parse(readJsonBody(request.rawBody), request, noSettings)
}

/** Bodies with something amiss that one tool or another looks for. */
const SPOILED: unknown[] = [
  ...[null, [], 'text', 5, {}],
  ...[{ data: 5 }, { data: {} }, { data: { issue: 5 } }, { data: { issue: {} } }, { data: { event: {} } }],
  ...[{ data: { metric_alert: {} } }, { data: { type: 'incident', attributes: {} } }],
  ...[{ event: {} }, { event: { event_type: 'incident.triggered', data: { type: 'incident' } } }],
  ...[{ messages: [] }, { messages: [{}] }, { alerts: 5 }, { alerts: [] }, { alerts: [5] }],
  ...[{ heartbeat: {}, monitor: {} }, { specversion: '1.0' }, { specversion: '2.0', id: '1' }],
  ...[{ event_action: 'trigger' }, { event_action: 'trigger', payload: 5 }, { event_action: 'resolve' }],
  ...[
    { event_action: 'trigger', payload: { summary: 'a' } },
    { event_action: 'resolve', dedup_key: 5 },
  ],
  ...[{ event_action: 'resolve', dedup_key: 'k'.repeat(300) }, { payload: {} }, { title: '' }, { title: {} }],
  ...[{ incident_id: 'a', project_uuid: 'p', status: 'DOWN', incident_time: 'soon' }],
]

test('adapters are found by their slug, each once', () => {
  expect(new Set(adapters.map(({ slug }) => slug)).size).toBe(adapters.length)
  for (const adapter of adapters) expect(adapterBySlug(adapter.slug)).toBe(adapter)
  expect(adapterBySlug('no-such-tool')).toBeUndefined()
})

describe.each(adapters)('$slug', (adapter) => {
  const credentials = adapter
    .credentialHeaders(noSettings)
    .filter((name) => sent(adapter, 'fire').headers.has(name))
  const recovers = adapter.says.resolves !== null
  const kinds = recovers ? (['fire', 'recover'] as const) : (['fire'] as const)

  test('refuses a request without credentials', () => {
    expect(adapter.verify(hookRequest(), SECRET, noSettings)).toBe(false)
    expect(adapter.verify(hookRequest(), '', noSettings)).toBe(false)
  })

  test('accepts what its own test request carries', () => {
    for (const kind of kinds) expect(adapter.verify(sent(adapter, kind), SECRET, noSettings)).toBe(true)
  })

  test('refuses another secret, an empty one and a credential cut short', () => {
    const request = sent(adapter, 'fire')
    expect(adapter.verify(request, 'another secret', noSettings)).toBe(false)
    expect(adapter.verify(request, '', noSettings)).toBe(false)
    for (const name of credentials) {
      const value = request.headers.get(name)?.[0] ?? ''
      expect(adapter.verify(withHeader(request, name, [value.slice(0, -1)]), SECRET, noSettings)).toBe(false)
      expect(adapter.verify(withHeader(request, name, ['']), SECRET, noSettings)).toBe(false)
    }
  })

  test('never takes an empty credential for an empty secret', () => {
    const empty = ['', 'Bearer ', 'Bearer', 'Basic ', `Basic ${btoa(':')}`, `Basic ${btoa('user:')}`]
    for (const name of adapter.credentialHeaders(noSettings)) {
      for (const value of empty) {
        expect(adapter.verify(hookRequest({ headers: { [name]: value } }), '', noSettings)).toBe(false)
      }
    }
  })

  test('refuses a credential that came twice', () => {
    // Where no header carries one, the body does.
    expect(credentials.length > 0 || adapter.dropIn !== undefined).toBe(true)
    for (const name of credentials) {
      const request = sent(adapter, 'fire')
      const value = request.headers.get(name)?.[0] ?? ''
      expect(adapter.verify(withHeader(request, name, [value, value]), SECRET, noSettings)).toBe(false)
    }
  })

  test('names its credential headers in lower case, as requests hold them', () => {
    const settings = { ...noSettings, signatureHeader: 'X-Signature', timestampHeader: 'X-Time' }
    for (const name of adapter.credentialHeaders(settings)) expect(name).toBe(name.toLowerCase())
  })

  test('fires and recovers one signal and one episode with its test requests', () => {
    const [fire] = parsed(adapter, sent(adapter, 'fire')).events
    expect(fire).toMatchObject({ kind: 'fire', drill: false })
    if (recovers) {
      const [recover] = parsed(adapter, sent(adapter, 'recover')).events
      expect(recover).toMatchObject({ kind: 'recover', signalKey: fire?.signalKey, episode: fire?.episode })
    } else expect(adapter.testRequest('recover', context)).toBeNull()
    expect(fire?.signalKey).toBeTruthy()
    expect(fire?.title).toBe('Tocsin test')
  })

  test("does not take Tocsin's own test for the tool's", () => {
    for (const kind of kinds) {
      const request = parsed(adapter, sent(adapter, kind))
      expect(request.filtered).toBeNull()
      for (const event of request.events) expect(event.test).toBeUndefined()
    }
  })

  test('meets any JSON with events or a refusal that names a field', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => expectEventsOrRefusal(adapter, body)),
      { numRuns: 500 },
    )
  })

  test('says of a body it refuses which field, what is wrong with it and what to send', () => {
    const paths = adapter.slug === 'pagerduty-events' ? ['/v2/enqueue', '/v2/change/enqueue'] : ['/hook']
    const resources = adapter.slug === 'sentry' ? ['issue', 'event_alert', 'metric_alert', 'error', ''] : ['']
    const refusals = new Set<string>()
    for (const body of SPOILED) {
      for (const path of paths) {
        for (const resource of resources) {
          const headers: Record<string, string> = resource === '' ? {} : { 'sentry-hook-resource': resource }
          const request = { ...hookRequest({ headers, body: JSON.stringify(body) }), path }
          try {
            adapter.parse(body, request, noSettings)
          } catch (error) {
            if (!(error instanceof ZodError)) throw error
            refusals.add(explain(error))
          }
        }
      }
    }
    // Grafana IRM declares whatever comes.
    if (adapter.slug !== 'grafana-irm') expect(refusals.size).toBeGreaterThan(0)
    for (const text of refusals) {
      expect(text).toMatch(/^(the body|[\w.]+) [^:]+: (send|paste) .+\.$/)
      expect(text).not.toMatch(/invalid input|expected|received|too small/i)
    }
  })

  test('meets the members it reads with events or a refusal, whatever is in them', () => {
    const member = fc.constantFrom(
      ...['alerts', 'labels', 'status', 'data', 'event', 'issue', 'metric_alert', 'alert_rule', 'action'],
      ...['attributes', 'relationships', 'monitor', 'title', 'id', 'ruleId', 'tags', 'exception', 'values'],
      ...['stacktrace', 'frames', 'projects', 'resolved_at', 'name', 'url', 'services', '__proto__'],
      ...['messages', 'event_type', 'occurred_at', 'incident', 'payload', 'links', 'heartbeat', 'msg'],
      ...['time', 'scope', 'date', 'regions', 'type', 'subject', 'source', 'specversion', 'incident_id'],
    )
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5, depthSize: 'medium' },
        fc.jsonValue({ maxDepth: 0 }),
        tie('object'),
        tie('list'),
      ),
      list: fc.array(tie('value'), { maxLength: 3 }),
      object: fc.dictionary(member, tie('value'), { maxKeys: 5 }),
    }))
    fc.assert(
      fc.property(value, (body) => expectEventsOrRefusal(adapter, body)),
      { numRuns: 2000 },
    )
  })

  test('meets a real body with any one member replaced', () => {
    const bodies = payloadsOf(adapter.slug)
    expect(bodies.length).toBeGreaterThan(5)
    fc.assert(
      fc.property(fc.constantFrom(...bodies), fc.nat(), fc.jsonValue(), (body, at, value) => {
        const counter = { left: at % 60 }
        expectEventsOrRefusal(adapter, replaceNth(body, counter, value))
      }),
      { numRuns: 2000 },
    )
  })

  test('keeps no NUL, no lone surrogate and no endless title', () => {
    const nasty = `${String.fromCharCode(0)}\ud800${'x'.repeat(2000)}`
    const text = sent(adapter, 'fire')
      .rawBody.toString()
      .replaceAll('Tocsin test', JSON.stringify(nasty).slice(1, -1))
    const [event] = parsed(adapter, { ...sent(adapter, 'fire'), rawBody: Buffer.from(text) }).events
    expect(event?.title.length).toBeLessThanOrEqual(500)
    expect(event?.title.isWellFormed()).toBe(true)
    expect(JSON.stringify(event)).not.toContain('\\u0000')
  })

  // A tool without marks takes any body as its own.
  test.runIf(adapter.marks?.length)('bears its marks in its own bodies', () => {
    const bodies = payloadsOf(adapter.slug).filter((body) => typeof body === 'object' && body !== null)
    const marks = adapter.marks ?? []
    const own = bodies.filter((body) =>
      marks.some((name) => Object.hasOwn(Array.isArray(body) ? (body[0] ?? {}) : body, name)),
    )
    expect(own.length).toBeGreaterThan(bodies.length / 2)
  })

  test('tells people what to click and where the address goes', () => {
    expect(adapter.setup.length).toBeGreaterThan(1)
    expect(adapter.setup.join('\n')).toContain('{url}')
  })
})

/** A copy with the nth member, counted from the outside in, replaced. */
function replaceNth(node: unknown, counter: { left: number }, value: unknown): unknown {
  if (counter.left-- === 0) return value
  if (Array.isArray(node)) return node.map((item) => replaceNth(item, counter, value))
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node).map(([name, member]) => [name, replaceNth(member, counter, value)]),
  )
}

function expectEventsOrRefusal(adapter: Adapter, body: unknown): void {
  const request = hookRequest({ body: JSON.stringify(body) })
  try {
    const { events } = adapter.parse(body, request, noSettings)
    // Only CloudEvents has a way to say nothing.
    expect(events.length > 0 || (Array.isArray(body) && body.length === 0)).toBe(true)
    for (const event of events) {
      expect(event.title.trim()).not.toBe('')
      expect(event.kind === 'info' || event.signalKey !== null).toBe(true)
      for (const value of Object.values(event.labels)) expect(typeof value).toBe('string')
      expect(Object.getPrototypeOf(event.labels)).toBe(Object.prototype)
    }
  } catch (error) {
    if (error instanceof TocsinError) return
    if (!(error instanceof ZodError)) throw error
    expect(error.issues.length).toBeGreaterThan(0)
  }
}
