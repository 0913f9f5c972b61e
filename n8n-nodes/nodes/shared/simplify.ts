import type { IDataObject } from 'n8n-workflow'

const FIELDS = [
  'id',
  'reference',
  'title',
  'status',
  'severity',
  'services',
  'openedAt',
  'acknowledgedAt',
  'resolvedAt',
  'durationMs',
]

/** The ten fields of an incident that people ask for first. */
export function simplifyIncident(incident: IDataObject): IDataObject {
  return Object.fromEntries(FIELDS.map((field) => [field, incident[field]]))
}

/** A message with its incident simplified; any other kind of message as it is. */
export function simplifyMessage(message: IDataObject): IDataObject {
  const { webhookId, type, timestamp, data } = message
  const { incident, monitor } = data as { incident?: IDataObject; monitor?: IDataObject }
  if (!incident) return message
  return { webhookId, type, timestamp, monitor: monitor?.name ?? null, ...simplifyIncident(incident) }
}
