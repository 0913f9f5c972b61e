/** Loaded into the product's process by `--import`: on SIGUSR2 it says how late its event loop has been since the last one. */
import { monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
delay.enable()
process.on('SIGUSR2', () => {
  const lateMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS).toFixed(0)
  process.stderr.write(`event loop: p99 ${lateMs(delay.percentile(99))} ms, most ${lateMs(delay.max)} ms\n`)
  delay.reset()
})
