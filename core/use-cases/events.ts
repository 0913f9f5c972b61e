import type { Selectable } from 'kysely'
import type { ApiEvent, ApiEventKind, ApiOutcome, ApiSeverity } from '../api-types.ts'
import { RULES } from '../matcher/rules.ts'
import { eventData } from '../store/event.ts'
import type { EventTable } from '../store/schema.ts'

/** An event as the API shows it, with the rule path that decided it. */
export function eventToApi(row: Selectable<EventTable>): ApiEvent {
  const data = eventData(row)
  const receipt = row.receipt.split(',')
  return {
    id: row.id,
    externalId: row.external_id,
    kind: row.kind as ApiEventKind,
    outcome: row.outcome as ApiOutcome,
    rule: receipt.at(-1)!,
    receipt: receipt.map((rule) => ({ rule, text: RULES[rule] ?? '' })),
    title: row.title,
    description: row.description,
    severity: row.severity as ApiSeverity,
    sourceSeverity: row.source_severity,
    sourceStatus: row.source_status,
    eventTime: row.event_time,
    sourceTime: row.source_time,
    flags: data.flags ?? [],
    receivedAt: row.received_at,
    signalKey: data.signalKey ?? null,
    sourceId: row.source_id,
    requestId: row.request_id,
    incidentId: row.incident_id,
    url: row.url,
    labels: data.labels ?? {},
    evidence: data.evidence ?? null,
    duplicateCount: row.duplicate_count,
    lastSeenAt: row.last_seen_at || row.received_at,
  }
}
