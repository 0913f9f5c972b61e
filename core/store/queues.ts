import type { Writer } from './writer.ts'

/**
 * Several queues side by side, so that projects do not wait for each other's commits; those of one project keep to one
 * queue, where they share commits, since they would only wait for each other's locks. What is of no project goes to the
 * first.
 */
export function overQueues<C, R>(
  queues: readonly Writer<C, R>[],
  projectOf: (command: C) => string | null,
): Writer<C, R> {
  return {
    submit: (command) => queues[place(projectOf(command), queues.length)]!.submit(command),
    isBusy: () => queues.some((queue) => queue.isBusy()),
    close: async () => {
      await Promise.all(queues.map((queue) => queue.close()))
    },
  }
}

/**
 * A queue that calls back after a commit in which something was noted. Each has its own note: that of one queue would
 * else be taken for kept when another one commits.
 */
export function noticing<C, R>(
  open: (note: () => void) => Writer<C, R>,
  onCommitted: () => void,
): Writer<C, R> & { note(): void } {
  let isNoted = false
  const note = () => {
    isNoted = true
  }
  const queue = open(note)
  return {
    ...queue,
    note,
    submit: async (command) => {
      const answer = await queue.submit(command)
      if (isNoted) {
        isNoted = false
        onCommitted()
      }
      return answer
    },
  }
}

/** Ids of projects are random at their end. */
function place(id: string | null, queues: number): number {
  return id === null || queues === 1 ? 0 : Number.parseInt(id.slice(-6), 16) % queues
}
