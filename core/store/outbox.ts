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
 * hears of the end, and who waited for a severity hears of the opening once it has come to that.
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

/**
 * One message per transition for every endpoint that asked for it, in the order of the transitions. `silent`: lanes
 * in which nothing was sent yet, of incidents that may have come to match just now.
 */
export function messagesFor<T extends Transition>(
  transitions: readonly T[],
  endpoints: readonly OutboxEndpoint[],
  silent: ReadonlySet<string> = new Set(),
): PlannedMessage<T>[] {
  const told = new Set<string>()
  return transitions.flatMap((transition) =>
    endpoints.flatMap((endpoint) => {
      const { filters } = endpoint
      const { kind } = transition
      if (endpoint.projectId !== transition.projectId || !wants(filters, transition)) return []
      const lane = laneKey(endpoint.id, transition.incidentId)
      const isFirst = kind === 'updated' && matchesLater(filters) && silent.has(lane) && !told.has(lane)
      const type = typeFor(isFirst ? 'opened' : kind, filters.events)
      if (!type) return []
      told.add(lane)
      return [{ endpoint, transition, type, reopened: kind === 'reopened' }]
    }),
  )
}

/** Of the messages of an endpoint about one incident. */
export function laneKey(endpointId: string, incidentId: string): string {
  return `${endpointId}/${incidentId}`
}

/** Whether an endpoint may be told of such a change. */
export function listensTo(kind: TransitionKind, filters: EndpointFilters): boolean {
  return typeFor(kind, filters.events) !== undefined || (kind === 'updated' && matchesLater(filters))
}

/** Whether an incident may come to match after its opening. */
export function matchesLater({ events, severities, services, labels, sources }: EndpointFilters): boolean {
  const isNarrow =
    severities.length > 0 || services.length > 0 || sources.length > 0 || Object.keys(labels).length > 0
  return isNarrow && events.includes('incident.opened')
}

/** Who did not ask for reopenings is told of one as an opening (matching.md O3). */
function typeFor(kind: TransitionKind, events: readonly MessageType[]): MessageType | undefined {
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
