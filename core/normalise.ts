import { hash } from 'node:crypto'
import type { KnownSource } from './directory.ts'
import { groupKey } from './matcher/group-key.ts'
import type { MatchEvent } from './matcher/state.ts'
import { senderGroupKey } from './store/sender-group.ts'
import type { AlertEvent, Monitor, ParsedRequest } from './types.ts'

/** How far ahead of us a sender's clock may be (N4). */
const AHEAD_MS = 5 * 60_000
const BACKFILLED_MS = 7 * 24 * 3_600_000
/** PostgreSQL refuses long index rows, so longer keys are kept as their hash (matching.md 1). */
const MOST_KEY_BYTES = 256
const NO_MONITOR: Monitor = { id: null, name: null, url: null }

/** Makes a source's events ready to be decided: settles times (N4), makes keys, applies defaults. Pure. */
export function normalise(
  parsed: ParsedRequest,
  source: KnownSource,
  request: {
    projectId: string
    requestId: string
    receivedAt: string
    content: () => string
    drill: boolean
  },
): MatchEvent[] {
  const isDrill = request.drill || source.settings.defaults.drill
  // A drill of a group is not what the group really said last (M6).
  const senderGroup =
    parsed.group && senderGroupKey(source.id, `${isDrill ? 'drill' : 'real'}/${parsed.group.key}`)
  const looseRecovery = source.adapter.slug === 'generic'
  let bodyHash: string | undefined
  return parsed.events.map((event) => {
    const drill = event.drill || isDrill
    const times = settleTimes(event, request.receivedAt)
    const signalKey = event.signalKey === null ? null : shorten(event.signalKey)
    const labels = { ...source.settings.defaults.labels, ...event.labels }
    const services = event.services.length > 0 ? event.services : source.settings.defaults.services
    const moment = event.timeFrom === 'body' ? event.sourceTime : (event.moment ?? event.firedAt ?? null)
    const tellsApart = event.eventId !== null || event.episode !== null || moment !== null
    const upsert = event.upsert === true
    const foundBy = looseRecovery
      ? event.title.toLowerCase()
      : upsert
        ? `monitor ${event.monitor?.id ?? ''}`
        : null
    if (!tellsApart) bodyHash ??= hash('sha256', request.content(), 'base64url')
    const { effective } = source
    return {
      projectId: request.projectId,
      sourceId: source.id,
      sourceName: source.name,
      requestId: request.requestId,
      kind: event.kind,
      test: event.test === true && !request.drill,
      signalId: signalKey === null ? null : signalId(source.id, signalKey, drill),
      signalKey,
      anonymous: event.anonymous === true,
      looseRecovery,
      upsert,
      bodyNotRead: event.bodyNotRead === true,
      titleHash: foundBy === null ? '' : hash('sha256', foundBy, 'base64url').slice(0, 22),
      episode: event.episode === null ? null : shorten(event.episode),
      episodeStart: event.episodeStart,
      reopen: event.reopen === true,
      ...times,
      receivedAt: request.receivedAt,
      moment,
      eventId: event.eventId,
      bodyHash: tellsApart ? '' : (bodyHash ?? ''),
      groupKey: shorten(
        groupKey(effective.grouping, effective.groupBy, {
          sourceId: source.id,
          signalKey,
          labels,
          services,
          drill,
        }),
      ),
      senderGroup,
      policy: source.policy,
      externalId: event.externalId,
      title: event.title,
      description: event.description,
      severity: event.severity ?? source.settings.defaults.severity ?? 'medium',
      sourceSeverity: event.sourceSeverity,
      sourceStatus: event.sourceStatus,
      sourceTime: event.sourceTime,
      url: event.url,
      monitor: event.monitor ?? NO_MONITOR,
      services,
      customerImpact: event.customerImpact,
      labels,
      metadata: event.metadata,
      drill,
      evidence: event.evidence,
    }
  })
}

/** The same signal always has the same id, so that it can be found without an index of its own. */
export function signalId(sourceId: string, signalKey: string, drill: boolean): string {
  return hash('sha256', `${sourceId}/${drill ? 'drill' : 'real'}/${signalKey}`, 'base64url').slice(0, 32)
}

/** N4: a usable past time is kept; zero, unparsable or far ahead becomes the arrival. */
function settleTimes(
  event: AlertEvent,
  receivedAt: string,
): Pick<MatchEvent, 'at' | 'firedAt' | 'timeInferred' | 'backfilled'> {
  const received = Date.parse(receivedAt)
  const usable = (time: string | null | undefined): time is string =>
    typeof time === 'string' && Date.parse(time) <= received + AHEAD_MS
  const timeInferred = !usable(event.eventTime)
  const at = usable(event.eventTime) ? event.eventTime : receivedAt
  return {
    at,
    firedAt: usable(event.firedAt) ? event.firedAt : at,
    timeInferred,
    backfilled: Date.parse(at) < received - BACKFILLED_MS,
  }
}

function shorten(key: string): string {
  return Buffer.byteLength(key) <= MOST_KEY_BYTES ? key : `sha256:${hash('sha256', key, 'base64url')}`
}
