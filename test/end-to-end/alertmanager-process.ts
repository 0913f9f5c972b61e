import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startChild } from '../support/child.ts'
import { freePort, scratchDir } from '../support/scratch.ts'
import type { SendingSource } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'

export interface PostedAlert {
  labels: Record<string, string>
  annotations?: Record<string, string>
  startsAt: Date
  /** In the past: resolved. */
  endsAt?: Date
}

export interface AlertmanagerProcess {
  /** As Prometheus sends them. */
  post(...alerts: PostedAlert[]): Promise<void>
  stderr(): string
  dispose(): Promise<void>
}

/** A real Alertmanager that sends to this source, with the shortest waits it takes. */
export async function startAlertmanager(
  program: string,
  source: SendingSource,
): Promise<AlertmanagerProcess> {
  const dir = await scratchDir()
  const port = await freePort()
  const file = join(dir.path, 'alertmanager.yml')
  await writeFile(file, configuration(source))
  const child = await startChild(
    program,
    [
      `--config.file=${file}`,
      `--storage.path=${join(dir.path, 'storage')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      // No cluster: nothing to talk to, and nothing to wait for.
      '--cluster.listen-address=',
    ],
    { cwd: dir.path },
  )
  const dispose = async () => {
    if (child.exit() === undefined) await child.end('SIGTERM')
    dir.remove()
  }

  const address = `http://127.0.0.1:${port}`
  try {
    await until('Alertmanager is ready', async () => (await fetch(`${address}/-/ready`)).ok)
  } catch (error) {
    await dispose()
    throw new Error(`Alertmanager did not start: ${child.stderr()}`, { cause: error })
  }

  return {
    stderr: child.stderr,
    dispose,
    post: async (...alerts) => {
      const response = await fetch(`${address}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(alerts),
      })
      if (!response.ok) throw new Error(`Alertmanager answered ${response.status}: ${await response.text()}`)
    },
  }
}

function configuration({ url, secret }: SendingSource): string {
  return `
route:
  receiver: tocsin
  group_by: [alertname]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 1s
receivers:
  - name: tocsin
    webhook_configs:
      - url: ${url}
        send_resolved: true
        http_config:
          authorization:
            type: Bearer
            credentials: ${secret}
`
}
