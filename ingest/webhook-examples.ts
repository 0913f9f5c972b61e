import { adapters, NO_SETTINGS } from '@tocsin/core'

interface DropInExample {
  credential: string
  security: Record<string, string[]>[]
  bodies: Record<string, { summary?: string; value: unknown }>
  /** Status and body of the answer. */
  status: number
  example: unknown
}

/** What a receiving address answers when an incident was opened. */
export function receivedExample(title: string, severity: string, rule: string) {
  const id = '019a6d3c-5f0e-7c7a-9c55-0f7d7b0d2a11'
  return {
    success: true,
    outcome: 'opened',
    duplicate: false,
    incident: { id, reference: 'INC-042', title, severity, status: 'open', url: null },
    events: [{ outcome: 'opened', rule, incidentId: id }],
    requestId: '019a6d3c-5f0d-7b21-8d0c-3f3f0a9c4e10',
  }
}

const ROUTING_KEY = '0123456789abcdef0123456789abcdef'

const TEST = {
  id: 'check-7',
  at: '2026-01-15T10:30:00.000Z',
  secret: ROUTING_KEY,
  projectId: '550e8400-e29b-41d4-a716-446655440000',
  settings: NO_SETTINGS,
}

const runframe: DropInExample = {
  credential: 'The token in the address is the credential.',
  security: [],
  bodies: { incident: { value: { title: 'API latency', severity: 'High', service: 'api' } } },
  status: 200,
  example: {
    success: true,
    incident: { id: 'INC-042', title: 'API latency', severity: 'High', status: 'investigating', url: null },
  },
}

const gitpulse: DropInExample = {
  credential: '`X-API-Key`: the secret of the source, or an API key with `events:write`.',
  security: [{ gitpulseKey: [] }],
  bodies: {
    alert: {
      value: {
        incident_id: 'db-conn-001',
        project_uuid: '550e8400-e29b-41d4-a716-446655440000',
        status: 'DOWN',
        incident_time: '2026-01-15T10:30:00Z',
        monitor_name: 'Database connection',
      },
    },
    recovery: {
      value: {
        incident_id: 'db-conn-001',
        project_uuid: '550e8400-e29b-41d4-a716-446655440000',
        status: 'UP',
        incident_time: '2026-01-15T10:40:00Z',
      },
    },
  },
  status: 200,
  example: { success: true, message: 'Incident recorded successfully', incident_id: 'db-conn-001' },
}

const grafanaIrm: DropInExample = {
  credential:
    'Bearer token: the secret of the source. Any body declares an incident, an unreadable one too; a repeat joins the one that is open.',
  security: [{ sourceSecret: [] }],
  bodies: {
    any: {
      value: { report: { id: 'probe-7', title: 'Website cannot be reached', text: 'Timeout after 30 s' } },
    },
  },
  status: 200,
  example: receivedExample('Website cannot be reached', 'medium', 'M4'),
}

const pagerdutyEvents: DropInExample = {
  credential: '`routing_key` in the body is the secret of the source.',
  security: [],
  bodies: {
    trigger: {
      value: {
        routing_key: ROUTING_KEY,
        event_action: 'trigger',
        dedup_key: 'db-1',
        payload: { summary: 'Replication lag', source: 'db-1', severity: 'critical' },
      },
    },
    resolve: {
      value: {
        routing_key: ROUTING_KEY,
        event_action: 'resolve',
        dedup_key: 'db-1',
      },
    },
  },
  status: 202,
  example: { status: 'success', message: 'Event processed', dedup_key: 'db-1' },
}

const pagerdutyChange: DropInExample = {
  ...pagerdutyEvents,
  bodies: {
    change: {
      value: {
        routing_key: ROUTING_KEY,
        payload: {
          summary: 'Deployed shop 1.4.2',
          timestamp: '2026-01-15T10:30:00Z',
          source: 'ci',
          custom_details: { build: '817' },
        },
        links: [{ href: 'https://ci.example/817', text: 'Build 817' }],
      },
    },
  },
  // It informs and has no key: there is nothing to acknowledge or to resolve.
  example: { status: 'success', message: 'Event processed' },
}

/** What is sent to and answered at the addresses that stand in for another service, by the id of the address. */
export const dropInExamples: Record<string, DropInExample> = {
  receiveAtShortToken: runframe,
  receiveGitPulse: gitpulse,
  receiveGrafanaIrm: grafanaIrm,
  receiveGrafanaIrmPlugin: grafanaIrm,
  receivePagerDutyEvent: pagerdutyEvents,
  receivePagerDutyChange: pagerdutyChange,
}

/** What each tool sends at the addresses that take any of them, by adapter: its test, opening and resolving. */
export const bodiesByAdapter: DropInExample['bodies'] = Object.fromEntries(
  adapters.flatMap(({ slug, name, testRequest }) =>
    (['fire', 'recover'] as const).flatMap((kind) => {
      const request = testRequest(kind, TEST)
      if (!request) return []
      const summary = `${name}, ${kind === 'fire' ? 'opens' : 'resolves'}`
      return [[`${slug}-${kind}`, { summary, value: JSON.parse(request.body) as unknown }]]
    }),
  ),
)
