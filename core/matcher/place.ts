import type { Action, Place } from './decision.ts'
import type { Picture } from './picture.ts'
import type { MatchEvent, SignalState } from './state.ts'
import { ms } from './time.ts'

export interface Placed {
  place: Place
  receipt: string[]
  actions: Action[]
}

/** M1, M3, O1, M4: which incident a firing stretch that begins at this time belongs to. */
export function placeOf(
  event: MatchEvent,
  firesFrom: string,
  signal: SignalState | undefined,
  picture: Picture,
): Placed {
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
  else if (own?.resolvedAt && reopenWindowMs > 0 && ms(firesFrom) - ms(own.resolvedAt) <= reopenWindowMs) {
    return { place: { in: 'reopened', incident: own }, receipt: [...receipt, 'O1'], actions }
  }
  return { place: { in: 'new' }, receipt: [...receipt, 'M4'], actions }
}
