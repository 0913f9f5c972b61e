/**
 * Which messages start the workflow. n8n keeps a node's data in its database, but each request reads what was stored
 * before the others ended and the last one to end overwrites them: so what comes side by side is told apart in memory,
 * and what is stored serves for after a restart.
 */

/** Enough for what may come again before Tocsin has heard our answer. */
const KEPT = 200
/** Triggers in memory; the one that heard nothing for longest is left to what is stored. */
const MOST_TRIGGERS = 1000
/** A start that came to nothing without a word is over by then: the message may try again. */
const START_LIMIT_MS = 60_000

export interface Arrival {
  id: string
  /** Of this very request, as signed. */
  timestamp: string
  /** Someone asked for it in Tocsin. The signature does not cover that. */
  isReplay: boolean
}

/** The message is ours to start with. */
export interface Start {
  /** It has started: answers what is to be stored. */
  done(): string[]
  /** It has not, so that the same message may come again; nothing after `done`. */
  failed(): void
}

interface Memory {
  /** `<timestamp>.<id>` of requests. */
  seen: string[]
  /** Until when the start of a message is under way. */
  starting: Map<string, { until: number }>
}

const memories = new Map<string, Memory>()

/**
 * `repeat`: it started the workflow before. A replay is meant to start it again, but each signed request only once:
 * whoever captured one could add the mark. `busy`: the same message is just starting it, and may yet fail.
 */
export function admit(
  trigger: string,
  stored: readonly string[],
  { id, timestamp, isReplay }: Arrival,
  nowMs: number,
): Start | 'repeat' | 'busy' {
  const memory = memoryOf(trigger)
  const request = `${timestamp}.${id}`
  const note = () => {
    memory.seen = [...new Set([...stored, ...memory.seen, request])].slice(-KEPT)
    return memory.seen
  }
  for (const [one, { until }] of memory.starting) if (until <= nowMs) memory.starting.delete(one)
  if (memory.starting.has(id)) return 'busy'
  const isSeen = [...stored, ...memory.seen].some((one) => (isReplay ? one === request : idOf(one) === id))
  if (isSeen) {
    note()
    return 'repeat'
  }

  const claim = { until: nowMs + START_LIMIT_MS }
  const end = () => {
    if (memory.starting.get(id) === claim) memory.starting.delete(id)
  }
  memory.starting.set(id, claim)
  return {
    done: () => {
      end()
      return note()
    },
    failed: end,
  }
}

function memoryOf(trigger: string): Memory {
  const memory = memories.get(trigger) ?? { seen: [], starting: new Map() }
  memories.delete(trigger)
  memories.set(trigger, memory)
  const [oldest] = memories.keys()
  if (memories.size > MOST_TRIGGERS) memories.delete(oldest!)
  return memory
}

function idOf(request: string): string {
  return request.slice(request.indexOf('.') + 1)
}
