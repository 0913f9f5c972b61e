import type { Severity } from '../types.ts'

/** Which transition becomes a message for which endpoint. Pure. */

export const MESSAGE_TYPES = [
  'incident.opened',
  'incident.acknowledged',
  'incident.resolved',
  'incident.reopened',
  'incident.updated',
  'endpoint.disabled',
  'test',
] as const
export type MessageType = (typeof MESSAGE_TYPES)[number]

/** What an endpoint gets that says nothing about events; the others are opt-in. */
export const DEFAULT_EVENTS: readonly MessageType[] = [
  'incident.opened',
  'incident.acknowledged',
  'incident.resolved',
]

/** What an endpoint asked for. Empty lists take everything. */
export interface EndpointFilters {
  events: MessageType[]
  severities: Severity[]
  services: string[]
  /** All of them have to be there. */
  labels: Record<string, string>
  /** Ids of sources. */
  sources: string[]
  /** Whether drills are sent too. */
  drills: boolean
}

export const NO_FILTERS: EndpointFilters = {
  events: [...DEFAULT_EVENTS],
  severities: [],
  services: [],
  labels: {},
  sources: [],
  drills: false,
}

export interface OutboxEndpoint {
  id: string
  projectId: string
  policy: string
  filters: EndpointFilters
}

export type TransitionKind = 'opened' | 'acknowledged' | 'resolved' | 'reopened' | 'updated'

/**
 * One change of an incident. What filters look at only ever grows over its life, so that who heard of the opening
 * hears of the end.
 */
export interface Transition {
  projectId: string
  incidentId: string
  kind: TransitionKind
  sequence: number
  maxSeverity: Severity
  services: readonly string[]
  labels: Readonly<Record<string, { values: readonly string[] }>>
  drill: boolean
  sources: readonly string[]
}

export interface PlannedMessage<T extends Transition = Transition> {
  endpoint: OutboxEndpoint
  transition: T
  type: MessageType
  reopened: boolean
}

/** One message per transition for every endpoint that asked for it, in the order of the transitions. */
export function messagesFor<T extends Transition>(
  transitions: readonly T[],
  endpoints: readonly OutboxEndpoint[],
): PlannedMessage<T>[] {
  return transitions.flatMap((transition) =>
    endpoints.flatMap((endpoint) => {
      const type = typeFor(transition.kind, endpoint.filters.events)
      if (!type || endpoint.projectId !== transition.projectId) return []
      if (!wants(endpoint.filters, transition)) return []
      return [{ endpoint, transition, type, reopened: transition.kind === 'reopened' }]
    }),
  )
}

/** Who did not ask for reopenings is told of one as an opening (matching.md O3). */
export function typeFor(kind: TransitionKind, events: readonly MessageType[]): MessageType | undefined {
  const type: MessageType = `incident.${kind}`
  if (events.includes(type)) return type
  return kind === 'reopened' && events.includes('incident.opened') ? 'incident.opened' : undefined
}

function wants(filters: EndpointFilters, transition: Transition): boolean {
  const { severities, services, labels, sources, drills } = filters
  if (transition.drill && !drills) return false
  if (severities.length > 0 && !severities.includes(transition.maxSeverity)) return false
  if (services.length > 0 && !services.some((service) => transition.services.includes(service))) return false
  if (sources.length > 0 && !sources.some((source) => transition.sources.includes(source))) return false
  return Object.entries(labels).every(
    ([name, value]) =>
      Object.hasOwn(transition.labels, name) && transition.labels[name]!.values.includes(value),
  )
}

export function readFilters(stored: string): EndpointFilters {
  return { ...NO_FILTERS, ...(JSON.parse(stored) as Partial<EndpointFilters>) }
}
