import type { ApiIncident } from '@tocsin/core'
import { entry } from '../define-tool.ts'
import type { Untrusted } from '../present.ts'

/** An incident as results show it: times in ISO 8601 UTC, what is absent left out. */
export const incidentEntry = entry('incidentId', 'reference', 'status')

/** Members of it that senders wrote. */
export function strangeOfIncident(prefix: string): Untrusted {
  return {
    [`${prefix}title`]: 300,
    [`${prefix}services`]: 100,
    [`${prefix}sources`]: 100,
    [`${prefix}url`]: 500,
  }
}

export function showIncident(incident: ApiIncident) {
  return {
    incidentId: incident.id,
    reference: incident.reference,
    title: incident.title,
    status: incident.status,
    severity: incident.severity,
    services: incident.services.slice(0, 10),
    sources: [...new Set(incident.signals.map(({ source }) => source.name))].slice(0, 10),
    startedAt: incident.startedAt,
    openedAt: incident.openedAt,
    acknowledgedAt: incident.acknowledgedAt,
    resolvedAt: incident.resolvedAt,
    durationMs: incident.durationMs,
    signalCount: incident.signalCount,
    firingCount: incident.firingCount,
    eventCount: incident.eventCount,
    reopenCount: incident.reopenCount,
    // Only where true: most are neither.
    drill: incident.drill || null,
    customerImpact: incident.customerImpact || null,
    url: incident.url,
  }
}
