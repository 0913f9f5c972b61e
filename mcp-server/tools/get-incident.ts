import type { ApiEvent, ApiSignal, ApiTimelineEntry } from '@tocsin/core'
import { z } from 'zod'
import { bindCursor, readCursor } from '../cursor.ts'
import {
  cursor,
  defineTool,
  entry,
  incidentId,
  project,
  type ToolContext,
  untrusted,
} from '../define-tool.ts'
import { findProject, withIncident } from '../find.ts'
import { MOST_CHARACTERS, type Untrusted } from '../present.ts'
import { ToolError } from '../tool-error.ts'
import { incidentEntry, showIncident, strangeOfIncident } from './incident.ts'

const PARTS = ['timeline', 'events', 'signals'] as const
type Part = (typeof PARTS)[number]

/** Entries asked for at once, and characters each list may take of a result that shows all three. */
const MOST_ROWS = 50
const SHARE: Record<Part, number> = { timeline: 8_000, events: 11_000, signals: 6_000 }
const FOR_ONE_PART = MOST_CHARACTERS - 5_000

const STRANGE: Untrusted = {
  ...strangeOfIncident('incident.'),
  'timeline[].by': 100,
  'timeline[].text': 700,
  'events[].title': 300,
  'events[].description': 1_000,
  'events[].sourceSeverity': 60,
  'events[].signalKey': 200,
  'events[].url': 500,
  'events[].labels': 200,
  'events[].values': 200,
  'events[].thresholds': 200,
  'events[].stackTrace': 200,
  'signals[].title': 200,
  'signals[].source': 100,
  'signals[].monitor': 200,
  'signals[].key': 200,
}

const text = z.string().optional()

export const getIncident = defineTool({
  name: 'get_incident',
  config: {
    title: 'Get an incident',
    description:
      'Read one incident: timeline, signals, and the events that are its evidence with the rule that decided each. Get the incidentId from list_incidents.',
    scopes: ['incidents:read'],
    input: z.strictObject({
      incidentId,
      cursor: cursor
        .optional()
        .describe('nextTimeline, nextEvents or nextSignals of the result before: reads on in that list'),
      project,
    }),
    output: z.object({
      incident: incidentEntry,
      timeline: z.array(entry('entryId')).optional(),
      events: z.array(entry('eventId')).optional(),
      signals: z.array(entry('signalId')).optional(),
      nextTimeline: text,
      nextEvents: text,
      nextSignals: text,
      untrusted,
    }),
    annotations: {
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
  },

  async handler({ incidentId, cursor, project }, context) {
    const projectId = await findProject(context, project)
    return withIncident(context, projectId, incidentId, async () => {
      const { incident } = await context.tocsin.getIncident(projectId, incidentId)
      const at = cursor === undefined ? undefined : readPlace(cursor, incident.id)
      const parts = await Promise.all(
        PARTS.filter((part) => at === undefined || at.part === part).map((part) =>
          readPart(context, projectId, incident.id, part, at?.cursor),
        ),
      )
      const result = { incident: showIncident(incident), ...Object.assign({}, ...parts) }
      const headline = `${incident.reference} is ${incident.status}, severity ${incident.severity}. Timeline oldest first, events newest first.`
      return context.presenter.present(headline, result, STRANGE)
    })
  },
})

const NEXT: Record<Part, string> = { timeline: 'nextTimeline', events: 'nextEvents', signals: 'nextSignals' }

/** One of the lists from a place on, as far as it fits, with the place where it goes on. */
async function readPart(
  { tocsin, presenter }: ToolContext,
  projectId: string,
  incidentId: string,
  part: Part,
  cursor: string | undefined,
): Promise<Record<string, unknown>> {
  const read = async (limit: number): Promise<{ rows: object[]; nextCursor: string | null }> => {
    const page = { limit, ...(cursor !== undefined && { cursor }) }
    switch (part) {
      case 'timeline': {
        const { timeline, nextCursor } = await tocsin.listTimeline(projectId, incidentId, page)
        return { rows: timeline.map(showEntry), nextCursor }
      }
      case 'events': {
        const { events, nextCursor } = await tocsin.listIncidentEvents(projectId, incidentId, page)
        return { rows: events.map(showEvent), nextCursor }
      }
      case 'signals': {
        const { signals, nextCursor } = await tocsin.listIncidentSignals(projectId, incidentId, page)
        return { rows: signals.map(showSignal), nextCursor }
      }
    }
  }

  let page = await read(MOST_ROWS)
  const room = cursor === undefined ? SHARE[part] : FOR_ONE_PART
  const fitting = presenter.countFitting(page.rows, part, STRANGE, room)
  if (fitting < page.rows.length) page = await read(fitting)
  return {
    [part]: page.rows,
    [NEXT[part]]: page.nextCursor && bindCursor(JSON.stringify([part, page.nextCursor]), incidentId),
  }
}

function readPlace(text: string, incidentId: string): { part: Part; cursor: string } {
  const [part, cursor] = JSON.parse(readCursor(text, incidentId)) as [Part, string]
  if (!PARTS.includes(part)) throw new ToolError('invalid_cursor', 'cursor: not one of get_incident.')
  return { part, cursor }
}

function showEntry(entry: ApiTimelineEntry) {
  return {
    entryId: entry.id,
    at: entry.at,
    kind: entry.kind,
    by: entry.actor.name,
    text: entry.text,
    eventIds: entry.eventIds.slice(0, 10),
  }
}

function showEvent(event: ApiEvent) {
  return {
    eventId: event.id,
    kind: event.kind,
    outcome: event.outcome,
    receipt: event.receipt.map(({ rule, text }) => `${rule}: ${text}`),
    eventTime: event.eventTime,
    receivedAt: event.receivedAt,
    severity: event.severity,
    sourceSeverity: event.sourceSeverity,
    title: event.title,
    description: event.description,
    signalKey: event.signalKey,
    labels: someOf(event.labels, 20),
    values: someOf(event.evidence?.values, 20),
    thresholds: someOf(event.evidence?.thresholds, 20),
    stackTrace: event.evidence?.stackTrace?.slice(0, 8),
    url: event.url,
    requestId: event.requestId,
    duplicateCount: event.duplicateCount || null,
  }
}

function showSignal(signal: ApiSignal) {
  return {
    signalId: signal.id,
    key: signal.key,
    title: signal.title,
    status: signal.status,
    monitor: signal.monitor?.name,
    source: signal.source.name,
    adapter: signal.source.adapter,
    firedAt: signal.firedAt,
    recoveredAt: signal.recoveredAt,
  }
}

/** Undefined where there is nothing. */
function someOf<T>(members: Record<string, T> | undefined, most: number): Record<string, T> | undefined {
  const entries = Object.entries(members ?? {}).slice(0, most)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
