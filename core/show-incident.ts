import type { ApiIncident, ApiSignal } from './api-types.ts'
import { shownLabels } from './matcher/labels.ts'
import { firingCount } from './matcher/lifecycle.ts'
import type { IncidentState } from './matcher/state.ts'
import { reference } from './reference.ts'

/** An incident as the API and outgoing messages show it. */

/** The newest occurrence of one signal in an incident. */
export interface LatestOccurrence {
  incident_id: string
  signal_id: string
  key: string
  title: string
  monitor_id: string | null
  monitor_name: string | null
  monitor_url: string | null
  source_id: string
  adapter: string
  source_name: string
  fired_at: string
  recovered_at: string | null
  closed_by: string | null
}

export function incidentToApi(
  incident: IncidentState,
  occurrences: readonly LatestOccurrence[],
): ApiIncident {
  return {
    id: incident.id,
    reference: reference(incident.number),
    projectId: incident.projectId,
    title: incident.title,
    status: incident.status,
    severity: incident.severity,
    sourceSeverity: incident.sourceSeverity,
    startedAt: incident.startedAt,
    detectedAt: incident.detectedAt,
    openedAt: incident.openedAt,
    acknowledgedAt: incident.acknowledgedAt,
    resolvedAt: incident.resolvedAt,
    durationMs: incident.status === 'resolved' ? incident.durationMs : null,
    services: [...incident.services],
    customerImpact: incident.customerImpact,
    drill: incident.drill,
    labels: shownLabels(incident.labels),
    metadata: { ...incident.metadata },
    url: incident.url,
    consoleUrl: null,
    signals: occurrences.filter((row) => row.incident_id === incident.id).map(signalToApi),
    signalCount: incident.signalCount,
    firingCount: firingCount(incident),
    eventCount: incident.eventCount,
    reopenCount: incident.reopenCount,
    updatedAt: incident.updatedAt,
  }
}

export function signalToApi(row: LatestOccurrence): ApiSignal {
  return {
    id: row.signal_id,
    key: row.key,
    title: row.title,
    status: row.recovered_at === null ? 'firing' : row.closed_by === 'manual' ? 'manual' : 'recovered',
    monitor: { id: row.monitor_id, name: row.monitor_name, url: row.monitor_url },
    source: { id: row.source_id, adapter: row.adapter, name: row.source_name },
    firedAt: row.fired_at,
    recoveredAt: row.recovered_at,
    durationMs: row.recovered_at === null ? null : durationMs(row.fired_at, row.recovered_at),
  }
}

/** A recovery by another clock may lie before the start it ends. */
function durationMs(firedAt: string, recoveredAt: string): number {
  return Math.max(0, Date.parse(recoveredAt) - Date.parse(firedAt))
}
