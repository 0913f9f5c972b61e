import type { ApiReceived, Received } from '@tocsin/core'

/** The shape in which one address answers. */
export interface Envelope {
  received(answer: Received): { status: number; body: unknown }
  refused(error: Refused): { status: number; body: unknown }
}

export interface Refused {
  status: number
  code: string
  message: string
  requestId: string
  /** Further members of Tocsin's own answer. */
  details: Record<string, unknown> | undefined
}

/** The shape of an address, by its path: drop-in addresses answer as the service they stand in for. */
export function envelopeAt(path: string): Envelope {
  return DROP_INS.find(([start]) => path.startsWith(start))?.[1] ?? native
}

export const native: Envelope = {
  received: ({ echo: _, ...body }) => ({ status: 200, body }),
  refused: ({ status, code, message, requestId, details }) => ({
    status,
    body: { ...details, success: false, error: { code, message }, requestId },
  }),
}

/** https://runframe.io/docs/api/webhooks#response-format */
const runframe: Envelope = {
  received: ({ incident }) => ({
    status: 200,
    body: {
      success: true,
      incident: incident && {
        id: incident.reference,
        title: incident.title,
        severity: RUNFRAME_SEVERITY[incident.severity],
        status: incident.status === 'resolved' ? 'resolved' : 'investigating',
        url: incident.url,
      },
    },
  }),
  refused: ({ status, code, message }) => {
    const isUnknown = code === 'unauthorized'
    return {
      status: isUnknown ? 404 : status,
      body: {
        success: false,
        error: isUnknown
          ? { code: 'ROUTE_NOT_FOUND', message: 'Webhook routing key is invalid or expired' }
          : { code: code.toUpperCase(), message },
      },
    }
  },
}

const RUNFRAME_SEVERITY: Record<NonNullable<ApiReceived['incident']>['severity'], string> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
  info: 'Pre-emptive',
}

/** GitPulse's incident webhook, "Response Format". */
const gitpulse: Envelope = {
  received: ({ echo }) => ({
    status: 200,
    body: { success: true, message: 'Incident recorded successfully', incident_id: echo ?? null },
  }),
  refused: ({ status, code, message }) => ({
    status,
    body: { success: false, error: gitpulseError(code, message), details: message },
  }),
}

function gitpulseError(code: string, message: string): string {
  if (code === 'not_found')
    return message.startsWith('Project') ? 'Invalid project UUID' : 'Invalid repository UUID'
  return GITPULSE_ERRORS[code] ?? 'Request refused'
}

const GITPULSE_ERRORS: Record<string, string> = {
  malformed_body: 'Invalid JSON',
  invalid_payload: 'Missing or invalid fields',
  unauthorized: 'Invalid or missing API key',
  unavailable: 'Temporarily unavailable',
  rate_limited: 'Too many requests',
}

/** https://developer.pagerduty.com/docs/send-alert-event: its clients send again after 429 and 5xx alone. */
const pagerdutyEvents: Envelope = {
  received: ({ echo }) => ({
    status: 202,
    body: {
      status: 'success',
      message: 'Event processed',
      ...(echo !== undefined && { dedup_key: echo }),
    },
  }),
  refused: ({ status, code, message }) => {
    if (code === 'rate_limited' || code === 'unavailable') {
      return { status, body: { status: PAGERDUTY_WAITS[code], message, errors: [message] } }
    }
    return {
      status: code === 'unauthorized' ? 400 : status,
      body: { status: 'invalid event', message: 'Event object is invalid', errors: [message] },
    }
  },
}

const PAGERDUTY_WAITS = { rate_limited: 'throttle exceeded', unavailable: 'unavailable' }

const DROP_INS: readonly (readonly [start: string, envelope: Envelope])[] = [
  ['/webhooks/', runframe],
  ['/api/incidents/webhook', gitpulse],
  ['/v2/', pagerdutyEvents],
]
