import { runAlertmanager } from '../support/alertmanager-program.ts'
import { findProgram } from '../support/find-program.ts'
import type { Variant } from './variants.ts'

/** A receiver that sends nothing on while it is measured. */
const CONFIGURATION = `
route:
  receiver: nobody
  group_wait: 1h
receivers:
  - name: nobody
`

/** Peer: a real Alertmanager, which takes alerts without a signature and answers before any of them is on the disk. */
export async function startAlertmanager(): Promise<Variant> {
  const program = findProgram('prometheus-alertmanager', 'Debian has it as prometheus-alertmanager.')
  if (!program) throw new Error('There is no prometheus-alertmanager to measure beside us.')
  // One core, as every other server under measurement has.
  const { child, port, dispose } = await runAlertmanager(program, CONFIGURATION, { GOMAXPROCS: '1' })
  return {
    pids: [child.pid],
    target: { host: '127.0.0.1', ports: [port], path: '/api/v2/alerts', secret: 'none', body: 'alerts' },
    stop: dispose,
  }
}
