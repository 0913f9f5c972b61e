import type { AlertEvent } from '../types.ts'

/** An event with everything a sender left out set to absent. */
export function newEvent(fields: Pick<AlertEvent, 'kind' | 'title'> & Partial<AlertEvent>): AlertEvent {
  return {
    signalKey: null,
    episode: null,
    episodeStart: null,
    eventTime: null,
    sourceTime: null,
    timeFrom: null,
    eventId: null,
    externalId: null,
    description: null,
    severity: null,
    sourceSeverity: null,
    sourceStatus: null,
    url: null,
    monitor: null,
    services: [],
    customerImpact: false,
    labels: {},
    metadata: {},
    drill: false,
    evidence: null,
    ...fields,
  }
}
