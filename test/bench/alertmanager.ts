import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { findProgram } from '../support/find-program.ts'
import { freePort, scratchDir } from '../support/scratch.ts'
import { until } from '../support/until.ts'
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
  const dir = await scratchDir()
  const port = await freePort()
  const file = join(dir.path, 'alertmanager.yml')
  await writeFile(file, CONFIGURATION)
  const child = await startChild(
    program,
    [
      `--config.file=${file}`,
      `--storage.path=${join(dir.path, 'storage')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ],
    // One core, as every other server under measurement has.
    { cwd: dir.path, env: { GOMAXPROCS: '1' } },
  )
  const stop = async () => {
    if (child.exit() === undefined) await child.end('SIGTERM')
    dir.remove()
  }
  try {
    await until('Alertmanager is ready', async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok)
    const target = { host: '127.0.0.1', ports: [port], path: '/api/v2/alerts', secret: 'none' }
    return { pids: [child.pid], target: { ...target, body: 'alerts' }, stop }
  } catch (error) {
    await stop()
    throw new Error(`Alertmanager did not start: ${child.stderr()}`, { cause: error })
  }
}
