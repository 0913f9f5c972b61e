import { type ApiMessageType, MESSAGE_TYPES } from '@tocsin/core'
import { z } from 'zod'
import { Incident, type MessageSchemaList } from './schemas.ts'

/** What receivers get (design.md 8), as JSON Schema with an example. New members may come; none goes or changes. */

/** When each type is sent. */
const WHEN: Record<ApiMessageType, string> = {
  'incident.opened': 'An incident was opened. Endpoints that do not ask for reopenings get those, too.',
  'incident.acknowledged': 'Somebody, or the tool that sends the alerts, took the incident on.',
  'incident.resolved': 'The incident is over: nothing in it fires any more, or a person resolved it.',
  'incident.reopened': 'A resolved incident is open again. Sent where an endpoint asks for it.',
  'incident.updated':
    'Another alert or a note came to an incident, and its status stayed. Sent where an endpoint asks for it.',
  'endpoint.disabled':
    'Another endpoint of the project was switched off. Sent where an endpoint asks for it.',
  test: 'Somebody asked for a test of the endpoint. Sent to it whatever it asks for.',
}

const ID = '019a6d3c-5f0e-7c7a-9c55-0f7d7b0d2a11'
const PROJECT = '3f0c8d3e-9d6b-4c52-8a55-6f1f0a3c7e21'
const OPENED_AT = '2026-11-21T08:00:00.000Z'

const project = z.object({ id: z.string(), name: z.string() })

const IncidentData = z.object({
  schemaVersion: z.literal(1),
  sequence: z.int().describe("Number among the incident's transitions, from 1, without gaps"),
  incident: Incident,
  project,
  monitor: z
    .object({ id: z.string().nullable(), name: z.string().nullable(), url: z.string().nullable() })
    .describe('Of the signal that caused the message'),
  regions: z
    .array(
      z.object({
        name: z.string(),
        status: z.string().nullable(),
        checkedAt: z.string().nullable(),
        message: z.string().nullable(),
      }),
    )
    .describe('From senders that report them'),
  reopened: z.boolean().describe('An opening that is a reopening'),
  gap: z.literal(true).optional().describe('The message before it in this incident failed for good'),
})

const DisabledData = z.object({
  schemaVersion: z.literal(1),
  endpoint: z.object({
    id: z.string(),
    url: z.string().describe('Where it is, without the path'),
    description: z.string().nullable(),
    reason: z.enum(['by_hand', 'gone', 'failed', 'no_success']),
  }),
  project,
})

const TestData = z.object({
  schemaVersion: z.literal(1),
  endpoint: z.object({ id: z.string(), url: z.string() }),
  project,
  text: z.string(),
})

/** The schema of one type's body, to check with as well as to publish. */
export function messageBody(type: ApiMessageType) {
  const data = type === 'test' ? TestData : type === 'endpoint.disabled' ? DisabledData : IncidentData
  return z.object({ type: z.literal(type), timestamp: z.iso.datetime().describe('When it happened'), data })
}

export function messageSchema(type: ApiMessageType): Record<string, unknown> {
  const schema = z.toJSONSchema(messageBody(type), {
    io: 'output',
    override: ({ jsonSchema }) => {
      delete jsonSchema.id
      if (jsonSchema.format === 'date-time') delete jsonSchema.pattern
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
    },
  })
  return { ...schema, title: type, description: WHEN[type], examples: [messageExample(type)] }
}

/** Where the schema of each type is, and when such a message is sent. */
export function listMessageSchemas(): z.infer<typeof MessageSchemaList> {
  const one = (type: ApiMessageType) => ({
    type,
    description: WHEN[type],
    url: `/api/v1/schemas/${type}.json`,
  })
  return { schemas: MESSAGE_TYPES.map(one) }
}

export function messageExample(type: ApiMessageType): Record<string, unknown> {
  return { type, timestamp: STEPS[type]?.at ?? OPENED_AT, data: exampleData(type) }
}

function exampleData(type: ApiMessageType): Record<string, unknown> {
  const named = { id: PROJECT, name: 'default' }
  const endpoint = { id: ID, url: 'https://example.com/webhooks' }
  switch (type) {
    case 'test':
      return { schemaVersion: 1, endpoint, project: named, text: 'A test by Tocsin: nothing is wrong.' }
    case 'endpoint.disabled':
      return {
        schemaVersion: 1,
        endpoint: { id: ID, url: 'https://example.com/…', description: 'Status page', reason: 'gone' },
        project: named,
      }
    default:
      return incidentData(type, named)
  }
}

const ACKNOWLEDGED_AT = '2026-11-21T08:04:10.000Z'
const RESOLVED_AT = '2026-11-21T08:19:30.000Z'
const REOPENED_AT = '2026-11-21T08:22:00.000Z'

const STEPS: Partial<
  Record<ApiMessageType, { sequence: number; status: string; at: string; eventCount: number }>
> = {
  'incident.opened': { sequence: 1, status: 'open', at: OPENED_AT, eventCount: 1 },
  'incident.updated': { sequence: 1, status: 'open', at: '2026-11-21T08:01:00.000Z', eventCount: 2 },
  'incident.acknowledged': { sequence: 2, status: 'acknowledged', at: ACKNOWLEDGED_AT, eventCount: 2 },
  'incident.resolved': { sequence: 3, status: 'resolved', at: RESOLVED_AT, eventCount: 3 },
  'incident.reopened': { sequence: 4, status: 'open', at: REOPENED_AT, eventCount: 4 },
}

function incidentData(type: ApiMessageType, named: { id: string; name: string }): Record<string, unknown> {
  const { sequence, status, at, eventCount } = STEPS[type]!
  const isResolved = status === 'resolved'
  const isReopened = type === 'incident.reopened'
  const monitor = { id: 'check-7', name: 'Checkout', url: 'https://shop.example.com/checkout' }
  return {
    schemaVersion: 1,
    sequence,
    incident: {
      id: ID,
      reference: 'INC-042',
      projectId: named.id,
      title: 'Checkout is down',
      status,
      severity: 'critical',
      sourceSeverity: 'fatal',
      startedAt: OPENED_AT,
      detectedAt: OPENED_AT,
      openedAt: OPENED_AT,
      acknowledgedAt: status === 'acknowledged' || isResolved ? ACKNOWLEDGED_AT : null,
      resolvedAt: isResolved ? RESOLVED_AT : null,
      durationMs: isResolved ? Date.parse(RESOLVED_AT) - Date.parse(OPENED_AT) : null,
      services: ['checkout'],
      customerImpact: true,
      drill: false,
      labels: { region: 'eu' },
      metadata: {},
      url: null,
      consoleUrl: null,
      signals: [
        {
          id: ID,
          key: 'check-7',
          title: 'Checkout is down',
          status: isResolved ? 'recovered' : 'firing',
          monitor,
          source: { id: ID, adapter: 'generic', name: 'generic' },
          firedAt: isReopened ? REOPENED_AT : OPENED_AT,
          recoveredAt: isResolved ? RESOLVED_AT : null,
          durationMs: isResolved
            ? Date.parse(RESOLVED_AT) - Date.parse(isReopened ? REOPENED_AT : OPENED_AT)
            : null,
        },
      ],
      signalCount: 1,
      firingCount: isResolved ? 0 : 1,
      eventCount,
      reopenCount: isReopened ? 1 : 0,
      updatedAt: at,
    },
    project: named,
    monitor,
    regions: [
      {
        name: 'eu-central',
        status: isResolved ? 'up' : 'down',
        checkedAt: at,
        message: isResolved ? null : 'Timeout',
      },
    ],
    reopened: isReopened,
  }
}
