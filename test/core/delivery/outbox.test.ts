import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApiIncident } from '../../../core/api-types.ts'
import {
  type IncidentMessage,
  incidentBody,
  readRegions,
  withGap,
} from '../../../core/delivery/message-body.ts'
import {
  type EndpointFilters,
  messagesFor,
  NO_FILTERS,
  type OutboxEndpoint,
  type Transition,
} from '../../../core/store/outbox.ts'

const transition = (more: Partial<Transition> = {}): Transition => ({
  projectId: 'project',
  incidentId: 'incident',
  kind: 'opened',
  sequence: 1,
  maxSeverity: 'high',
  services: ['web', 'payments'],
  labels: { region: { values: ['eu', 'us'] } },
  drill: false,
  sources: ['source'],
  ...more,
})
const endpoint = (filters: Partial<EndpointFilters> = {}, projectId = 'project'): OutboxEndpoint => ({
  id: 'endpoint',
  projectId,
  policy: 'standard-3d',
  filters: { ...NO_FILTERS, ...filters },
})
const types = (one: Transition, to: OutboxEndpoint) => messagesFor([one], [to]).map(({ type }) => type)

describe('who is told of what', () => {
  test.each([
    [{}, ['incident.opened']],
    [{ severities: ['high'] }, ['incident.opened']],
    [{ severities: ['critical', 'low'] }, []],
    [{ services: ['payments', 'other'] }, ['incident.opened']],
    [{ services: ['other'] }, []],
    [{ labels: { region: 'us' } }, ['incident.opened']],
    [{ labels: { region: 'us', tier: '1' } }, []],
    [{ labels: { constructor: 'x' } }, []],
    [{ sources: ['source'] }, ['incident.opened']],
    [{ sources: ['another'] }, []],
    [{ events: ['incident.resolved'] }, []],
  ] as [Partial<EndpointFilters>, string[]][])('%j gets %j', (filters, wanted) => {
    expect(types(transition(), endpoint(filters))).toEqual(wanted)
  })

  test('a reopening is an opening to those who did not ask for reopenings', () => {
    const reopened = transition({ kind: 'reopened' })
    expect(messagesFor([reopened], [endpoint()])).toMatchObject([{ type: 'incident.opened', reopened: true }])
    const asked = endpoint({ events: ['incident.opened', 'incident.reopened'] })
    expect(types(reopened, asked)).toEqual(['incident.reopened'])
    expect(types(reopened, endpoint({ events: ['incident.resolved'] }))).toEqual([])
  })

  test('drills and updates only go to those who asked, nothing to another project', () => {
    expect(types(transition({ drill: true }), endpoint())).toEqual([])
    expect(types(transition({ drill: true }), endpoint({ drills: true }))).toEqual(['incident.opened'])
    expect(types(transition({ kind: 'updated' }), endpoint())).toEqual([])
    expect(types(transition(), endpoint({}, 'another'))).toEqual([])
  })
})

describe('bodies', () => {
  const incident = (more: Partial<ApiIncident> = {}): ApiIncident => ({
    id: 'incident',
    reference: 'INC-001',
    projectId: 'project',
    title: 'Down',
    status: 'open',
    severity: 'high',
    sourceSeverity: null,
    startedAt: '2026-11-21T08:00:00.000Z',
    detectedAt: '2026-11-21T08:00:00.000Z',
    openedAt: '2026-11-21T08:00:00.000Z',
    acknowledgedAt: null,
    resolvedAt: null,
    durationMs: null,
    services: [],
    customerImpact: false,
    drill: false,
    labels: {},
    metadata: {},
    url: null,
    consoleUrl: null,
    signals: [],
    signalCount: 1,
    firingCount: 1,
    eventCount: 1,
    reopenCount: 0,
    updatedAt: '2026-11-21T08:00:00.000Z',
    ...more,
  })
  const body = (of: ApiIncident, more: Partial<IncidentMessage> = {}) =>
    incidentBody({
      type: 'incident.opened',
      timestamp: '2026-11-21T08:00:00.000Z',
      sequence: 1,
      incident: of,
      project: { id: 'project', name: 'default' },
      monitor: { id: null, name: null, url: null },
      regions: [],
      reopened: false,
      ...more,
    })

  test('stay under 20 KB, whatever alerts bring', () => {
    const signal = {
      id: 's',
      key: 'k'.repeat(1_000),
      title: 't'.repeat(500),
      status: 'firing',
      monitor: { id: null, name: null, url: null },
      source: { id: 's', adapter: 'generic', name: 'generic' },
      firedAt: '2026-11-21T08:00:00.000Z',
      recoveredAt: null,
      durationMs: null,
    } as const
    const huge = incident({
      title: '🚨'.repeat(250),
      metadata: { big: 'x'.repeat(100_000) },
      labels: Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`label${i}`, 'v'.repeat(500)])),
      signals: Array.from({ length: 20 }, () => signal),
      services: Array.from({ length: 200 }, (_, i) => `${'s'.repeat(100)}${i}`),
    })
    expect(Buffer.byteLength(body(huge))).toBeLessThan(20_000)
    expect(JSON.parse(body(huge)).data.incident).toMatchObject({ id: 'incident', title: huge.title })
  })

  test('and really so, at the limits of every field, with a gap too', () => {
    const upTo = (size: number) =>
      fc.oneof(
        ...['a', '\u0001', '"', 'é', '漢', '🚨', '\u2028'].map((one) =>
          fc.constantFrom(0, 1, size).map((length) => one.repeat(length).slice(0, length).toWellFormed()),
        ),
      )
    const few = fc.constantFrom(0, 1, 5, 10, 20, 50)
    const monitor = fc.record({ id: upTo(500), name: upTo(500), url: upTo(2_000) })
    const regions = fc
      .tuple(few, upTo(500))
      .map(([count, text]) =>
        readRegions(Array(count).fill({ name: text, status: text, checkedAt: text, message: text })),
      )
    const more = fc.record({
      title: upTo(500),
      sourceSeverity: upTo(100),
      url: upTo(2_000),
      services: fc.tuple(few, upTo(500)).map(([count, text]) => Array<string>(count).fill(text)),
      labels: fc
        .tuple(few, upTo(1_000))
        .map(([count, text]) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, text]))),
      metadata: upTo(2_000).map((text) => ({ text, list: Array(20).fill(text) })),
      signals: fc.tuple(few, upTo(500), monitor).map(([count, text, of]) =>
        Array.from({ length: Math.min(count, 20) }, () => ({
          id: 's',
          key: text,
          title: text,
          status: 'firing' as const,
          monitor: of,
          source: { id: 's', adapter: 'generic', name: text },
          firedAt: '2026-11-21T08:00:00.000Z',
          recoveredAt: null,
          durationMs: null,
        })),
      ),
    })
    fc.assert(
      fc.property(more, monitor, regions, upTo(200), (of, at, where, name) => {
        const text = body(incident(of), { monitor: at, regions: where, project: { id: 'project', name } })
        expect(Buffer.byteLength(withGap(text))).toBeLessThan(20_000)
        const { data } = JSON.parse(text)
        expect(data.incident).toMatchObject({ id: 'incident', title: of.title })
        expect(data.project.name).toBe(name)
      }),
      { numRuns: 500 },
    )
  })

  test('a gap is added without changing anything else', () => {
    const { data, ...rest } = JSON.parse(withGap(body(incident())))
    const before = JSON.parse(body(incident()))
    expect({ ...rest, data: { ...data, gap: undefined } }).toEqual({
      ...before,
      data: { ...before.data, gap: undefined },
    })
    expect(data.gap).toBe(true)
  })

  test('regions are what a sender said, as text', () => {
    expect(
      readRegions([
        { name: 'eu', status: 'down', checkedAt: 1, message: 'Timeout' },
        { region: 'us' },
        {},
        null,
        'x',
      ]),
    ).toEqual([
      { name: 'eu', status: 'down', checkedAt: null, message: 'Timeout' },
      { name: 'us', status: null, checkedAt: null, message: null },
    ])
    fc.assert(fc.property(fc.jsonValue(), (value) => readRegions(value).length <= 20))
  })
})
