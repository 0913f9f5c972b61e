import type { ApiIncident } from '../api-types.ts'

/** Bodies of outgoing messages (design.md 8). */

/** Standard Webhooks asks for less than 20 KB; a note on a gap may come later. */
const MOST_BYTES = 20_000 - ',"gap":true'.length
const SCHEMA_VERSION = 1

export interface Region {
  name: string
  status: string | null
  checkedAt: string | null
  message: string | null
}

export interface IncidentMessage {
  type: string
  timestamp: string
  sequence: number
  incident: ApiIncident
  project: { id: string; name: string }
  monitor: { id: string | null; name: string | null; url: string | null }
  regions: Region[]
  reopened: boolean
}

export function incidentBody(message: IncidentMessage): string {
  const text = ({
    type,
    timestamp,
    sequence,
    incident,
    project,
    monitor,
    regions,
    reopened,
  }: IncidentMessage) => bodyOf(type, timestamp, { sequence, incident, project, monitor, regions, reopened })

  let shortened = message
  let body = text(shortened)
  for (const shorten of SHORTER) {
    if (Buffer.byteLength(body) < MOST_BYTES) break
    shortened = { ...shortened, ...shorten(shortened) }
    body = text(shortened)
  }
  return body
}

/** What can be spared most comes first; all of it is at the API under the incident's id. After the last, any fits. */
const SHORTER: ((message: IncidentMessage) => Partial<IncidentMessage>)[] = [
  ({ incident }) => ({ incident: { ...incident, metadata: {} } }),
  ({ incident }) => ({ incident: { ...incident, signals: incident.signals.slice(0, 5) } }),
  ({ incident }) => ({ incident: { ...incident, labels: {} } }),
  ({ incident }) => ({
    incident: { ...incident, signals: [], services: incident.services.slice(0, 20) },
  }),
  () => ({ regions: [] }),
  // One character is six bytes at most.
  ({ incident, monitor }) => ({
    incident: { ...incident, services: incident.services.slice(0, 10).map(cut), url: null },
    monitor: { id: monitor.id, name: monitor.name && cut(monitor.name), url: null },
  }),
]

function cut(text: string): string {
  return text.slice(0, 100).toWellFormed()
}

/** Told to the other endpoints of a project, as the one it is about cannot hear it. */
export function disabledBody(
  timestamp: string,
  endpoint: { id: string; url: string; description: string | null; reason: string },
  project: { id: string; name: string },
): string {
  return bodyOf('endpoint.disabled', timestamp, { endpoint, project })
}

export function testBody(
  timestamp: string,
  endpoint: { id: string; url: string },
  project: { id: string; name: string },
): string {
  return bodyOf('test', timestamp, { endpoint, project, text: 'A test by Tocsin: nothing is wrong.' })
}

/** The same body, telling that the message before it never arrived. */
export function withGap(body: string): string {
  const parsed = JSON.parse(body) as { data: object }
  return JSON.stringify({ ...parsed, data: { ...parsed.data, gap: true } })
}

function bodyOf(type: string, timestamp: string, data: object): string {
  return JSON.stringify({ type, timestamp, data: { schemaVersion: SCHEMA_VERSION, ...data } })
}

/** Regions as a sender reported them, in the metadata of its event. */
export function readRegions(value: unknown): Region[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, 20).flatMap((region: unknown) => {
    if (typeof region !== 'object' || region === null) return []
    const field = (name: string) => {
      const found: unknown = (region as Record<string, unknown>)[name]
      return typeof found === 'string' ? found.slice(0, 500) : null
    }
    const name = field('name') ?? field('region')
    return name === null
      ? []
      : [{ name, status: field('status'), checkedAt: field('checkedAt'), message: field('message') }]
  })
}
