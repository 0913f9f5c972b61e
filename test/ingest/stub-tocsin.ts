import type {
  ApiAttempt,
  ApiEndpoint,
  ApiEvent,
  ApiIncident,
  ApiKey,
  ApiMessage,
  ApiPostmortem,
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
  answers: Partial<Pick<OpenedTocsin, 'receive' | 'isReady' | 'now' | 'authenticateKey'>> & {
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
    firstStartLeft: async () => null,
    firstStartShown: async () => {},
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
    once: async (_caller, _request, write) => ({ ...(await write(useCases)), replayed: false }),
    isReady: answers.isReady ?? (async () => true),
    now: answers.now ?? (() => new Date()),
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
    lastErrors: [
      {
        at: AT,
        code: 'invalid_payload',
        message: 'title is missing.',
        diagnosis: 'It is the body of another tool.',
        requestId: 'request-1',
      },
    ],
    strangers: {
      last24h: 1,
      last: [
        {
          at: AT,
          message: 'The secret is wrong.',
          diagnosis: 'It ends in a newline.',
          requestId: 'request-2',
        },
      ],
    },
    successStreak: 0,
    failureStreak: 1,
    opened30d: 1,
    recovered30d: 0,
    unknownStatusWords: [{ word: 'BROKEN', count: 2, lastAt: AT }],
    notes: ['Nothing recovers.'],
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
  durationMs: null,
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
  rule: 'M4',
  diagnosis: null,
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
  counters: {
    pending: 1,
    delivered: 2,
    failed: 0,
    attempts: 3,
    lastSuccessAt: AT,
    lastFailureAt: null,
    waitingUntil: null,
  },
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

const postmortem: ApiPostmortem = {
  incidentId: 'incident-1',
  reference: 'INC-001',
  revision: 1,
  template: 'standard',
  audience: 'internal',
  markdown: '# Post-mortem of INC-001\n',
  generatedBy: 'tocsin',
  fallbackReason: null,
  createdAt: AT,
  createdBy: 'A key',
  facts: {
    title: 'Checkout is down',
    status: 'open',
    severity: 'high',
    drill: false,
    services: ['checkout'],
    customerImpact: false,
    startedAt: AT,
    detectedAt: AT,
    acknowledgedAt: null,
    resolvedAt: null,
    timeToDetectMs: 0,
    timeToAcknowledgeMs: null,
    timeToResolveMs: null,
    evidenceIds: {
      severity: ['event-1'],
      services: ['event-1'],
      customerImpact: [],
      startedAt: ['event-1'],
      detectedAt: ['event-1'],
      acknowledgedAt: [],
      resolvedAt: [],
    },
    stretches: [
      { startedAt: AT, resolvedAt: null, durationMs: null, resolution: null, evidenceIds: ['event-1'] },
    ],
    actions: [
      {
        at: AT,
        kind: 'opened',
        by: { type: 'source', name: 'Generic' },
        text: null,
        stillFiring: null,
        evidenceIds: ['entry-1'],
      },
    ],
    signals: [],
    sources: [],
    counts: {
      events: 1,
      requests: 1,
      duplicates: 0,
      signals: 1,
      firing: 1,
      firings: 1,
      flaps: 0,
      reopenings: 0,
      inferredRecoveries: 0,
      withoutTime: 1,
      notes: 0,
    },
    measurements: [],
    errors: [],
    coFiring: [{ signals: ['A', 'B'], times: 1, references: ['INC-000'] }],
    evidence: [{ id: 'event-1', kind: 'event', at: AT, text: 'Generic reported it.' }],
  },
  timeline: [{ at: AT, text: 'INC-001 was opened.', evidenceIds: ['entry-1'] }],
  gaps: [{ section: 'Response', question: 'Who took this up first?' }],
  related: [],
  unsupported: [],
}

const sampleUseCases: Tocsin = {
  me: async () => ({
    key: { id: 'key-1', name: 'A key', scopes: ['admin'], projectId: null, projectName: null },
  }),
  createProject: async () => ({ project }),
  listProjects: async () => ({ projects: [project], nextCursor: null }),
  getProject: async () => ({ project }),
  updateProject: async () => ({ project }),
  deleteProject: async () => {},
  getIngestion: async () => ({
    ingestion: {
      projectId: 'project-1',
      projectName: 'default',
      plan: 'unlimited',
      inPlan: true,
      enabled: true,
      publicUrl: 'http://127.0.0.1:4117',
      addresses: [{ adapter: 'generic', name: 'Generic', address: 'project', url: source.url }],
    },
  }),
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
  revealSecret: async () => ({
    credential: {
      sourceId: 'source-1',
      adapter: 'generic',
      name: 'Generic',
      url: source.url,
      secret: 's3cret',
    },
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
  draftPostmortem: async () => ({ postmortem }),
  getPostmortem: async () => ({ postmortem }),
  savePostmortem: async () => ({ postmortem: { ...postmortem, generatedBy: 'person' } }),
  getMetrics: async () => ({ mttaMs: 1000, mttrMs: null, incidents: 2, unacknowledged: 1, excluded: 0 }),
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
  recordToolCall: async () => {},
  listToolCalls: async () => ({
    toolCalls: [
      {
        id: 'call-1',
        at: AT,
        projectId: 'project-1',
        caller: { keyId: 'key-1', name: 'A key' },
        tool: 'list_incidents',
        arguments: { status: 'open' },
        outcome: 'ok',
        durationMs: 3,
      },
    ],
    nextCursor: null,
  }),
}
