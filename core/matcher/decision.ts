import type { Outcome } from '../types.ts'
import type { Picture } from './picture.ts'
import type { ClosedBy, IncidentState, OccurrenceState } from './state.ts'

/** Where a firing stretch belongs (matching.md M, O). */
export type Place =
  | { in: 'new' }
  | { in: 'attached'; incident: IncidentState }
  | { in: 'reopened'; incident: IncidentState }

/** When an occurrence begins, and the time to order it by where that differs. */
export interface Start {
  firedAt: string
  orderAt: string | null
}

/** What a decision changes, in order. `carry-out.ts` does it. */
export type Action =
  | (Start & {
      do: 'fire'
      place: Place
      episode: string
      stretch: number
      timeInferred: boolean
      explicitReopen: boolean
    })
  | (Start & {
      do: 'insert-closed'
      place: Place
      episode: string
      stretch: number
      recoveredAt: string
      recoveredTimeInferred: boolean
      closedBy: ClosedBy
      /** The waiting recovery that becomes this occurrence (R5). */
      orphan: OccurrenceState | null
      /** No stretch of the signal began after it. */
      isNewest: boolean
    })
  | { do: 'refresh'; occurrence: OccurrenceState; start: Start | null }
  | { do: 'close'; occurrence: OccurrenceState; at: string; timeInferred: boolean; by: ClosedBy }
  | { do: 'amend-recovery'; occurrence: OccurrenceState; at: string; timeInferred: boolean; by: ClosedBy }
  | { do: 'withdraw-recovery'; occurrence: OccurrenceState; stretch: number; place: Place }
  | { do: 'note-sender-recovery'; occurrence: OccurrenceState }
  | { do: 'keep-orphan'; episode: string }
  | { do: 'acknowledge'; incident: IncidentState }
  | { do: 'close-incident'; incident: IncidentState }
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
  /** The repeat updates the stored event it repeats (D3). */
  amends: boolean
}

export function verdict(outcome: Outcome, receipt: string[], actions: Action[] = [], stretch = 0): Decision {
  return { outcome, receipt, actions, key: null, stretch, late: outcome === 'late', amends: false }
}

export function incidentOf(occurrence: OccurrenceState, picture: Picture): IncidentState {
  const incident = occurrence.incidentId === null ? undefined : picture.incidents.get(occurrence.incidentId)
  if (!incident) throw new Error(`incident of occurrence ${occurrence.id} is not in the picture`)
  return incident
}

/** The event becomes part of the incident's history. */
export function joinOf(occurrence: OccurrenceState, picture: Picture): Action[] {
  return [{ do: 'join', incident: incidentOf(occurrence, picture) }]
}
