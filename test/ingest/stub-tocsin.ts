import type {
  ApiAttempt,
  ApiEndpoint,
  ApiEvent,
  ApiIncident,
  ApiKey,
  ApiMessage,
  ApiProject,
  ApiReceived,
  ApiRequestDetail,
  ApiSignal,
  ApiSource,
  ApiTimelineEntry,
  Caller,
  HookRequest,
  OpenedTocsin,
  ReceiveAddress,
  Tocsin,
  TocsinError,
} from '@tocsin/core'

/** What the edge handed over, call by call. */
export interface Received {
  request: HookRequest
  address: ReceiveAddress
  refusal: TocsinError | undefined
}

export interface StubTocsin extends OpenedTocsin {
  received: Received[]
  /** Name and arguments of every use-case that ran. */
  calls: [keyof Tocsin, ...unknown[]][]
}

export const KEY = 'a-key-the-stub-knows'

/**
 * Stands in for core where a test is about HTTP alone: it answers one sample of every shape, refuses what the edge has
 * refused, and keeps what it was called with. `answers` replaces single answers.
 */
export function stubTocsin(
  answers: Partial<Pick<OpenedTocsin, 'receive' | 'isReady' | 'authenticateKey'>> & {
    useCases?: Partial<Tocsin>
  } = {},
): StubTocsin {
  const received: Received[] = []
  const calls: StubTocsin['calls'] = []
  const useCases: Tocsin = { ...sampleUseCases, ...answers.useCases }

  return {
    received,
    calls,
    firstStart: null,
    defaultProjectId: null,
    actingAs: () =>
      new Proxy(useCases, {
        get:
          (target, name: keyof Tocsin) =>
          (...args: unknown[]) => {
            calls.push([name, ...args])
            return (target[name] as (...args: unknown[]) => unknown)(...args)
          },
      }),
    authenticateKey: answers.authenticateKey ?? (async (key) => (key === KEY ? caller : undefined)),
    receive: async (request, address, refusal) => {
      received.push({ request, address, refusal })
      if (refusal) throw refusal
      return answers.receive ? answers.receive(request, address) : { ...answer, requestId: 'request-1' }
    },
    beginOnce: async () => ({ answer: null, keep: async () => {}, free: async () => {} }),
    isReady: answers.isReady ?? (async () => true),
    close: async () => {},
  }
}

const caller: Caller = { keyId: 'key-1', name: 'A key', scopes: ['admin'], projectId: null }
const AT = '2026-11-21T08:00:00.000Z'

const answer: ApiReceived = {
  success: true,
  outcome: 'opened',
  duplicate: false,
  incident: {
    id: 'incident-1',
    reference: 'INC-001',
    title: 'Checkout is down',
    severity: 'high',
    status: 'open',
    url: null,
  },
  events: [{ outcome: 'opened', rule: 'M1', incidentId: 'incident-1' }],
}

const project: ApiProject = {
  id: 'project-1',
  name: 'default',
  plan: 'unlimited',
  policy: {
    grouping: null,
    groupBy: null,
    attachWindowMinutes: null,
    reopenWindowMinutes: null,
    manualQuietMinutes: null,
    resolveGraceSeconds: null,
    resolveStale: null,
    openAfter: { fires: 2 },
    strictExternalId: null,
    resolveScope: null,
  },
  effectivePolicy: { attachWindowMinutes: 1440, manualQuietMinutes: 5, resolveGraceSeconds: 0 },
  ingestionEnabled: true,
  createdAt: AT,
}

const source: ApiSource = {
  id: 'source-1',
  adapter: 'generic',
  name: 'Generic',
  enabled: true,
  address: 'project',
  url: 'http://127.0.0.1:4117/api/v1/webhooks/project-1/generic',
  secret: '••••',
  settings: {
    grouping: null,
    groupBy: null,
    reopenWindowMinutes: null,
    resolveScope: null,
    strictExternalId: null,
    staleAfterMinutes: null,
    cidrs: [],
    sentryProject: null,
    signatureHeader: null,
    timestampHeader: null,
    repositories: [],
    statusWords: { weg: 'fire' },
    mapping: null,
    defaults: { severity: null, services: [], labels: {}, drill: false },
  },
  effective: {
    grouping: 'signal',
    groupBy: [],
    reopenWindowMinutes: 0,
    resolveScope: 'signal',
    strictExternalId: false,
  },
  health: {
    successRate24h: 0.5,
    successRate30d: null,
    lastRequestAt: AT,
    lastSuccessAt: null,
    lastErrors: [{ at: AT, code: 'unauthorized', message: 'The secret is wrong.', requestId: 'request-1' }],
  },
  setup: [{ step: 'Paste the address.' }],
  createdAt: AT,
}

const signal: ApiSignal = {
  id: 'signal-1',
  key: 'checkout',
  title: 'Checkout is down',
  status: 'firing',
  monitor: { id: null, name: 'Checkout', url: null },
  source: { id: 'source-1', adapter: 'generic', name: 'Generic' },
  firedAt: AT,
  recoveredAt: null,
}

const incident: ApiIncident = {
  id: 'incident-1',
  reference: 'INC-001',
  projectId: 'project-1',
  title: 'Checkout is down',
  status: 'open',
  severity: 'high',
  sourceSeverity: null,
  startedAt: AT,
  detectedAt: AT,
  openedAt: AT,
  acknowledgedAt: null,
  resolvedAt: null,
  durationMs: null,
  services: ['checkout'],
  customerImpact: false,
  drill: false,
  labels: { region: ['eu', 'us'] },
  metadata: { roomPrefix: 'inc', deep: { list: [1] } },
  url: null,
  consoleUrl: null,
  signals: [signal],
  signalCount: 1,
  firingCount: 1,
  eventCount: 1,
  reopenCount: 0,
  updatedAt: AT,
}

const event: ApiEvent = {
  id: 'event-1',
  externalId: null,
  kind: 'fire',
  outcome: 'opened',
  rule: 'M1',
  receipt: [{ rule: 'M1', text: 'Nothing was open for this signal.' }],
  title: 'Checkout is down',
  description: null,
  severity: 'high',
  sourceSeverity: 'P2',
  sourceStatus: null,
  eventTime: AT,
  sourceTime: null,
  flags: ['timeInferred'],
  receivedAt: AT,
  signalKey: 'checkout',
  sourceId: 'source-1',
  requestId: 'request-1',
  incidentId: 'incident-1',
  url: null,
  labels: {},
  evidence: {
    stackTrace: ['pay()'],
    values: { B: 22 },
    links: [{ text: 'Runbook', href: 'https://example.com' }],
  },
  duplicateCount: 0,
  lastSeenAt: AT,
}

const entry: ApiTimelineEntry = {
  id: 'entry-1',
  at: AT,
  kind: 'opened',
  sequence: 1,
  actor: { type: 'source', id: 'source-1', name: 'Generic' },
  text: 'Opened by Generic.',
  requestId: 'request-1',
  eventIds: ['event-1'],
}

const request: ApiRequestDetail = {
  id: 'request-1',
  receivedAt: AT,
  sourceId: 'source-1',
  method: 'POST',
  path: '/webhooks/{token}',
  ip: '192.0.2.1',
  status: 200,
  outcome: 'opened',
  reason: null,
  message: null,
  deliveryKey: null,
  incidentId: 'incident-1',
  bodySize: 17,
  replayable: true,
  headers: { 'content-type': 'application/json' },
  body: '{}',
  bodyEncoding: 'utf8',
  events: [event],
}
const {
  headers: _headers,
  body: _body,
  bodyEncoding: _bodyEncoding,
  events: _events,
  ...requestSummary
} = request

const key: ApiKey = {
  id: 'key-2',
  name: 'Dashboard',
  scopes: ['incidents:read'],
  projectId: 'project-1',
  createdAt: AT,
  expiresAt: null,
}

const endpoint: ApiEndpoint = {
  id: 'endpoint-1',
  url: 'https://example.com/webhooks',
  description: null,
  enabled: true,
  disabledReason: null,
  events: ['incident.opened'],
  severities: ['critical'],
  services: ['checkout'],
  labels: { region: 'eu' },
  sources: [],
  drills: false,
  policy: 'standard-3d',
  signature: { header: 'X-Uptimera-Signature', format: 'hex' },
  secret: '********',
  counters: { pending: 1, delivered: 2, failed: 0, attempts: 3, lastSuccessAt: AT, lastFailureAt: null },
  createdAt: AT,
}

const message: ApiMessage = {
  id: 'message-1',
  type: 'incident.opened',
  endpointId: 'endpoint-1',
  incidentId: 'incident-1',
  sequence: 1,
  status: 'pending',
  reason: null,
  createdAt: AT,
  nextAttemptAt: AT,
  requestBody: '{}',
}

const attempt: ApiAttempt = {
  at: AT,
  requestHeaders: { 'webhook-id': 'message-1' },
  responseStatus: 500,
  durationMs: 12,
  error: null,
  responseBody: 'no',
}

const sampleUseCases: Tocsin = {
  me: async () => ({ key: { id: 'key-1', name: 'A key', scopes: ['admin'], projectId: null } }),
  createProject: async () => ({ project }),
  listProjects: async () => ({ projects: [project], nextCursor: null }),
  getProject: async () => ({ project }),
  updateProject: async () => ({ project }),
  deleteProject: async () => {},
  createSource: async () => ({ source, secret: 's3cret' }),
  listSources: async () => ({ sources: [source], nextCursor: 'more' }),
  getSource: async () => ({ source }),
  updateSource: async () => ({ source }),
  deleteSource: async () => {},
  rotateSource: async () => ({ source }),
  previewSource: async () => ({
    events: [
      {
        kind: 'fire',
        test: false,
        signalKey: 'check-7',
        episode: null,
        externalId: 'check-7',
        title: 'Checkout is down',
        description: null,
        severity: 'high',
        sourceSeverity: null,
        sourceStatus: null,
        eventTime: AT,
        sourceTime: null,
        url: null,
        monitor: { id: null, name: null, url: null },
        services: [],
        customerImpact: false,
        labels: { region: 'eu' },
        metadata: { build: 42 },
        drill: false,
      },
    ],
    decisions: [{ outcome: 'opened', rule: 'M4', text: 'A new one.', incidentId: null }],
  }),
  testSource: async () => ({
    success: true,
    reference: 'INC-001',
    incidentId: 'incident-1',
    answers: [answer],
  }),
  listRequests: async () => ({ requests: [requestSummary], nextCursor: null }),
  getRequest: async () => ({ request }),
  replayRequest: async () => ({ ...answer, stillFiring: 1, hint: 'Send its id.' }),
  listIncidents: async () => ({ incidents: [incident], nextCursor: null, total: 1 }),
  createIncident: async () => ({ incident }),
  getIncident: async () => ({ incident }),
  listTimeline: async () => ({ timeline: [entry], nextCursor: null }),
  listIncidentEvents: async () => ({ events: [event], nextCursor: null }),
  listIncidentSignals: async () => ({ signals: [signal], nextCursor: null }),
  acknowledgeIncident: async () => ({ incident }),
  resolveIncident: async () => ({ incident, stillFiring: 1 }),
  reopenIncident: async () => ({ incident }),
  addNote: async () => ({ entry }),
  createEndpoint: async () => ({ endpoint, secret: 'whsec_secret' }),
  listEndpoints: async () => ({ endpoints: [endpoint], nextCursor: null }),
  getEndpoint: async () => ({ endpoint }),
  updateEndpoint: async () => ({ endpoint, secret: 'whsec_secret' }),
  deleteEndpoint: async () => {},
  rotateEndpoint: async () => ({ endpoint, secret: 'whsec_secret' }),
  testEndpoint: async () => ({ message }),
  listMessages: async () => ({ messages: [message], nextCursor: null }),
  getMessage: async () => ({ message, attempts: [attempt] }),
  replayMessage: async () => ({ message }),
  replayEndpoint: async () => ({ replayed: 2 }),
  createKey: async () => ({ key, secret: 'tk_secret' }),
  listKeys: async () => ({ keys: [key], nextCursor: null }),
  deleteKey: async () => {},
}
