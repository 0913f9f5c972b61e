import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, startChild } from './child.ts'
import { freePort, scratchDir } from './scratch.ts'
import { until } from './until.ts'

export interface AlertmanagerProgram {
  readonly child: Child
  readonly port: number
  /** Ends it and removes its data. */
  dispose(): Promise<void>
}

/** Runs a real Alertmanager on a free port of this machine and waits until it is ready. `configuration`: its YAML. */
export async function runAlertmanager(
  program: string,
  configuration: string,
  env: Record<string, string> = {},
): Promise<AlertmanagerProgram> {
  const dir = await scratchDir()
  const port = await freePort()
  const file = join(dir.path, 'alertmanager.yml')
  await writeFile(file, configuration)
  const child = await startChild(
    program,
    [
      `--config.file=${file}`,
      `--storage.path=${join(dir.path, 'storage')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      // No cluster: nothing to talk to, and nothing to wait for.
      '--cluster.listen-address=',
    ],
    { cwd: dir.path, env },
  )
  const dispose = async () => {
    if (child.exit() === undefined) await child.end('SIGTERM')
    dir.remove()
  }
  try {
    await until('Alertmanager is ready', async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok)
  } catch (error) {
    await dispose()
    throw new Error(`Alertmanager did not start: ${child.stderr()}`, { cause: error })
  }
  return { child, port, dispose }
}
