import type { Writer } from './writer.ts'

/**
 * Several queues side by side, so that projects do not wait for each other's commits; those of one project keep to one
 * queue, where they share commits, since they would only wait for each other's locks. `laneOf` names the project.
 */
export function createLanes<C, R>(
  queues: readonly Writer<C, R>[],
  laneOf: (command: C) => string | null,
): Writer<C, R> {
  return {
    submit: (command) => queues[place(laneOf(command), queues.length)]!.submit(command),
    isBusy: () => queues.some((queue) => queue.isBusy()),
    close: async () => {
      await Promise.all(queues.map((queue) => queue.close()))
    },
  }
}

/** Ids are random at their end. */
function place(id: string | null, lanes: number): number {
  return id === null || lanes === 1 ? 0 : Number.parseInt(id.slice(-6), 16) % lanes
}
