import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApiIncident } from '../../../core/api-types.ts'
import { incidentBody, readRegions, withGap } from '../../../core/delivery/message-body.ts'
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
  const body = (of: ApiIncident) =>
    incidentBody({
      type: 'incident.opened',
      timestamp: '2026-11-21T08:00:00.000Z',
      sequence: 1,
      incident: of,
      project: { id: 'project', name: 'default' },
      monitor: { id: null, name: null, url: null },
      regions: [],
      reopened: false,
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
