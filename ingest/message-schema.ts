import type { ApiMessageType } from '@tocsin/core'
import { z } from 'zod'
import { Incident } from './schemas.ts'

/** What receivers get (design.md 8), as JSON Schema with an example. New members may come; none goes or changes. */

const ID = '019a6d3c-5f0e-7c7a-9c55-0f7d7b0d2a11'
const PROJECT = '3f0c8d3e-9d6b-4c52-8a55-6f1f0a3c7e21'
const AT = '2026-11-21T08:00:00.000Z'

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
    url: z.string(),
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
  return { ...schema, title: type, examples: [messageExample(type)] }
}

export function messageExample(type: ApiMessageType): Record<string, unknown> {
  return { type, timestamp: AT, data: exampleData(type) }
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
        endpoint: { ...endpoint, description: 'Status page', reason: 'gone' },
        project: named,
      }
    default:
      return incidentData(type, named)
  }
}

const STEPS: Partial<Record<ApiMessageType, { sequence: number; status: string }>> = {
  'incident.opened': { sequence: 1, status: 'open' },
  'incident.updated': { sequence: 1, status: 'open' },
  'incident.acknowledged': { sequence: 2, status: 'acknowledged' },
  'incident.resolved': { sequence: 3, status: 'resolved' },
  'incident.reopened': { sequence: 4, status: 'open' },
}

function incidentData(type: ApiMessageType, named: { id: string; name: string }): Record<string, unknown> {
  const { sequence, status } = STEPS[type]!
  const isResolved = status === 'resolved'
  const acknowledged = status === 'acknowledged' || isResolved
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
      startedAt: AT,
      detectedAt: AT,
      openedAt: AT,
      acknowledgedAt: acknowledged ? AT : null,
      resolvedAt: isResolved ? AT : null,
      durationMs: isResolved ? 0 : null,
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
          firedAt: AT,
          recoveredAt: isResolved ? AT : null,
          durationMs: isResolved ? 0 : null,
        },
      ],
      signalCount: 1,
      firingCount: isResolved ? 0 : 1,
      eventCount: 1,
      reopenCount: type === 'incident.reopened' ? 1 : 0,
      updatedAt: AT,
    },
    project: named,
    monitor,
    regions: [{ name: 'eu-central', status: 'down', checkedAt: AT, message: 'Timeout' }],
    reopened: type === 'incident.reopened',
  }
}
