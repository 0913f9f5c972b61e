import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { inRepository, pinnedNode } from '../support/child.ts'
import type { SliceOrder, SliceReport } from './load.ts'

/** The process that sends. */
export interface Generator {
  pid: number
  run(order: SliceOrder): Promise<SliceReport>
  stop(): void
}

export async function startGenerator(): Promise<Generator> {
  const child = spawn(pinnedNode, [inRepository('test/bench/load.ts')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  await once(child, 'spawn')
  return {
    pid: child.pid!,
    // It ends with its channel.
    stop: () => child.disconnect(),
    run: (order) =>
      new Promise((resolve, reject) => {
        const onExit = () => reject(new Error('The load generator ended.'))
        child.once('exit', onExit)
        child.once('message', (report) => {
          child.off('exit', onExit)
          resolve(report as SliceReport)
        })
        child.send(order)
      }),
  }
}
