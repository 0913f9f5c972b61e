import {
  type Action,
  type Decision,
  incidentOf,
  joinOf,
  type Place,
  type Start,
  verdict,
} from './decision.ts'
import {
  comesBefore,
  earliest,
  hasFired,
  isBeforeReopening,
  isClosed,
  isFiring,
  isLateFor,
  isOrphan,
  latest,
  startOf,
  startOfOccurrence,
  stretchesOf,
} from './order.ts'
import type { Picture } from './picture.ts'
import { placeOf } from './place.ts'
import type { MatchEvent, OccurrenceState, SignalState } from './state.ts'
import { later, ms } from './time.ts'

/** How long after a recovery arrived an old firing notification is still taken for a straggler (T2). */
const STRAGGLER_MS = 15 * 60_000

/** A fire, or a refresh, which is one for a signal that is not firing (matching.md T, M, H2, R5). */
export function decideFire(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  if (event.signalId === null) return verdict('info', ['N2'])

  const occurrences = picture.occurrences(event.signalId)
  return event.episode === null
    ? fireOfCountedStretch(event, signal, occurrences, picture)
    : fireOfNamedEpisode(event, event.episode, signal, occurrences, picture)
}

// ---- the sender names its episodes (Alertmanager, Grafana, Better Stack …) ----

function fireOfNamedEpisode(
  event: MatchEvent,
  episode: string,
  signal: SignalState | undefined,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const fired = occurrences.filter(hasFired)
  const firing = fired.find(isFiring)
  const stretches = stretchesOf(occurrences, episode)
  const own = stretches.findLast((o) => !isBeforeReopening(event, o)) ?? stretches[0]
  if (own !== stretches.at(-1)) return verdict('stale', ['T2'], joinOf(own!, picture), own!.stretch)
  if (own && own.recoveredAt === null) return fireOfFiringEpisode(event, episode, own, fired, signal, picture)
  if (own) return fireOfClosedEpisode(event, episode, own, fired, signal, picture)

  const newer = fired.filter((o) => comesBefore(event, o))
  const implied =
    newer.length > 0
      ? shortenInferred(fired, event.firedAt)
      : closeAt(firing, event.firedAt, event.timeInferred)

  const orphan = occurrences.find((o) => isOrphan(o) && o.episode === episode)
  if (orphan) {
    return lateOfOrphan(
      event,
      { episode, stretch: 1, isNewest: newer.length === 0 },
      orphan,
      signal,
      picture,
      implied,
    )
  }

  const next = earliest(newer, startOfOccurrence)
  if (next) {
    return verdict(
      'late',
      ['T7'],
      [
        ...implied,
        {
          do: 'insert-closed',
          place: { in: 'attached', incident: incidentOf(next, picture) },
          episode,
          stretch: 1,
          ...startAt(event),
          recoveredAt: later(next.firedAt!, event.firedAt),
          recoveredTimeInferred: next.firedTimeInferred,
          closedBy: 'episode',
          orphan: null,
          isNewest: false,
        },
      ],
      1,
    )
  }
  return openStretch(event, { episode, stretch: 1 }, signal, picture, implied, firing ? 'T5' : 'T1')
}

/** T6; but an explicit, later reopening says that the stretch we know of had ended (T1, T5). */
function fireOfFiringEpisode(
  event: MatchEvent,
  episode: string,
  own: OccurrenceState,
  fired: readonly OccurrenceState[],
  signal: SignalState | undefined,
  picture: Picture,
): Decision {
  if (event.reopen && !event.timeInferred && event.at > startOfOccurrence(own)) {
    const next = { episode, stretch: own.stretch + 1, start: { firedAt: event.at, orderAt: null } }
    return openStretch(event, next, signal, picture, closeAt(own, event.at, false), 'T5')
  }

  // An episode starts with its first event, whichever arrives first.
  const isFirst = own.stretch === 1 && !own.explicitReopen && !event.timeInferred && comesBefore(event, own)
  const start = isFirst ? startAt(event) : null
  const implied = start ? shortenInferred(fired, start.firedAt) : []
  return verdict('refreshed', ['T6'], [...implied, { do: 'refresh', occurrence: own, start }], own.stretch)
}

/** The same episode fires again after it had ended (T2, H2). */
function fireOfClosedEpisode(
  event: MatchEvent,
  episode: string,
  own: OccurrenceState,
  fired: readonly OccurrenceState[],
  signal: SignalState | undefined,
  picture: Picture,
): Decision {
  const isManual = own.closedBy === 'manual' && own.senderRecoveredAt === null
  if (isManual && !(event.reopen && event.at > own.recoveredAt!)) {
    return verdict('refreshed', ['H2'], joinOf(own, picture), own.stretch)
  }

  const recoveredAt = own.senderRecoveredAt ?? own.recoveredAt!
  const stretch = own.stretch + 1
  const isLater = event.at > recoveredAt
  const firedAt = isLater ? event.at : event.receivedAt
  if (!event.reopen) {
    // Senders' peers disagree on when it began: newer episodes speak for the signal, too.
    const newer = fired.filter((o) => o.episode !== episode && comesBefore(event, o))
    const spoken = own.closedBy === 'group' ? newer : [own, ...newer]
    const last = latest(spoken, heardOf)
    const isSoon = last !== undefined && ms(event.receivedAt) - ms(heardOf(last)) <= STRAGGLER_MS
    if (newer.some(isFiring) || (isSoon && !isLater)) {
      return verdict('stale', ['T2'], joinOf(own, picture), own.stretch)
    }

    if (own.closedBy === 'group') {
      const { place, receipt, actions } = placeOf(event, firedAt, signal, picture)
      if (place.in !== 'new' && place.incident.id === own.incidentId) {
        return verdict(
          place.in,
          ['T2', ...receipt],
          [...actions, { do: 'withdraw-recovery', occurrence: own, stretch, place }],
          stretch,
        )
      }
    }
  }

  const timeInferred = isLater ? event.timeInferred : true
  const implied = closeAt(fired.find(isFiring), firedAt, timeInferred)
  const orderAt = event.reopen && !event.timeInferred && !isLater ? event.at : null
  const next = { episode, stretch, start: { firedAt, orderAt }, timeInferred }
  return openStretch(event, next, signal, picture, implied, 'T2')
}

/** When the end of an occurrence was told to us. */
function heardOf(closed: OccurrenceState): string {
  return closed.recoveredReceivedAt ?? closed.recoveredAt ?? ''
}

// ---- we count the stretches (Sentry issues, Uptime Kuma, generic …) ----

function fireOfCountedStretch(
  event: MatchEvent,
  signal: SignalState | undefined,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const counter = signal?.counter ?? 0
  const fired = occurrences.filter(hasFired)
  const firing = fired.find(isFiring)
  if (firing && !comesBefore(event, firing)) {
    return verdict('refreshed', ['T6'], [{ do: 'refresh', occurrence: firing, start: null }], counter)
  }

  const orphan = orphanOf(event, occurrences)
  if (orphan) {
    const isNewest = !fired.some((o) => comesBefore(event, o))
    const own = isNewest
      ? { episode: String(counter + 1), stretch: counter + 1, isNewest }
      : { episode: `late:${event.at}`, stretch: 0, isNewest }
    const decision = lateOfOrphan(event, own, orphan, signal, picture, [])
    return { ...decision, stretch: isNewest ? counter + 1 : counter }
  }

  const closed = fired.filter(isClosed)
  // A person's resolve is no recovery.
  const lastRecovery = latest(
    closed.filter((o) => o.closedBy !== 'manual'),
    (o) => o.recoveredAt!,
  )
  if (lastRecovery && isLateFor(event, lastRecovery)) {
    return lateCounted(event, counter, closed, lastRecovery, picture)
  }

  const last = latest(closed, (o) => o.recoveredAt!)
  if (firing) {
    const isFirst = !event.timeInferred && (last === undefined || event.at > last.recoveredAt!)
    const start = isFirst ? startAt(event) : null
    return verdict('refreshed', ['T6'], [{ do: 'refresh', occurrence: firing, start }], counter)
  }
  if (last?.closedBy === 'manual' && last.senderRecoveredAt === null) {
    const isQuiet = ms(event.receivedAt) - ms(last.recoveredReceivedAt!) < event.policy.manualQuietMs
    if (isQuiet) return verdict('refreshed', ['H2'], joinOf(last, picture), counter)
  }
  const stretch = counter + 1
  return openStretch(event, { episode: String(stretch), stretch }, signal, picture, [], 'T1')
}

/** R5: the recovery that waits for this fire is the signal's next one after it. */
function orphanOf(event: MatchEvent, occurrences: readonly OccurrenceState[]): OccurrenceState | undefined {
  if (event.timeInferred) return undefined

  const after = occurrences.filter(
    (o) => o.recoveredAt !== null && !o.recoveredTimeInferred && o.recoveredAt >= event.at,
  )
  const used = after.filter((o) => o.closedBy === 'recover')
  const next = earliest([...used, ...after.filter(isOrphan)], (o) => o.recoveredAt!)
  return next && isOrphan(next) ? next : undefined
}

/** T3: older than a recovery that closed an occurrence. Falls into the stretch it lies in, else gets one of its own. */
function lateCounted(
  event: MatchEvent,
  counter: number,
  closed: readonly OccurrenceState[],
  lastRecovery: OccurrenceState,
  picture: Picture,
): Decision {
  const within = closed.find((o) => startOfOccurrence(o) <= event.at && event.at <= o.recoveredAt!)
  if (within) return verdict('late', ['T3'], joinOf(within, picture), counter)

  const after = closed.filter((o) => o.closedBy !== 'manual' && o.recoveredAt! >= event.at)
  const next = earliest(after, (o) => o.recoveredAt!) ?? lastRecovery
  const isRecovery = next.closedBy === 'recover'
  return verdict(
    'late',
    ['T3'],
    [
      {
        do: 'insert-closed',
        place: { in: 'attached', incident: incidentOf(next, picture) },
        episode: `late:${event.at}`,
        stretch: 0,
        ...startAt(event),
        recoveredAt: later(isRecovery ? next.recoveredAt! : next.firedAt!, event.firedAt),
        recoveredTimeInferred: isRecovery ? next.recoveredTimeInferred : next.firedTimeInferred,
        closedBy: isRecovery ? 'recover' : 'episode',
        orphan: null,
        isNewest: false,
      },
    ],
    counter,
  )
}

// ---- both ----

/** R5: its recovery came first and has waited. */
function lateOfOrphan(
  event: MatchEvent,
  own: { episode: string; stretch: number; isNewest: boolean },
  orphan: OccurrenceState,
  signal: SignalState | undefined,
  picture: Picture,
  implied: Action[],
): Decision {
  const placed = placeOf(event, event.at, signal, picture)
  // An ended outage reopens nothing: it joins what is open, or is an incident of its own that has ended already.
  const place: Place = placed.place.in === 'attached' ? placed.place : { in: 'new' }
  return verdict(
    'late',
    [...(placed.place.in === 'attached' ? placed.receipt : []), 'R5'],
    [
      ...implied,
      ...placed.actions,
      {
        do: 'insert-closed',
        place,
        ...own,
        ...startAt(event),
        recoveredAt: later(orphan.recoveredAt!, event.firedAt),
        recoveredTimeInferred: orphan.recoveredTimeInferred,
        closedBy: 'recover',
        orphan,
      },
    ],
    own.stretch,
  )
}

function openStretch(
  event: MatchEvent,
  own: { episode: string; stretch: number; start?: Start; timeInferred?: boolean },
  signal: SignalState | undefined,
  picture: Picture,
  implied: Action[],
  rule: string,
): Decision {
  const { episode, stretch, start = startAt(event), timeInferred = event.timeInferred } = own
  const { place, receipt, actions } = placeOf(event, own.start?.firedAt ?? event.at, signal, picture)
  return verdict(
    place.in === 'new' ? 'opened' : place.in,
    [rule, ...receipt],
    [
      ...implied,
      ...actions,
      {
        do: 'fire',
        place,
        episode,
        stretch,
        ...start,
        timeInferred,
        explicitReopen: event.reopen && !event.timeInferred,
      },
    ],
    stretch,
  )
}

function startAt(event: MatchEvent): Start {
  const start = startOf(event)
  return { firedAt: event.firedAt, orderAt: event.timeInferred || start === event.firedAt ? null : start }
}

/** T5: what fires ends where the next stretch of its signal begins. */
function closeAt(firing: OccurrenceState | undefined, start: string, timeInferred: boolean): Action[] {
  if (!firing) return []
  return [{ do: 'close', occurrence: firing, at: later(start, firing.firedAt!), timeInferred, by: 'episode' }]
}

/** An ending inferred from a later episode moves to the earlier one that has now come to light (T5, T7). */
function shortenInferred(fired: readonly OccurrenceState[], start: string): Action[] {
  return fired
    .filter((o) => o.closedBy === 'episode' && o.firedAt! < start && o.recoveredAt! > start)
    .map((occurrence) => ({
      do: 'amend-recovery',
      occurrence,
      at: start,
      timeInferred: false,
      by: 'episode',
    }))
}
