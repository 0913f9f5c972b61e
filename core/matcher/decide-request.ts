import { type AlertGroup, OUTCOMES, type Outcome } from '../types.ts'
import { applyDecision, beginRequest, closeUnlisted, endRequest, type RequestFold } from './carry-out.ts'
import { decide, unlistedOfResolvedGroup } from './decide.ts'
import type { Decision } from './decision.ts'
import { addTimeline, firingCount, incidentById } from './lifecycle.ts'
import { checkLimit } from './limit.ts'
import type { Picture } from './picture.ts'
import { settleRecovery } from './recover.ts'
import type { DecidedEvent, IncidentState, MatchContext, MatchEvent } from './state.ts'
import { ms } from './time.ts'

/** One authenticated, parsed request with its events. */
export interface RequestInput {
  projectId: string
  sourceId: string
  sourceName: string
  requestId: string
  receivedAt: string
  /** Same on every retry; already hashed and bound to the source (D1). */
  delivery: { key: string; windowMs: number } | null
  /** Its key bound to the source. */
  group: (AlertGroup & { key: string }) | null
  filtered: string | null
  events: readonly MatchEvent[]
  /** Requests per rolling hour; null: no limit. */
  hourlyLimit: number | null
  /** A replay of a request that was accepted before takes no slot (D7). */
  freeOfLimit: boolean
}

export interface EventAnswer {
  outcome: Outcome
  /** The rule that decided. */
  rule: string
  incidentId: string | null
}

export interface RequestDecision {
  outcome: Outcome
  events: EventAnswer[]
  /** The incident to answer with: that of the most consequential event. */
  incident: IncidentState | null
  /** Set where a recovery left others firing. */
  stillFiring: number | null
  hint: string | null
  /** What it counts as in the rolling hour; null: nothing, or no limit. */
  slotKind: 1 | 2 | 3 | null
  /** Set where the hour is full: the request is answered 429; it is parked unless it is a duplicate. */
  retryAfterSeconds: number | null
}

/** Decides one request on the picture and carries it out there. A request over the limit changes nothing. */
export function decideRequest(picture: Picture, input: RequestInput, context: MatchContext): RequestDecision {
  if (input.filtered !== null) return undecided(input, 'filtered', 'N5')

  const repeated = repeatedBy(picture, input)
  const foreseen =
    repeated === null && input.hourlyLimit !== null
      ? input.events.map((e) => decide(settleRecovery(e, picture), picture))
      : []
  const isDuplicate =
    repeated !== null ||
    (foreseen.length > 0 && foreseen.every((decision) => decision.outcome === 'duplicate'))
  const verdict = limitVerdict(picture, input, context, isDuplicate, foreseen)
  if (verdict.retryAfterSeconds !== null && !isDuplicate) {
    return { ...undecided(input, 'parked', 'L'), retryAfterSeconds: verdict.retryAfterSeconds }
  }

  if (repeated !== null) {
    countRepeats(picture, input)
    const incident = incidentOfSignals(picture, input.events)
    return { ...undecided(input, 'duplicate', repeated, incident), ...verdict }
  }

  const fold = beginRequest(
    input.requestId,
    { type: 'source', id: input.sourceId, name: input.sourceName },
    context,
  )
  const decided = input.events.map((said) => {
    const event = settleRecovery(said, picture)
    return applyDecision(picture, fold, event, decide(event, picture))
  })
  if (input.group) applyGroup(picture, fold, input, input.group, decided)
  endRequest(picture, fold)
  if (decided.some((event) => event.outcome !== 'duplicate') || decided.length === 0)
    leaveMarks(picture, input)

  const answer = answerOf(picture, input, decided)
  return {
    ...answer,
    ...verdict,
    slotKind: answer.outcome === 'duplicate' ? verdict.slotKind && 3 : verdict.slotKind,
  }
}

/** D1 and D4: the whole request was here before. */
function repeatedBy(picture: Picture, input: RequestInput): string | null {
  if (input.delivery) {
    const seen = picture.deliveries.get(input.delivery.key)
    if (seen !== undefined && ms(input.receivedAt) - ms(seen) <= input.delivery.windowMs) return 'D1'
  }
  if (input.group && picture.groups.get(input.group.key)?.fingerprint === input.group.fingerprint) return 'D4'
  return null
}

/** D7: only accepted requests leave marks. */
function leaveMarks(picture: Picture, input: RequestInput): void {
  if (input.delivery) picture.deliveries.set(input.delivery.key, input.receivedAt)
  if (input.group) {
    // Said once, until the group is over.
    const partial = input.group.status === 'firing' && picture.groups.get(input.group.key)?.partial === true
    picture.setGroup(input.group.key, { fingerprint: input.group.fingerprint, partial })
  }
}

function limitVerdict(
  picture: Picture,
  input: RequestInput,
  context: MatchContext,
  isDuplicate: boolean,
  foreseen: readonly Decision[],
): { slotKind: 1 | 2 | 3 | null; retryAfterSeconds: number | null } {
  if (input.hourlyLimit === null || input.freeOfLimit) return { slotKind: null, retryAfterSeconds: null }

  const slots = picture.slots.get(input.projectId) ?? []
  const mayPass = foreseen.some((decision, i) => isRecovery(input.events[i]!, decision))
  const request = isDuplicate ? 'duplicate' : mayPass ? 'recovery' : 'other'
  const verdict = checkLimit(slots, input.hourlyLimit, ms(context.now), request)
  if (!verdict.pass) return { slotKind: null, retryAfterSeconds: verdict.retryAfterSeconds }
  picture.slots.set(input.projectId, [...slots, { atMs: ms(context.now), kind: verdict.kind }])
  return { slotKind: verdict.kind, retryAfterSeconds: null }
}

/** A recovery or acknowledgement that would change state passes a full hour (matching.md L). */
function isRecovery(event: MatchEvent, decision: Decision): boolean {
  if (event.kind !== 'recover' && event.kind !== 'ack') return false
  return decision.actions.some(
    (action) =>
      action.do === 'close' ||
      action.do === 'close-incident' ||
      (action.do === 'acknowledge' && action.incident.status === 'open'),
  )
}

/** R2: what the group says beyond its listed alerts. */
function applyGroup(
  picture: Picture,
  fold: RequestFold,
  input: RequestInput,
  group: AlertGroup & { key: string },
  decided: readonly DecidedEvent[],
): void {
  const speaker = decided.findLast((event) => event.outcome !== 'duplicate')
  if (!speaker) return

  if (group.truncated > 0) {
    if (speaker.incidentId === null || picture.groups.get(group.key)?.partial) return
    addTimeline(picture, fold.context, incidentById(picture, speaker.incidentId), {
      kind: 'partial',
      at: input.receivedAt,
      actor: fold.actor,
      text: `Partial: ${input.sourceName} left ${group.truncated} alerts out; only the listed ones change.`,
      requestId: input.requestId,
      eventIds: [],
    })
    picture.setGroup(group.key, { fingerprint: group.fingerprint, partial: true })
    return
  }
  if (group.status !== 'resolved' || speaker.senderGroup === null) return
  const listed = new Set(decided.map((event) => event.signalId ?? ''))
  const firing = [...picture.firing()].filter(
    (o) =>
      o.sourceId === input.sourceId &&
      o.senderGroup === speaker.senderGroup &&
      incidentById(picture, o.incidentId!).drill === speaker.drill,
  )
  closeUnlisted(picture, fold, speaker, unlistedOfResolvedGroup(group, listed, firing, input.receivedAt))
}

function answerOf(picture: Picture, input: RequestInput, decided: readonly DecidedEvent[]): RequestDecision {
  const leading = decided.reduce<DecidedEvent | undefined>(
    (best, event) => (best && rank(best.outcome) <= rank(event.outcome) ? best : event),
    undefined,
  )
  const outcome = leading?.outcome ?? 'info'
  const incident = leading?.incidentId
    ? incidentById(picture, leading.incidentId)
    : outcome === 'duplicate'
      ? incidentOfSignals(picture, input.events)
      : null
  const recovered = decided.some((event) => event.kind === 'recover' && event.outcome === 'recovered')
  const firing = recovered && incident && incident.status !== 'resolved' ? firingCount(incident) : 0
  return {
    outcome,
    events: decided.map((event) => ({
      outcome: event.outcome,
      rule: event.receipt.at(-1)!,
      incidentId:
        event.outcome === 'duplicate' ? (incidentOfSignals(picture, [event])?.id ?? null) : event.incidentId,
    })),
    incident,
    stillFiring: firing > 0 ? firing : null,
    hint: outcome === 'unmatched' ? hintOf(picture, input) : null,
    slotKind: null,
    retryAfterSeconds: null,
  }
}

function rank(outcome: Outcome): number {
  return OUTCOMES.indexOf(outcome)
}

function hintOf(picture: Picture, input: RequestInput): string | null {
  const keys = [...picture.firing()]
    .filter((o) => o.sourceId === input.sourceId)
    .map((o) => picture.signals.get(o.signalId)?.key)
    .filter((key) => key !== undefined)
    .slice(0, 5)
  const fires =
    keys.length > 0 ? `Firing from this source: ${keys.join(', ')}.` : 'Nothing fires from this source.'
  return `${fires} Send the id of the alert to recover, or set resolveScope to "incident" so that any recovery resolves the current incident.`
}

function incidentOfSignals(picture: Picture, events: readonly MatchEvent[]): IncidentState | null {
  for (const event of events) {
    const signal = event.signalId === null ? undefined : picture.signals.get(event.signalId)
    const incident = signal?.incidentId ? picture.incidents.get(signal.incidentId) : undefined
    if (incident) return incident
  }
  return null
}

function countRepeats(picture: Picture, input: RequestInput): void {
  for (const event of input.events) {
    const signal = event.signalId === null ? undefined : picture.signals.get(event.signalId)
    if (signal?.lastEventId) picture.repeats.push({ eventId: signal.lastEventId, at: input.receivedAt })
  }
}

function undecided(
  input: RequestInput,
  outcome: Outcome,
  rule: string,
  incident: IncidentState | null = null,
): RequestDecision {
  return {
    outcome,
    events: input.events.map(() => ({ outcome, rule, incidentId: incident?.id ?? null })),
    incident,
    stillFiring: null,
    hint: null,
    slotKind: null,
    retryAfterSeconds: null,
  }
}
