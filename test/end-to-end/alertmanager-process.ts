import { runAlertmanager } from '../support/alertmanager-program.ts'
import type { SendingSource } from '../support/tocsin-process.ts'

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
  const { child, port, dispose } = await runAlertmanager(program, configuration(source))
  const address = `http://127.0.0.1:${port}`
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
