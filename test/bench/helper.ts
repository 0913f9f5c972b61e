import { type Serializable, spawn } from 'node:child_process'
import { once } from 'node:events'
import { inRepository, pinnedNode } from '../support/child.ts'
import { trackLeftover } from '../support/leftovers.ts'

/** A process of its own that carries out one order after the other, such as the one that sends. */
export interface Helper<Order, Report> {
  pid: number
  run(order: Order): Promise<Report>
  stop(): void
}

/** Starts a file of this folder that answers each message with one. */
export async function startHelper<Order extends Serializable, Report>(
  file: string,
): Promise<Helper<Order, Report>> {
  const child = spawn(pinnedNode, [inRepository(`test/bench/${file}`)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await once(child, 'spawn')
  const forget = trackLeftover({ pid: child.pid! })
  child.once('exit', forget)
  return {
    pid: child.pid!,
    // It ends with its channel.
    stop: () => child.disconnect(),
    run: (order) =>
      new Promise((resolve, reject) => {
        const onExit = () => reject(new Error(`${file} ended.`))
        child.once('exit', onExit)
        child.once('message', (report) => {
          child.off('exit', onExit)
          resolve(report as Report)
        })
        child.send(order)
      }),
  }
}

/** The other side: carries out the orders of the parent, and ends with it. */
export function carryOut<Order, Report>(run: (order: Order) => Promise<Report>): void {
  process.on('message', (order: Order) => {
    run(order).then((report) => process.send!(report))
  })
  process.once('disconnect', () => process.exit())
}
