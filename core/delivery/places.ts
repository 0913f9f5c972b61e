import type { DueEndpoint, Room, Standing } from '../store/claim.ts'

/**
 * Who may have the places of a process. An attempt holds its place for up to 15 seconds, so receivers that let it wait
 * could hold them all: the slow ones share a part of the places, and a project that waits for one leaves a few to the
 * others. Pure: what is known and the numbers come in.
 */

/** A receiver that takes longer is slow until an attempt ends sooner. */
export const SLOW_MS = 2_000

export interface PlaceLimits {
  /** For all slow endpoints together. */
  slow: number
  /** For one project that has just waited for a slow one. */
  project: number
}

/** Of 50 places, 20 are never held by endpoints known as slow, and 5 never by such a project. */
export function placeLimits(inFlight: number): PlaceLimits {
  return { slow: Math.ceil(inFlight * 0.6), project: Math.ceil(inFlight * 0.9) }
}

/** What is remembered of an endpoint. */
export interface Pace {
  /** Whether its last attempt took long; undefined before the first one has ended. */
  isSlow: boolean | undefined
  /** When it had its last turn: grows with each. */
  turn: number
}

export interface UnderWay {
  endpointId: string
  projectId: string
  /** As it was claimed. */
  isFailing: boolean
  forMs: number
}

/** How each endpoint that has something to send stands; `rooms` count down as places are given away. */
export function standings(options: {
  underWay: readonly UnderWay[]
  paces: ReadonlyMap<string, Pace>
  /** Projects whose last attempt took long. */
  slowProjects: ReadonlySet<string>
  limits: PlaceLimits
}): (endpoint: DueEndpoint) => Standing {
  const { underWay, paces, slowProjects, limits } = options
  const late = underWay.filter(({ forMs }) => forMs >= SLOW_MS)
  const lateEndpoints = new Set(late.map(({ endpointId }) => endpointId))
  const lateProjects = new Set(late.map(({ projectId }) => projectId))
  // After a restart a receiver that fails may be one that hangs.
  const isSlow = (id: string, isFailing: boolean) =>
    lateEndpoints.has(id) || (paces.get(id)?.isSlow ?? isFailing)

  const slow: Room = {
    left: limits.slow - underWay.filter((one) => isSlow(one.endpointId, one.isFailing)).length,
  }
  const projects = new Map<string, Room>()
  const projectRoom = (id: string) => {
    let room = projects.get(id)
    if (!room) {
      room = { left: limits.project - underWay.filter(({ projectId }) => projectId === id).length }
      projects.set(id, room)
    }
    return room
  }
  return ({ id, project_id, failing_since }) => {
    const isOneSlow = isSlow(id, failing_since !== null)
    const isProjectSlow = lateProjects.has(project_id) || slowProjects.has(project_id)
    return {
      rooms: [...(isOneSlow ? [slow] : []), ...(isProjectSlow ? [projectRoom(project_id)] : [])],
      slowSince: isOneSlow ? (paces.get(id)?.turn ?? 0) : null,
    }
  }
}
