import type { Writer } from './writer.ts'

/**
 * Several queues side by side, so that projects do not wait for each other's commits; those of one project keep to one
 * queue, where they share commits, since they would only wait for each other's locks. What is of no project goes to
 * `others`, which may be one of them.
 */
export function overQueues<C, R>(
  queues: readonly Writer<C, R>[],
  others: Writer<C, R>,
  projectOf: (command: C) => string | null,
): Writer<C, R> {
  const all = [...new Set([...queues, others])]
  return {
    submit: (command) => {
      const project = projectOf(command)
      const queue = project === null ? others : queues[place(project, queues.length)]!
      return queue.submit(command)
    },
    isBusy: () => all.some((queue) => queue.isBusy()),
    close: async () => {
      await Promise.all(all.map((queue) => queue.close()))
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
function place(id: string, queues: number): number {
  return queues === 1 ? 0 : Number.parseInt(id.slice(-6), 16) % queues
}
