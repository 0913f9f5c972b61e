import { type Action, type Decision, incidentOf, joinOf, verdict } from './decision.ts'
import { firingCount } from './lifecycle.ts'
import {
  comesBefore,
  hasFired,
  isBeforeReopening,
  isFiring,
  isOrphan,
  latest,
  startOfOccurrence,
  stretchesOf,
} from './order.ts'
import type { Picture } from './picture.ts'
import type { MatchEvent, OccurrenceState, SignalState } from './state.ts'
import { later } from './time.ts'

/** A recovery (matching.md R, T1, T4, T8, H2). */
export function decideRecover(
  event: MatchEvent,
  signal: SignalState | undefined,
  picture: Picture,
): Decision {
  const occurrences = event.signalId === null ? [] : picture.occurrences(event.signalId)
  const decision =
    event.episode === null
      ? recoverOfCountedStretch(event, signal, occurrences, picture)
      : recoverOfNamedEpisode(event, event.episode, occurrences, picture)
  return event.policy.resolveScope === 'incident' ? wholeIncident(event, signal, picture, decision) : decision
}

function recoverOfNamedEpisode(
  event: MatchEvent,
  episode: string,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const stretches = stretchesOf(occurrences, episode)
  const own = stretches.findLast((o, i) => !isTooEarlyFor(event, o, stretches[i - 1]))
  if (!own) {
    const waits = occurrences.some((o) => isOrphan(o) && o.episode === episode)
    const isNew = event.signalId !== null && !waits
    return verdict('unmatched', ['R5'], isNew ? [{ do: 'keep-orphan', episode }] : [], 1)
  }
  if (own.recoveredAt === null) return close(event, own, picture, own.stretch)
  return recoverOfClosed(event, own, picture, own.stretch, own === stretches.at(-1) ? 'T8' : 'T4')
}

/** T1: a recovery closes the stretch it falls in, not one that began after it. */
function isTooEarlyFor(
  event: MatchEvent,
  stretch: OccurrenceState,
  before: OccurrenceState | undefined,
): boolean {
  if (isBeforeReopening(event, stretch)) return true
  const isTold = before?.closedBy === 'recover' && !before.recoveredTimeInferred && !event.timeInferred
  return isTold && event.at <= before.recoveredAt!
}

function recoverOfCountedStretch(
  event: MatchEvent,
  signal: SignalState | undefined,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const counter = signal?.counter ?? 0
  const fired = occurrences.filter(hasFired)
  const begun = fired.filter((o) => !comesBefore(event, o))
  const own = begun.find(isFiring) ?? latest(begun, startOfOccurrence)
  if (own && own.recoveredAt === null) return close(event, own, picture, counter)

  // With the literal rule there is nothing to search for: it resolves what is current, or nothing.
  const searches = event.looseRecovery && event.policy.resolveScope === 'signal'
  if (searches && (event.anonymous || signal === undefined)) return looseRecover(event, own, counter, picture)
  const isOlder = fired.some(isFiring)
  if (own && own.closedBy !== 'recover') {
    return recoverOfClosed(event, own, picture, counter, isOlder ? 'T4' : 'T8')
  }

  const paired =
    event.upsert && event.policy.resolveScope === 'signal'
      ? alertOfMonitor(event, signal, picture)
      : undefined
  if (paired) return close(event, paired, picture, counter, ['R4', 'R1'])
  return waiting(event, isOlder ? ['T4', 'R5'] : ['R5'], counter)
}

/** R4: the latest alert of the same monitor; without one, the only alert there is, if it names no monitor either. */
function alertOfMonitor(
  event: MatchEvent,
  signal: SignalState | undefined,
  picture: Picture,
): OccurrenceState | undefined {
  const firing = firingOfSource(event, picture)
  const { id } = event.monitor
  if (id !== null) {
    const ofMonitor = firing.filter((o) => o.monitorId === id && !comesBefore(event, o))
    return latest(ofMonitor, startOfOccurrence)
  }
  const [only, ...others] = firing
  return signal === undefined && others.length === 0 && only?.monitorId === null ? only : undefined
}

/**
 * D3: a recovery said to be of the moment its own alert began (Grafana's template sends the start for both) ends when
 * it arrives, else the outage would have lasted no time.
 */
export function settleRecovery(event: MatchEvent, picture: Picture): MatchEvent {
  if (!event.upsert || event.kind !== 'recover' || event.signalId === null) return event
  const isStart = picture.occurrences(event.signalId).some((o) => o.firedAt === event.at)
  return isStart ? { ...event, at: event.receivedAt, firedAt: event.receivedAt, timeInferred: true } : event
}

/** Unmatched, and kept for a fire that may still come, where times can tell whose it was (R5). */
function waiting(event: MatchEvent, path: string[], counter: number): Decision {
  const canWait = event.signalId !== null && !event.timeInferred
  const actions: Action[] = canWait ? [{ do: 'keep-orphan', episode: `orphan:${event.at}` }] : []
  return verdict('unmatched', path, actions, counter)
}

/** A recovery for an occurrence that is closed already: the sender's own word replaces an inference (T8), else H2. */
function recoverOfClosed(
  event: MatchEvent,
  occurrence: OccurrenceState,
  picture: Picture,
  stretch: number,
  rule: 'T4' | 'T8',
): Decision {
  const join = joinOf(occurrence, picture)
  if (occurrence.closedBy === 'manual') {
    return verdict('recovered', ['H2'], [{ do: 'note-sender-recovery', occurrence }, ...join], stretch)
  }
  if (occurrence.closedBy === 'recover') return verdict('recovered', ['T4'], join, stretch)
  return verdict(
    'recovered',
    [rule],
    [
      {
        do: 'amend-recovery',
        occurrence,
        at: later(event.at, occurrence.firedAt!),
        timeInferred: event.timeInferred,
        by: 'recover',
      },
      ...join,
    ],
    stretch,
  )
}

/** R3: a generic recovery without id, or with one nobody has seen. */
function looseRecover(
  event: MatchEvent,
  own: OccurrenceState | undefined,
  stretch: number,
  picture: Picture,
): Decision {
  const ofSource = firingOfSource(event, picture)
  if (!event.anonymous) {
    const only = ofSource.length === 1 ? ofSource[0] : undefined
    return only?.anonymous
      ? close(event, only, picture, stretch, ['R3', 'R1'])
      : waiting(event, ['R3'], stretch)
  }

  const named = ofSource.filter((o) => o.titleHash === event.titleHash)
  if (named.length === 1) return close(event, named[0]!, picture, stretch, ['R3', 'R1'])
  if (own && own.closedBy !== 'recover') return recoverOfClosed(event, own, picture, stretch, 'T8')

  const [only, ...others] = [...picture.currentOf(event.projectId)].filter((i) => i.drill === event.drill)
  if (!only || others.length > 0 || firingCount(only) === 0) {
    return verdict('unmatched', ['R3'], [], stretch)
  }
  return verdict('recovered', ['R3'], [{ do: 'close-incident', incident: only }], stretch)
}

function firingOfSource(event: MatchEvent, picture: Picture): OccurrenceState[] {
  return [...picture.firing()].filter(
    (o) => o.sourceId === event.sourceId && incidentOf(o, picture).drill === event.drill,
  )
}

/**
 * `resolveScope: incident`: any recovery also resolves the current incident whole (the seed's literal rule). Where there
 * is none to resolve, it is decided like any other.
 */
function wholeIncident(
  event: MatchEvent,
  signal: SignalState | undefined,
  picture: Picture,
  decision: Decision,
): Decision {
  const ownIncident = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
  const incident =
    ownIncident && ownIncident.status !== 'resolved'
      ? ownIncident
      : picture.current(event.projectId, event.groupKey)
  if (!incident || firingCount(incident) === 0) return decision

  const own =
    decision.outcome === 'recovered' ? decision.actions.filter((action) => action.do !== 'join') : []
  return verdict(
    'recovered',
    [...decision.receipt, 'R3'],
    [...own, { do: 'close-incident', incident }],
    decision.stretch,
  )
}

function close(
  event: MatchEvent,
  occurrence: OccurrenceState,
  picture: Picture,
  stretch: number,
  path: string[] = ['R1'],
): Decision {
  return verdict(
    'recovered',
    path,
    [
      {
        do: 'close',
        occurrence,
        at: later(event.at, occurrence.firedAt!),
        timeInferred: event.timeInferred,
        by: 'recover',
      },
      ...joinOf(occurrence, picture),
    ],
    stretch,
  )
}
