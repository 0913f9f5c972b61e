import type { ApiIncident } from '@tocsin/core'
import { z } from 'zod'
import type { Untrusted } from '../present.ts'

const text = z.string().optional()
const count = z.number()

/** An incident as results show it: times in ISO 8601 UTC, what is absent left out. */
export const incidentFields = {
  incidentId: z.string(),
  reference: z.string(),
  title: z.string(),
  status: z.string(),
  severity: z.string(),
  services: z.array(z.string()).optional(),
  sources: z.array(z.string()).optional(),
  startedAt: z.string(),
  openedAt: z.string(),
  acknowledgedAt: text,
  resolvedAt: text,
  durationMs: count.optional(),
  signalCount: count,
  firingCount: count,
  eventCount: count,
  reopenCount: count,
  drill: z.boolean().optional(),
  customerImpact: z.boolean().optional(),
  url: text,
}

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
