import type { Outcome } from '../types.ts'
import { countsStretches, eventKey } from './event-key.ts'
import type { Picture } from './picture.ts'
import type { ClosedBy, IncidentState, MatchEvent, OccurrenceState, SignalState } from './state.ts'
import { later, ms } from './time.ts'

/** How long after a recovery arrived an old firing notification is still taken for a straggler (T2). */
const STRAGGLER_MS = 15 * 60_000
/** How close two byte-identical bodies without id and time must be to be one (D5). */
const SAME_BODY_MS = 10_000

/** Where a firing stretch belongs (matching.md M, O). */
export type Place =
  | { in: 'new' }
  | { in: 'attached'; incident: IncidentState }
  | { in: 'reopened'; incident: IncidentState }

/** What a decision changes, in order. `lifecycle.ts` carries it out. */
export type Action =
  | {
      do: 'fire'
      place: Place
      episode: string
      stretch: number
      firedAt: string
      orderAt: string | null
      timeInferred: boolean
      explicitReopen: boolean
    }
  | {
      do: 'insert-closed'
      place: Place
      episode: string
      stretch: number
      firedAt: string
      orderAt: string | null
      recoveredAt: string
      recoveredTimeInferred: boolean
      closedBy: ClosedBy
      /** The waiting recovery that becomes this occurrence (R5). */
      orphan: OccurrenceState | null
    }
  | { do: 'refresh'; occurrence: OccurrenceState; firedAt: string | null }
  | { do: 'close'; occurrence: OccurrenceState; at: string; timeInferred: boolean; by: ClosedBy }
  | { do: 'amend-recovery'; occurrence: OccurrenceState; at: string; timeInferred: boolean; by: ClosedBy }
  | { do: 'withdraw-recovery'; occurrence: OccurrenceState; stretch: number; place: Place }
  | { do: 'note-sender-recovery'; occurrence: OccurrenceState }
  | { do: 'keep-orphan'; episode: string }
  | { do: 'acknowledge'; incident: IncidentState }
  | { do: 'close-incident'; incident: IncidentState; own: OccurrenceState | null }
  | { do: 'stop-accepting'; incident: IncidentState }
  | { do: 'join'; incident: IncidentState }

export interface Decision {
  outcome: Outcome
  /** The rule path; the last one decided. */
  receipt: string[]
  actions: Action[]
  /** What identifies the event (D2), null where D2 does not apply; and the number of its stretch. */
  key: string | null
  stretch: number
  late: boolean
}

/**
 * What one event does, by the rules of matching.md, on what the picture knows of its signal and incidents.
 * Pure: reads the picture, changes nothing, needs no clock.
 */
export function decide(event: MatchEvent, picture: Picture): Decision {
  if (event.test) return verdict('test', ['N3'])

  const signal = event.signalId === null ? undefined : picture.signals.get(event.signalId)
  const key = eventKey(event)
  if (key === null && signal && isSameBody(event, signal)) return verdict('duplicate', ['D5'])

  const decision = byKind(event, signal, picture)
  if (key === null) return decision

  const stretch = countsStretches(event) ? decision.stretch : 0
  const seen = picture.seenKeys.get(key)
  if (seen !== undefined && (!countsStretches(event) || seen >= stretch)) {
    return { ...verdict('duplicate', [...decision.receipt, 'D2']), key, stretch }
  }
  return { ...decision, key, stretch }
}

function byKind(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  switch (event.kind) {
    case 'fire':
      return decideFire(event, signal, picture)
    case 'refresh':
      return decideFire(event, signal, picture)
    case 'recover':
      return decideRecover(event, signal, picture)
    case 'ack':
      return decideAcknowledge(event, signal, picture)
    case 'info':
      return decideInfo(event, signal, picture)
  }
}

function isSameBody(event: MatchEvent, signal: SignalState): boolean {
  return (
    signal.lastBodyHash === event.bodyHash && ms(event.receivedAt) - ms(signal.lastReceivedAt) <= SAME_BODY_MS
  )
}

// ---- fire ----

function decideFire(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  if (event.signalId === null) return verdict('info', ['N2'])

  const occurrences = picture.occurrences(event.signalId)
  return event.episode === null
    ? fireOfCountedStretch(event, signal, occurrences, picture)
    : fireOfNamedEpisode(event, event.episode, signal, occurrences, picture)
}

/** The sender names its episodes (Alertmanager, Grafana, Better Stack …). */
function fireOfNamedEpisode(
  event: MatchEvent,
  episode: string,
  signal: SignalState | undefined,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const last = occurrences
    .filter((o) => o.firedAt !== null && o.episode === episode)
    .reduce<OccurrenceState | undefined>((a, b) => (a && a.stretch >= b.stretch ? a : b), undefined)

  if (last && last.recoveredAt === null) {
    return verdict('refreshed', ['T6'], [{ do: 'refresh', occurrence: last, firedAt: null }], last.stretch)
  }
  if (last) return fireOfClosedEpisode(event, episode, last, signal, picture)

  const orphan = occurrences.find((o) => o.firedAt === null && o.episode === episode)
  const start = event.episodeStart ?? event.at
  const isNewer = (o: OccurrenceState) => comesBefore(startOf(event, start), startOfOccurrence(o), event, o)
  const newer = occurrences.filter((o) => o.firedAt !== null && isNewer(o))
  const firing = occurrences.find((o) => o.firedAt !== null && o.recoveredAt === null)
  const shortened = shortenInferred(occurrences, event.firedAt)

  if (orphan) {
    const implied: Action[] = firing && newer.length === 0 ? [closeAtNextEpisode(firing, event)] : shortened
    return lateOfOrphan(event, episode, 1, orphan, signal, picture, implied)
  }
  if (newer.length > 0) {
    const next = newer.reduce((a, b) => (startOfOccurrence(a).time <= startOfOccurrence(b).time ? a : b))
    return {
      ...verdict(
        'late',
        ['T7'],
        [
          ...shortened,
          {
            do: 'insert-closed',
            place: { in: 'attached', incident: incidentOf(next, picture) },
            episode,
            stretch: 1,
            firedAt: event.firedAt,
            orderAt: orderAtOf(event),
            recoveredAt: next.firedAt ?? event.at,
            recoveredTimeInferred: next.firedTimeInferred,
            closedBy: 'episode',
            orphan: null,
          },
        ],
      ),
      stretch: 1,
      late: true,
    }
  }

  const implied = firing ? [closeAtNextEpisode(firing, event)] : []
  return openStretch(event, episode, 1, event.firedAt, event.timeInferred, signal, picture, implied, [
    firing ? 'T5' : 'T1',
  ])
}

/** The same episode fires again after it had ended (T2, H2). */
function fireOfClosedEpisode(
  event: MatchEvent,
  episode: string,
  last: OccurrenceState,
  signal: SignalState | undefined,
  picture: Picture,
): Decision {
  if (last.closedBy === 'manual' && last.senderRecoveredAt === null) {
    return verdict('refreshed', ['H2'], joinOf(last, picture), last.stretch)
  }

  const recoveredAt = last.senderRecoveredAt ?? last.recoveredAt!
  const explicit = event.reopen
  if (!explicit && last.closedBy === 'group') {
    const place = placeOf(event, signal, picture)
    if (place.place.in !== 'new' && place.place.incident.id === last.incidentId) {
      return verdict(
        place.place.in === 'reopened' ? 'reopened' : 'attached',
        ['T2', ...place.receipt],
        [
          ...place.actions,
          { do: 'withdraw-recovery', occurrence: last, stretch: last.stretch + 1, place: place.place },
        ],
        last.stretch + 1,
      )
    }
  }

  const arrivedSoon = ms(event.receivedAt) - ms(last.recoveredReceivedAt ?? recoveredAt) <= STRAGGLER_MS
  const inferred = last.closedBy === 'group'
  if (!explicit && !inferred && arrivedSoon && !isAfter(event.at, recoveredAt)) {
    return verdict('stale', ['T2'], joinOf(last, picture), last.stretch)
  }

  const later = isAfter(event.at, recoveredAt)
  return openStretch(
    event,
    episode,
    last.stretch + 1,
    later ? event.at : event.receivedAt,
    later ? event.timeInferred : true,
    signal,
    picture,
    [],
    ['T2'],
  )
}

/** We count the stretches (Sentry issues, Uptime Kuma, generic …). */
function fireOfCountedStretch(
  event: MatchEvent,
  signal: SignalState | undefined,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const counter = signal?.counter ?? 0
  const closed = occurrences.filter((o) => o.firedAt !== null && o.recoveredAt !== null)
  const lastClosed = closed.reduce<OccurrenceState | undefined>(
    (a, b) => (a && a.recoveredAt! >= b.recoveredAt! ? a : b),
    undefined,
  )
  const firing = occurrences.find((o) => o.firedAt !== null && o.recoveredAt === null)

  if (firing) {
    const startsBefore = comesBefore(startOf(event, event.at), startOfOccurrence(firing), event, firing)
    if (startsBefore && lastClosed && isLateFor(event, lastClosed)) {
      return lateCounted(event, counter, occurrences, picture)
    }
    const earlier =
      startsBefore && !event.timeInferred && event.firedAt < firing.firedAt! ? event.firedAt : null
    return verdict('refreshed', ['T6'], [{ do: 'refresh', occurrence: firing, firedAt: earlier }], counter)
  }

  if (lastClosed?.closedBy === 'manual') {
    const quiet = ms(event.receivedAt) - ms(lastClosed.recoveredReceivedAt!) < event.policy.manualQuietMs
    if (lastClosed.senderRecoveredAt === null && quiet) {
      return verdict('refreshed', ['H2'], joinOf(lastClosed, picture), counter)
    }
  } else if (lastClosed && isLateFor(event, lastClosed)) {
    return lateCounted(event, counter, occurrences, picture)
  }

  const orphan = occurrences
    .filter(
      (o) =>
        o.firedAt === null && !event.timeInferred && !o.recoveredTimeInferred && o.recoveredAt! >= event.at,
    )
    .reduce<OccurrenceState | undefined>((a, b) => (a && a.recoveredAt! <= b.recoveredAt! ? a : b), undefined)
  if (orphan) return lateOfOrphan(event, String(counter + 1), counter + 1, orphan, signal, picture, [])

  return openStretch(
    event,
    String(counter + 1),
    counter + 1,
    event.firedAt,
    event.timeInferred,
    signal,
    picture,
    [],
    ['T1'],
  )
}

/** T3: older than a recovery that closed an occurrence. Falls into the stretch it lies in, else gets one of its own. */
function lateCounted(
  event: MatchEvent,
  counter: number,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const real = occurrences.filter((o) => o.firedAt !== null)
  const within = real.find(
    (o) => o.recoveredAt !== null && (o.orderAt ?? o.firedAt!) <= event.at && event.at <= o.recoveredAt,
  )
  if (within) {
    const decision = verdict('late', ['T3'], joinOf(within, picture), counter)
    return { ...decision, late: true }
  }

  const after = (time: string | null) => time !== null && time >= event.at
  const byRecover = real.filter((o) => o.closedBy === 'recover' && after(o.recoveredAt))
  const closer = byRecover.length
    ? byRecover.reduce((a, b) => (a.recoveredAt! <= b.recoveredAt! ? a : b))
    : real.filter((o) => after(o.firedAt)).reduce((a, b) => (a.firedAt! <= b.firedAt! ? a : b), real[0]!)
  const recovered = byRecover.length > 0
  const decision = verdict(
    'late',
    ['T3'],
    [
      {
        do: 'insert-closed',
        place: { in: 'attached', incident: incidentOf(closer, picture) },
        episode: `late:${event.at}`,
        stretch: 0,
        firedAt: event.firedAt,
        orderAt: orderAtOf(event),
        recoveredAt: later(recovered ? closer.recoveredAt! : closer.firedAt!, event.firedAt),
        recoveredTimeInferred: recovered ? closer.recoveredTimeInferred : closer.firedTimeInferred,
        closedBy: recovered ? 'recover' : 'episode',
        orphan: null,
      },
    ],
    counter,
  )
  return { ...decision, late: true }
}

/** R5: its recovery came first and has waited. */
function lateOfOrphan(
  event: MatchEvent,
  episode: string,
  stretch: number,
  orphan: OccurrenceState,
  signal: SignalState | undefined,
  picture: Picture,
  implied: Action[],
): Decision {
  const placed = placeOf(event, signal, picture)
  // An ended outage reopens nothing: it joins what is open, or is an incident of its own that has ended already.
  const place: Place = placed.place.in === 'attached' ? placed.place : { in: 'new' }
  const decision = verdict(
    'late',
    [...(placed.place.in === 'attached' ? placed.receipt : []), 'R5'],
    [
      ...implied,
      ...placed.actions,
      {
        do: 'insert-closed',
        place,
        episode,
        stretch,
        firedAt: event.firedAt,
        orderAt: orderAtOf(event),
        recoveredAt: later(orphan.recoveredAt!, event.firedAt),
        recoveredTimeInferred: orphan.recoveredTimeInferred,
        closedBy: 'recover',
        orphan,
      },
    ],
    stretch,
  )
  return { ...decision, late: true }
}

function openStretch(
  event: MatchEvent,
  episode: string,
  stretch: number,
  firedAt: string,
  timeInferred: boolean,
  signal: SignalState | undefined,
  picture: Picture,
  before: Action[],
  path: string[],
): Decision {
  const placed = placeOf(event, signal, picture)
  const outcome: Outcome = placed.place.in === 'new' ? 'opened' : placed.place.in
  return verdict(
    outcome,
    [...path, ...placed.receipt],
    [
      ...before,
      ...placed.actions,
      {
        do: 'fire',
        place: placed.place,
        episode,
        stretch,
        firedAt,
        orderAt: firedAt === event.firedAt ? orderAtOf(event) : null,
        timeInferred,
        explicitReopen: event.reopen && !timeInferred,
      },
    ],
    stretch,
  )
}

/** M1, M3, O1, M4: which incident a new firing stretch belongs to. */
function placeOf(
  event: MatchEvent,
  signal: SignalState | undefined,
  picture: Picture,
): { place: Place; receipt: string[]; actions: Action[] } {
  const own = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
  if (own && own.status !== 'resolved') {
    return { place: { in: 'attached', incident: own }, receipt: ['M1'], actions: [] }
  }

  const actions: Action[] = []
  const receipt = ['M2']
  const current = picture.current(event.projectId, event.groupKey)
  if (current) {
    const { attachWindowMs } = event.policy
    if (attachWindowMs === null || ms(event.receivedAt) - ms(current.lastEventAt) <= attachWindowMs) {
      return { place: { in: 'attached', incident: current }, receipt: [...receipt, 'M3'], actions }
    }
    actions.push({ do: 'stop-accepting', incident: current })
    receipt.push('M3')
  }

  const { reopenWindowMs } = event.policy
  if (own?.resolvedBy === 'manual') receipt.push('O2')
  else if (own?.resolvedAt && reopenWindowMs > 0 && ms(event.at) - ms(own.resolvedAt) <= reopenWindowMs) {
    return { place: { in: 'reopened', incident: own }, receipt: [...receipt, 'O1'], actions }
  }
  return { place: { in: 'new' }, receipt: [...receipt, 'M4'], actions }
}

// ---- recover ----

function decideRecover(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  if (event.policy.resolveScope === 'incident') return recoverWholeIncident(event, signal, picture)

  const occurrences = event.signalId === null ? [] : picture.occurrences(event.signalId)
  if (event.episode !== null) return recoverOfNamedEpisode(event, event.episode, occurrences, picture)
  return recoverOfCountedStretch(event, signal, occurrences, picture)
}

function recoverOfNamedEpisode(
  event: MatchEvent,
  episode: string,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const stretches = occurrences
    .filter((o) => o.firedAt !== null && o.episode === episode)
    .sort((a, b) => b.stretch - a.stretch)
  // A stretch that an explicit reopen began later is not what this recovery speaks of (T1).
  const own = stretches.find(
    (o) => !(o.explicitReopen && !event.timeInferred && event.at < (o.orderAt ?? o.firedAt!)),
  )

  if (!own) {
    if (occurrences.some((o) => o.firedAt === null && o.episode === episode)) {
      return verdict('unmatched', ['R5'], [], 1)
    }
    const decision = verdict('unmatched', ['R5'], [], 1)
    return event.signalId === null ? decision : { ...decision, actions: [{ do: 'keep-orphan', episode }] }
  }
  if (own.recoveredAt === null) return close(event, own, picture, own.stretch)
  return recoverOfClosed(event, own, picture, own.stretch, own !== stretches[0] ? 'T4' : 'T8')
}

function recoverOfCountedStretch(
  event: MatchEvent,
  signal: SignalState | undefined,
  occurrences: readonly OccurrenceState[],
  picture: Picture,
): Decision {
  const counter = signal?.counter ?? 0
  const firing = occurrences.find((o) => o.firedAt !== null && o.recoveredAt === null)
  if (firing) {
    const start = startOfOccurrence(firing)
    // Raised to the fire's own time where only that clock differs: compare ordering times, not firedAt.
    if (!comesBefore(startOf(event, event.at), start, event, firing))
      return close(event, firing, picture, counter)

    const older = occurrences.find(
      (o) =>
        o !== firing && o.firedAt !== null && o.recoveredAt !== null && startOfOccurrence(o).time <= event.at,
    )
    if (older && older.closedBy !== 'recover') return recoverOfClosed(event, older, picture, counter, 'T4')
    return orphanOf(event, counter, ['T4', 'R5'])
  }

  const closed = occurrences
    .filter((o) => o.firedAt !== null && o.recoveredAt !== null)
    .sort((a, b) => (a.recoveredAt! < b.recoveredAt! ? 1 : -1))
  const last = closed[0]
  if (last && (last.closedBy === 'manual' || last.closedBy === 'group' || last.closedBy === 'incident')) {
    return recoverOfClosed(event, last, picture, counter, 'T8')
  }
  if (event.looseRecovery && (event.anonymous || signal === undefined))
    return looseRecover(event, counter, picture)
  return orphanOf(event, counter, ['R5'])
}

/** A recovery for an occurrence that is closed already: the sender's own word replaces an inference (T8), else H2. */
function recoverOfClosed(
  event: MatchEvent,
  occurrence: OccurrenceState,
  picture: Picture,
  stretch: number,
  rule: 'T4' | 'T8',
): Decision {
  if (occurrence.closedBy === 'manual') {
    return verdict(
      'recovered',
      ['H2'],
      [{ do: 'note-sender-recovery', occurrence }, ...joinOf(occurrence, picture)],
      stretch,
    )
  }
  if (occurrence.closedBy === 'recover') {
    return verdict('recovered', ['T4'], joinOf(occurrence, picture), stretch)
  }
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
      ...joinOf(occurrence, picture),
    ],
    stretch,
  )
}

/** R3: a generic recovery without id, or with one nobody has seen. */
function looseRecover(event: MatchEvent, stretch: number, picture: Picture): Decision {
  const ofSource = [...picture.firing()].filter(
    (o) => o.sourceId === event.sourceId && drillOf(o, picture) === event.drill,
  )
  if (!event.anonymous) {
    const only = ofSource.length === 1 ? ofSource[0] : undefined
    return only?.anonymous
      ? close(event, only, picture, stretch, ['R3', 'R1'])
      : verdict('unmatched', ['R3'], [], stretch)
  }

  const named = ofSource.filter((o) => o.titleHash === event.titleHash)
  if (named.length === 1) return close(event, named[0]!, picture, stretch, ['R3', 'R1'])

  const current = [...picture.currentOf(event.projectId)].filter((i) => i.drill === event.drill)
  if (current.length !== 1) return verdict('unmatched', ['R3'], [], stretch)
  return verdict('recovered', ['R3'], [{ do: 'close-incident', incident: current[0]!, own: null }], stretch)
}

/** `resolveScope: incident`: any recovery resolves the current incident whole (the seed's literal rule). */
function recoverWholeIncident(
  event: MatchEvent,
  signal: SignalState | undefined,
  picture: Picture,
): Decision {
  const occurrences = event.signalId === null ? [] : picture.occurrences(event.signalId)
  const own = occurrences.find((o) => o.firedAt !== null && o.recoveredAt === null) ?? null
  const ownIncident = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
  const incident =
    ownIncident && ownIncident.status !== 'resolved'
      ? ownIncident
      : picture.current(event.projectId, event.groupKey)
  const stretch = event.episode === null ? (signal?.counter ?? 0) : (own?.stretch ?? 1)
  if (!incident) return verdict('unmatched', ['R3'], [], stretch)
  return verdict('recovered', ['R3'], [{ do: 'close-incident', incident, own }], stretch)
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

/** Kept for a fire that may still come, where times can tell whose it was (R5). */
function orphanOf(event: MatchEvent, counter: number, path: string[]): Decision {
  const canWait = event.signalId !== null && !event.timeInferred
  return verdict(
    'unmatched',
    path,
    canWait ? [{ do: 'keep-orphan', episode: `orphan:${event.at}` }] : [],
    counter,
  )
}

// ---- acknowledge, info ----

function decideAcknowledge(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  const incident = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
  const stretch = stretchOf(event, signal, picture)
  if (!incident || incident.status === 'resolved') return verdict('info', ['A'], [], stretch)
  return verdict(
    'acknowledged',
    ['A'],
    [
      { do: 'acknowledge', incident },
      { do: 'join', incident },
    ],
    stretch,
  )
}

function decideInfo(event: MatchEvent, signal: SignalState | undefined, picture: Picture): Decision {
  const incident = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
  const actions: Action[] = incident && incident.status !== 'resolved' ? [{ do: 'join', incident }] : []
  return verdict('info', ['N2'], actions, stretchOf(event, signal, picture))
}

function stretchOf(event: MatchEvent, signal: SignalState | undefined, picture: Picture): number {
  if (event.episode === null || event.signalId === null) return signal?.counter ?? 0
  return picture
    .occurrences(event.signalId)
    .filter((o) => o.firedAt !== null && o.episode === event.episode)
    .reduce((max, o) => Math.max(max, o.stretch), 1)
}

// ---- R2: what a resolved group closes besides its listed alerts ----

/**
 * Group status `resolved` with nothing cut off: occurrences of that group that the body does not list have ended too,
 * if they began by its greatest end (matching.md R2). Answers what to close and when.
 */
export function unlistedOfResolvedGroup(
  group: { greatestEndsAt: string | null },
  listed: ReadonlySet<string>,
  firing: readonly OccurrenceState[],
  receivedAt: string,
): { occurrence: OccurrenceState; at: string; timeInferred: boolean }[] {
  const end = group.greatestEndsAt
  return firing
    .filter((o) => !listed.has(o.signalId) && (end === null || o.firedTimeInferred || o.firedAt! <= end))
    .map((occurrence) => ({
      occurrence,
      at: later(end ?? receivedAt, occurrence.firedAt!),
      timeInferred: end === null,
    }))
}

// ---- helpers ----

function verdict(outcome: Outcome, receipt: string[], actions: Action[] = [], stretch = 0): Decision {
  return { outcome, receipt, actions, key: null, stretch, late: false }
}

function closeAtNextEpisode(firing: OccurrenceState, event: MatchEvent): Action {
  return {
    do: 'close',
    occurrence: firing,
    at: later(event.firedAt, firing.firedAt!),
    timeInferred: event.timeInferred,
    by: 'episode',
  }
}

/** An ending inferred from a later episode moves to the earlier one that has now come to light (T5, T7, T8). */
function shortenInferred(occurrences: readonly OccurrenceState[], start: string): Action[] {
  return occurrences
    .filter((o) => o.closedBy === 'episode' && o.firedAt! < start && o.recoveredAt! > start)
    .map((occurrence) => ({
      do: 'amend-recovery',
      occurrence,
      at: start,
      timeInferred: false,
      by: 'episode',
    }))
}

interface Start {
  time: string
  receivedAt: string
}

function startOf(event: MatchEvent, time: string): Start {
  return { time, receivedAt: event.receivedAt }
}

function startOfOccurrence(occurrence: OccurrenceState): Start {
  return {
    time: occurrence.orderAt ?? occurrence.firedAt!,
    receivedAt: occurrence.firedReceivedAt ?? occurrence.firedAt!,
  }
}

/** T1: by the senders' times; where either is inferred, by arrival. */
function comesBefore(a: Start, b: Start, event: MatchEvent, occurrence: OccurrenceState): boolean {
  return event.timeInferred || occurrence.firedTimeInferred ? a.receivedAt < b.receivedAt : a.time < b.time
}

/** T3: not later than a recovery that closed an occurrence. */
function isLateFor(event: MatchEvent, closed: OccurrenceState): boolean {
  return event.timeInferred || closed.recoveredTimeInferred
    ? event.receivedAt < (closed.recoveredReceivedAt ?? closed.recoveredAt!)
    : event.at <= closed.recoveredAt!
}

function orderAtOf(event: MatchEvent): string | null {
  return event.at === event.firedAt ? null : event.at
}

function incidentOf(occurrence: OccurrenceState, picture: Picture): IncidentState {
  const incident = occurrence.incidentId === null ? undefined : picture.incidents.get(occurrence.incidentId)
  if (!incident) throw new Error(`incident of occurrence ${occurrence.id} is not in the picture`)
  return incident
}

function joinOf(occurrence: OccurrenceState, picture: Picture): Action[] {
  return [{ do: 'join', incident: incidentOf(occurrence, picture) }]
}

function drillOf(occurrence: OccurrenceState, picture: Picture): boolean {
  return incidentOf(occurrence, picture).drill
}

function isAfter(a: string, b: string): boolean {
  return a > b
}
