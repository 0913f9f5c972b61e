import type { TocsinProcess } from '../support/tocsin-process.ts'
import {
  type Delivery,
  deliver,
  fromBetterStack,
  fromGrafana,
  fromSentry,
  type GrafanaAlert,
} from './senders.ts'

export interface Step {
  who: string
  /** What happens, in a newcomer's words. */
  says: string
  /** Does it, and tells what Tocsin made of it. */
  run(): Promise<Happened>
  /** The outcome this demo is there to show; another one fails it. */
  expected: string
}

export interface Happened {
  outcome: string
  reference: string | null
  /** Where the receipt can be read; null for what was refused or done by hand. */
  requestId: string | null
  /** Names of the rules that decided its events. */
  rules: string[]
  /** What to say instead of a receipt. */
  note: string | null
}

/** A checkout that breaks at its payment provider, as its tools tell it: on the wall clock, in seconds. */
export async function scriptOutage(tocsin: TocsinProcess): Promise<Step[]> {
  const sentry = await tocsin.createSource({ adapter: 'sentry', name: 'Sentry' })
  const grafana = await tocsin.createSource({ adapter: 'grafana', name: 'Grafana' })
  const betterStack = await tocsin.createSource({ adapter: 'betterstack', name: 'Better Stack' })

  const errors: GrafanaAlert = {
    name: 'Error rate above 5 %',
    status: 'firing',
    startsAt: '',
    severity: 'critical',
    value: 23.4,
  }
  const latency: GrafanaAlert = { ...errors, name: 'Latency above 2 s', severity: 'warning', value: 6.1 }
  let startedAt = ''

  const webhook = (who: string, says: string, expected: string, delivery: () => Delivery): Step => ({
    who,
    says,
    expected,
    run: async () => {
      const { status, headers, body } = await deliver(delivery())
      const requestId = headers.get('x-request-id')
      if (status === 200) {
        const rules = [...new Set(body.events.map(({ rule }) => rule))]
        const reference = body.incident?.reference ?? null
        return { outcome: body.outcome, reference, requestId, rules, note: null }
      }
      const { error } = body as unknown as { error: { code: string; message: string } }
      return {
        outcome: `${status} ${error.code}`,
        reference: null,
        requestId: null,
        rules: [],
        note: error.message,
      }
    },
  })

  return [
    webhook('Sentry', 'a new issue: ConnectionTimeout: payments.example.com', 'opened', () =>
      fromSentry(sentry, 'created', now()),
    ),
    webhook('Grafana', 'two alerts fire: error rate above 5 %, latency above 2 s', 'attached', () => {
      errors.startsAt = latency.startsAt = now()
      return fromGrafana(grafana, [errors, latency])
    }),
    webhook('Better Stack', 'shop.example.com/checkout answers 502', 'attached', () => {
      startedAt = now()
      return fromBetterStack(betterStack, 'started', { startedAt })
    }),
    webhook('Grafana', 'says the same again, as it does every few hours', 'duplicate', () =>
      fromGrafana(grafana, [errors, latency]),
    ),
    webhook('a stranger', '“all clear”, signed with a secret of its own', '401 unauthorized', () =>
      fromSentry({ ...sentry, secret: 'guessed' }, 'resolved', now()),
    ),
    {
      who: 'Mia',
      says: 'acknowledges and takes a note',
      expected: 'acknowledged',
      run: async () => {
        const path = `/projects/${tocsin.projectId}/incidents/INC-001`
        const note = 'The payment provider is down; switching to the second one.'
        const { incident } = await tocsin.api<{ incident: { status: string; reference: string } }>(
          'POST',
          `${path}/acknowledge`,
          { note },
        )
        return { outcome: incident.status, reference: incident.reference, requestId: null, rules: [], note }
      },
    },
    webhook('Grafana', 'the error rate is back, the latency is not', 'recovered', () => {
      errors.status = 'resolved'
      errors.endsAt = now()
      return fromGrafana(grafana, [errors, latency])
    }),
    webhook('Better Stack', 'shop.example.com/checkout is up again', 'recovered', () =>
      fromBetterStack(betterStack, 'resolved', { startedAt, resolvedAt: now() }),
    ),
    webhook('Grafana', 'the latency is back too', 'recovered', () => {
      latency.status = 'resolved'
      latency.endsAt = now()
      return fromGrafana(grafana, [latency])
    }),
    webhook('Sentry', 'the issue is resolved', 'resolved', () => fromSentry(sentry, 'resolved', now())),
  ]
}

function now(): string {
  return new Date().toISOString()
}
