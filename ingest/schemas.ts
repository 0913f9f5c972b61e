import {
  type ApiAttempt,
  type ApiCredential,
  type ApiEndpoint,
  type ApiEndpointInput,
  type ApiEndpointPatch,
  type ApiEvent,
  type ApiIncident,
  type ApiIncidentInput,
  type ApiIncidentQuery,
  type ApiIngestion,
  type ApiKey,
  type ApiKeyInput,
  type ApiMessage,
  type ApiMessageQuery,
  type ApiMetrics,
  type ApiMetricsQuery,
  type ApiOwnKey,
  type ApiPage,
  type ApiPostmortem,
  type ApiPostmortemFacts,
  type ApiPostmortemInput,
  type ApiPreview,
  type ApiPreviewInput,
  type ApiProject,
  type ApiProjectInput,
  type ApiProjectPatch,
  type ApiReceived,
  type ApiReplayRange,
  type ApiRequest,
  type ApiRequestDetail,
  type ApiRequestQuery,
  type ApiReveal,
  type ApiRotateInput,
  type ApiSignal,
  type ApiSource,
  type ApiSourceInput,
  type ApiSourcePatch,
  type ApiTimelineEntry,
  type ApiToolCall,
  type ApiToolCallInput,
  adapterSlugs,
  MESSAGE_TYPES,
  OUTCOMES,
  PLANS,
  RETRY_POLICIES,
  SCOPES,
  SEVERITIES,
} from '@tocsin/core'
import { z } from 'zod'
import { isNetwork } from './networks.ts'

/**
 * The shapes of core's api-types.ts as schemas, for checking what comes in and documenting what goes out.
 * A test holds both equal. Inputs are strict; `meta({ id })` names a schema in the OpenAPI document.
 */

const MINUTES_OF_A_YEAR = 525_600

const time = z.iso.datetime().describe('ISO 8601, UTC, with milliseconds')
const timeIn = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString())
const id = z.string().min(1).max(200)
const name = z.string().trim().min(1).max(200)
const minutes = z.int().min(0).max(MINUTES_OF_A_YEAR)
const labels = z
  .record(z.string().min(1).max(100), z.string().max(500))
  .refine((value) => Object.keys(value).length <= 50, 'may hold at most 50 labels')
const services = z.array(z.string().trim().min(1).max(200)).max(20)

const Severity = z.enum(SEVERITIES).meta({ id: 'Severity' })
const Plan = z.enum(PLANS)
const PlanIn = z.enum([...PLANS, 'business']).describe('`business` is another word for `team`')
const Scope = z.enum(SCOPES).meta({ id: 'Scope' })
const Outcome = z.enum(OUTCOMES).meta({ id: 'Outcome' })
const EventKind = z.enum(['fire', 'refresh', 'recover', 'ack', 'info'])
const IncidentStatus = z.enum(['open', 'acknowledged', 'resolved'])
const Grouping = z.enum(['project', 'signal', 'key'])
const ResolveScope = z.enum(['signal', 'incident'])
const Address = z.enum(['project', 'token'])

export const Page = z.strictObject({
  limit: z.int().min(1).max(100).optional().describe('Entries per page, 20 unless told'),
  cursor: z.string().min(1).max(500).optional().describe('`nextCursor` of the page before'),
}) satisfies z.ZodType<ApiPage>

export const nextCursor = z.string().nullable().describe('Null on the last page')

const policyFields = {
  grouping: Grouping.nullable(),
  groupBy: z.array(z.string().min(1).max(100)).max(20).nullable(),
  attachWindowMinutes: minutes.nullable(),
  reopenWindowMinutes: minutes.nullable(),
  manualQuietMinutes: minutes.nullable(),
  resolveGraceSeconds: z.int().min(0).max(86_400).nullable(),
  resolveStale: z.boolean().nullable(),
  openAfter: z
    .strictObject({
      fires: z.int().min(1).max(1000).optional(),
      seconds: z.int().min(1).max(86_400).optional(),
    })
    .nullable(),
  strictExternalId: z.boolean().nullable(),
  resolveScope: ResolveScope.nullable(),
}

const Policy = z
  .object(policyFields)
  .meta({ id: 'Policy', description: 'Null: not set, so the built-in default holds' })

const PolicyInput = z
  .strictObject({ ...policyFields, preset: z.literal('literal') })
  .partial()
  .meta({ id: 'PolicyInput', description: 'Any of the fields, or a preset that sets them all' })

export const Project = z
  .object({
    id: z.string(),
    name: z.string(),
    plan: Plan,
    policy: Policy,
    effectivePolicy: z.object({
      attachWindowMinutes: z.number().nullable().describe('Null: for ever'),
      manualQuietMinutes: z.number(),
      resolveGraceSeconds: z.number(),
    }),
    ingestionEnabled: z.boolean(),
    createdAt: time,
  })
  .meta({ id: 'Project' }) satisfies z.ZodType<ApiProject>

export const ProjectInput = z.strictObject({
  name,
  plan: PlanIn.optional(),
  policy: PolicyInput.optional(),
}) satisfies z.ZodType<ApiProjectInput>

export const ProjectPatch = z.strictObject({
  name: name.optional(),
  plan: PlanIn.optional(),
  policy: PolicyInput.optional(),
  ingestionEnabled: z.boolean().optional(),
}) satisfies z.ZodType<ApiProjectPatch>

const cidr = z.string().refine(isNetwork, 'must be an address or a network such as 10.0.0.0/8')
const headerName = z
  .string()
  .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'must be the name of a header such as X-Signature')

const defaultsFields = {
  severity: Severity.nullable(),
  services,
  labels,
  drill: z.boolean(),
}

const mapped = z.string().max(500).optional()
const Mapping = z
  .strictObject({
    title: mapped,
    description: mapped,
    id: mapped,
    action: mapped,
    severity: mapped,
    service: mapped,
    labels: mapped,
    drill: mapped,
    roomprefix: mapped.describe('Of grafana-irm'),
  })
  .meta({ id: 'Mapping', description: 'By field: `json(path)` or the value itself' })

const settingsFields = {
  grouping: Grouping.nullable(),
  groupBy: z.array(z.string().min(1).max(100)).max(20).nullable(),
  reopenWindowMinutes: minutes.nullable(),
  resolveScope: ResolveScope.nullable(),
  strictExternalId: z.boolean().nullable(),
  staleAfterMinutes: z.int().min(1).max(MINUTES_OF_A_YEAR).nullable(),
  cidrs: z.array(cidr).max(100),
  sentryProject: z.string().min(1).max(200).nullable(),
  signatureHeader: headerName.nullable(),
  timestampHeader: headerName.nullable(),
  repositories: z.array(z.string().min(1).max(200)).max(100),
  statusWords: z.record(z.string().min(1).max(100), EventKind),
  mapping: Mapping.nullable(),
}

const SourceSettings = z
  .object({ ...settingsFields, defaults: z.object(defaultsFields) })
  .meta({ id: 'SourceSettings', description: 'Null: as the project or the adapter says' })

const SourceSettingsInput = z
  .strictObject({ ...settingsFields, defaults: z.strictObject(defaultsFields).partial() })
  .partial()
  .meta({ id: 'SourceSettingsInput' })

export const Source = z
  .object({
    id: z.string(),
    adapter: z.string(),
    name: z.string(),
    enabled: z.boolean(),
    address: Address,
    url: z.string().describe('The address to paste into the tool; masked without `secrets:read`'),
    secret: z.string().optional().describe('Masked without `secrets:read`'),
    settings: SourceSettings,
    effective: z
      .object({
        grouping: Grouping,
        groupBy: z.array(z.string()),
        reopenWindowMinutes: z.number(),
        resolveScope: ResolveScope,
        strictExternalId: z.boolean(),
      })
      .describe('What holds after source, project and adapter have spoken'),
    health: z.object({
      successRate24h: z
        .number()
        .nullable()
        .describe('Share of accepted among authenticated requests, 0 to 1; by whole hours'),
      successRate30d: z.number().nullable(),
      lastRequestAt: time.nullable(),
      lastSuccessAt: time.nullable(),
      lastErrors: z.array(
        z.object({
          at: time,
          code: z.string(),
          message: z.string(),
          diagnosis: z.string().nullable().describe('What may be wrong'),
          requestId: z.string(),
        }),
      ),
      strangers: z
        .object({
          last24h: z.number().describe('At most the 50 that are kept'),
          last: z.array(
            z.object({
              at: time,
              message: z.string(),
              diagnosis: z.string().nullable().describe('What may be wrong'),
              requestId: z.string(),
            }),
          ),
        })
        .describe('Requests no credential vouched for; they count nowhere else'),
      successStreak: z.number().describe('Accepted in a row, up to the last request'),
      failureStreak: z.number().describe('Refused in a row, up to the last request'),
      opened30d: z.number().describe('Alerts that began to fire, without drills'),
      recovered30d: z.number().describe('Alerts that ended, without drills'),
      unknownStatusWords: z
        .array(z.object({ word: z.string(), count: z.number(), lastAt: time }))
        .describe('Of the last 30 days; their events open and resolve nothing'),
      notes: z.array(z.string()).describe('What its owner may want to mend'),
    }),
    setup: z.array(z.object({ step: z.string() })),
    createdAt: time,
  })
  .meta({ id: 'Source' }) satisfies z.ZodType<ApiSource>

const secretIn = z.string().min(1).max(500)
const reveal = z
  .boolean()
  .optional()
  .describe(
    'Answers an id to reveal the credential by, once and within ten minutes, instead of the credential',
  )

export const SourceInput = z.strictObject({
  adapter: z.enum(adapterSlugs),
  name: name.optional(),
  address: Address.optional(),
  secret: secretIn.optional().describe('One that the sender made; generated where absent'),
  settings: SourceSettingsInput.optional(),
  reveal,
  unique: z
    .boolean()
    .optional()
    .describe(
      'Answers 409 where the project has a source of this adapter and name, also one made at the same moment',
    ),
}) satisfies z.ZodType<ApiSourceInput>

export const SourcePatch = z.strictObject({
  name: name.optional(),
  enabled: z.boolean().optional(),
  settings: SourceSettingsInput.optional(),
}) satisfies z.ZodType<ApiSourcePatch>

export const PreviewInput = z.strictObject({
  adapter: z.enum(adapterSlugs),
  mapping: settingsFields.mapping.optional().describe('Absent: that of the source the project has'),
  sample: z
    .unknown()
    .refine((sample) => sample !== undefined, 'send a body as the tool sends it')
    .describe('A body as the tool sends it'),
  path: z
    .string()
    .min(1)
    .max(4_000)
    .optional()
    .describe(
      "Path it would be sent to, with its query, where they tell something: PagerDuty's change events, parameters such as `title=json(a.b)`, the short address. A query alone, such as `?title=json(a.b)`, is for the usual address of the adapter, which is meant where this is absent, too",
    )
    .meta({ examples: ['/v2/change/enqueue'] }),
}) satisfies z.ZodType<ApiPreviewInput>

export const Preview = z
  .object({
    events: z.array(
      z.object({
        kind: EventKind,
        test: z.boolean().describe("The tool's own test message"),
        signalKey: z.string().nullable(),
        episode: z.string().nullable(),
        externalId: z.string().nullable(),
        title: z.string(),
        description: z.string().nullable(),
        severity: Severity,
        sourceSeverity: z.string().nullable(),
        sourceStatus: z.string().nullable(),
        eventTime: time,
        sourceTime: z.string().nullable(),
        url: z.string().nullable(),
        monitor: z.object({
          id: z.string().nullable(),
          name: z.string().nullable(),
          url: z.string().nullable(),
        }),
        services: z.array(z.string()),
        customerImpact: z.boolean(),
        labels: z.record(z.string(), z.string()),
        metadata: z.record(z.string(), z.unknown()),
        drill: z.boolean(),
      }),
    ),
    decisions: z
      .array(
        z.object({ outcome: Outcome, rule: z.string(), text: z.string(), incidentId: z.string().nullable() }),
      )
      .describe('One per event; `incidentId` is null where it would make one'),
  })
  .meta({ id: 'Preview' }) satisfies z.ZodType<ApiPreview>

export const RotateInput = z.strictObject({
  overlapMinutes: minutes.optional().describe('How long the old credential stays valid'),
  secret: secretIn.optional().describe('One that the sender made; generated where absent'),
  reveal,
}) satisfies z.ZodType<ApiRotateInput>

export const Reveal = z.object({ id: z.string(), expiresAt: time }) satisfies z.ZodType<ApiReveal>

export const Credential = z
  .object({
    sourceId: z.string(),
    adapter: z.string(),
    name: z.string(),
    url: z.string(),
    secret: z.string().nullable().describe('Null where the address itself is the credential'),
  })
  .meta({ id: 'Credential' }) satisfies z.ZodType<ApiCredential>

export const Ingestion = z
  .object({
    projectId: z.string(),
    projectName: z.string(),
    plan: Plan,
    inPlan: z.boolean().describe('Whether the plan has webhooks'),
    enabled: z.boolean().describe("The plan has them and the project's own switch is on"),
    publicUrl: z.string().describe('Base of every address'),
    addresses: z
      .array(z.object({ adapter: z.string(), name: z.string(), address: Address, url: z.string() }))
      .describe('One per tool; `{token}` stands for the token of a source'),
  })
  .meta({ id: 'Ingestion' }) satisfies z.ZodType<ApiIngestion>

export const SourceTestInput = z.strictObject({})
export const RevealInput = z.strictObject({})

export const Received = z
  .object({
    success: z.literal(true),
    outcome: Outcome,
    duplicate: z.boolean(),
    incident: z
      .object({
        id: z.string(),
        reference: z.string(),
        title: z.string(),
        severity: Severity,
        status: IncidentStatus,
        url: z.string().nullable(),
      })
      .nullable(),
    events: z.array(z.object({ outcome: Outcome, rule: z.string(), incidentId: z.string().nullable() })),
    stillFiring: z.number().optional(),
    hint: z.string().optional(),
  })
  .meta({ id: 'Received' }) satisfies z.ZodType<ApiReceived>

export const Signal = z
  .object({
    id: z.string(),
    key: z.string(),
    title: z.string(),
    status: z.enum(['firing', 'recovered', 'manual', 'stale']),
    monitor: z.object({
      id: z.string().nullable(),
      name: z.string().nullable(),
      url: z.string().nullable(),
    }),
    source: z.object({ id: z.string(), adapter: z.string(), name: z.string() }),
    firedAt: time,
    recoveredAt: time.nullable(),
    durationMs: z.number().nullable().describe('How long it fired; null while it does'),
  })
  .meta({ id: 'Signal' }) satisfies z.ZodType<ApiSignal>

export const Incident = z
  .object({
    id: z.string(),
    reference: z.string().describe('Number within the project, such as INC-042'),
    projectId: z.string(),
    title: z.string(),
    status: IncidentStatus,
    severity: Severity,
    sourceSeverity: z.string().nullable(),
    startedAt: time,
    detectedAt: time,
    openedAt: time,
    acknowledgedAt: time.nullable(),
    resolvedAt: time.nullable(),
    durationMs: z.number().nullable().describe('Over all open stretches; null while open'),
    services: z.array(z.string()).describe('The first is the primary one'),
    customerImpact: z.boolean(),
    drill: z.boolean(),
    labels: z.record(z.string(), z.union([z.string(), z.array(z.string())])),
    metadata: z.record(z.string(), z.unknown()),
    url: z.string().nullable().describe("The sender's link"),
    consoleUrl: z.string().nullable(),
    signals: z.array(Signal).describe('At most 20, firing first'),
    signalCount: z.number(),
    firingCount: z.number(),
    eventCount: z.number(),
    reopenCount: z.number(),
    updatedAt: time,
  })
  .meta({ id: 'Incident' }) satisfies z.ZodType<ApiIncident>

export const IncidentInput = z.strictObject({
  title: z.string().trim().min(1).max(500),
  severity: Severity.optional(),
  description: z.string().max(20_000).optional(),
  services: services.optional(),
  labels: labels.optional(),
  drill: z.boolean().optional(),
}) satisfies z.ZodType<ApiIncidentInput>

export const IncidentQuery = z.strictObject({
  ids: z.array(id).min(1).max(20).optional(),
  status: z.array(IncidentStatus).min(1).optional(),
  severity: z.array(Severity).min(1).optional(),
  service: z.array(z.string().min(1).max(200)).min(1).max(20).optional(),
  source: z.array(id).min(1).max(20).optional().describe('Source ids or adapters'),
  q: z.string().min(1).max(200).optional().describe('Words of the title'),
  since: timeIn.optional().describe('Opened at or after'),
  until: timeIn.optional().describe('Opened before'),
  drill: z.boolean().optional(),
  ...Page.shape,
}) satisfies z.ZodType<ApiIncidentQuery>

export const MetricsQuery = z.strictObject({
  ...IncidentQuery.pick({ severity: true, service: true, source: true, since: true, until: true }).shape,
  exclude: z
    .array(z.enum(['drill', 'late', 'stale', 'timeInferred']))
    .min(1)
    .optional()
    .describe(
      'Leaves out incidents heard of after their end, ended for want of news, or with a time their sender did not give; drills are always left out',
    ),
}) satisfies z.ZodType<ApiMetricsQuery>

export const Metrics = z
  .object({
    mttaMs: z.number().nullable().describe('Mean time from detection to the first acknowledgement'),
    mttrMs: z.number().nullable().describe('Mean time incidents were open, of those resolved'),
    incidents: z.number().describe('Measured; drills never are'),
    unacknowledged: z.number().describe('Those of them that nobody acknowledged'),
    excluded: z.number().describe('Left out, drills among them'),
  })
  .meta({ id: 'Metrics' }) satisfies z.ZodType<ApiMetrics>

export const NoteInput = z.strictObject({ note: z.string().trim().min(1).max(20_000).optional() })
export const TextInput = z.strictObject({ text: z.string().trim().min(1).max(20_000) })

const numbers = z.record(z.string(), z.union([z.string(), z.number()]))

export const Event = z
  .object({
    id: z.string(),
    externalId: z.string().nullable().describe("The sender's own id, unchanged"),
    kind: EventKind,
    outcome: Outcome,
    rule: z.string(),
    receipt: z.array(z.object({ rule: z.string(), text: z.string() })).describe('The rules that decided'),
    title: z.string(),
    description: z.string().nullable(),
    severity: Severity,
    sourceSeverity: z.string().nullable(),
    sourceStatus: z.string().nullable(),
    eventTime: time,
    sourceTime: z.string().nullable(),
    flags: z.array(z.string()),
    receivedAt: time,
    signalKey: z.string().nullable(),
    sourceId: z.string(),
    requestId: z.string(),
    incidentId: z.string().nullable(),
    url: z.string().nullable(),
    labels: z.record(z.string(), z.string()),
    evidence: z
      .object({
        stackTrace: z.array(z.string()).optional(),
        values: numbers.optional(),
        thresholds: numbers.optional(),
        expression: z.string().optional().describe("The query or condition of the alert's rule"),
        links: z.array(z.object({ text: z.string(), href: z.string() })).optional(),
      })
      .nullable(),
    duplicateCount: z.number(),
    lastSeenAt: time,
  })
  .meta({ id: 'Event' }) satisfies z.ZodType<ApiEvent>

export const TimelineEntry = z
  .object({
    id: z.string(),
    at: time,
    kind: z.enum([
      'opened',
      'acknowledged',
      'resolved',
      'reopened',
      'context',
      'note',
      'recovered',
      'partial',
    ]),
    sequence: z.number().nullable().describe("Number among the incident's transitions"),
    actor: z.object({
      type: z.enum(['source', 'key', 'system']),
      id: z.string().nullable(),
      name: z.string(),
    }),
    text: z.string(),
    requestId: z.string().nullable(),
    eventIds: z.array(z.string()),
  })
  .meta({ id: 'TimelineEntry' }) satisfies z.ZodType<ApiTimelineEntry>

const requestFields = {
  id: z.string(),
  receivedAt: time,
  sourceId: z.string().nullable(),
  method: z.string(),
  path: z.string(),
  ip: z.string().nullable(),
  status: z.number().describe('HTTP status answered'),
  outcome: Outcome,
  reason: z.string().nullable(),
  message: z.string().nullable().describe('A sentence for the owner of the source'),
  rule: z.string().nullable().describe('The rule that decided'),
  diagnosis: z
    .string()
    .nullable()
    .describe('What may be wrong with a refused request, or to be mended for one that was taken'),
  deliveryKey: z.string().nullable(),
  incidentId: z.string().nullable(),
  bodySize: z.number(),
  replayable: z.boolean(),
}

export const HookRequestSummary = z
  .object(requestFields)
  .meta({ id: 'Request' }) satisfies z.ZodType<ApiRequest>

export const HookRequestDetail = z
  .object({
    ...requestFields,
    headers: z.record(z.string(), z.string()).describe('Without credentials'),
    body: z.string().nullable(),
    bodyEncoding: z.enum(['utf8', 'base64']).nullable(),
    events: z.array(Event),
  })
  .meta({ id: 'RequestDetail' }) satisfies z.ZodType<ApiRequestDetail>

export const HookRequestQuery = z.strictObject({
  source: id.optional().describe('Source id'),
  outcome: z.array(Outcome).min(1).optional(),
  status: z.array(z.int().min(100).max(599)).min(1).max(20).optional().describe('HTTP status answered'),
  since: timeIn.optional().describe('Received at or after'),
  ...Page.shape,
}) satisfies z.ZodType<ApiRequestQuery>

export const ReplayInput = z.strictObject({
  dryRun: z.boolean().optional().describe('Decide and tell, but store nothing'),
})

export const Key = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(Scope),
    projectId: z.string().nullable().describe('Null: all projects'),
    createdAt: time,
    expiresAt: time.nullable(),
  })
  .meta({ id: 'Key' }) satisfies z.ZodType<ApiKey>

export const OwnKey = Key.pick({ id: true, name: true, scopes: true, projectId: true })
  .extend({ projectName: z.string().nullable().describe('Null where it opens all projects') })
  .meta({ id: 'OwnKey' }) satisfies z.ZodType<ApiOwnKey>

export const KeyInput = z.strictObject({
  name,
  scopes: z.array(Scope).min(1).max(SCOPES.length),
  expiresAt: timeIn.optional(),
}) satisfies z.ZodType<ApiKeyInput>

const MessageType = z.enum(MESSAGE_TYPES).meta({ id: 'MessageType' })
const RetryPolicy = z.enum(RETRY_POLICIES).meta({ id: 'RetryPolicy' })
const Signature = z.strictObject({ header: headerName, format: z.enum(['hex', 'base64']) }).meta({
  id: 'SignatureOption',
  description: 'A second header: HMAC-SHA256 of the body alone, keyed with the whole secret as text',
})

const endpointFields = {
  events: z.array(MessageType).min(1).max(MESSAGE_TYPES.length),
  severities: z.array(Severity).max(SEVERITIES.length).describe('Empty: all'),
  services: services.describe('Any of these; empty: all'),
  labels: labels.describe('All of these; empty: all'),
  sources: z.array(id).max(100).describe('Ids of sources; empty: all'),
  drills: z.boolean().describe('Whether drills are sent too'),
  enabled: z.boolean(),
  policy: RetryPolicy.describe('When a message is tried again, and for how long'),
  description: z.string().trim().max(500).nullable(),
  signature: Signature.nullable(),
}

const url = z.string().min(1).max(2000).describe('https, and a public address unless a setting allows others')
const preset = z
  .literal('uptimera')
  .describe('For receivers built for that sender: its header and its retries')

export const Endpoint = z
  .object({
    id: z.string(),
    url: z.string(),
    ...endpointFields,
    signature: z.object({ header: z.string(), format: z.enum(['hex', 'base64']) }).nullable(),
    disabledReason: z.enum(['by_hand', 'gone', 'failed', 'no_success']).nullable(),
    secret: z.string().describe('Masked without `secrets:read`'),
    counters: z.object({
      pending: z.number(),
      delivered: z.number(),
      failed: z.number(),
      attempts: z.number(),
      lastSuccessAt: time.nullable(),
      lastFailureAt: time.nullable(),
      waitingUntil: time
        .nullable()
        .describe(
          'Until when nothing is sent, after failures or at the receiver\'s wish; `{"enabled": true}` ends it',
        ),
    }),
    createdAt: time,
  })
  .meta({ id: 'Endpoint' }) satisfies z.ZodType<ApiEndpoint>

export const EndpointInput = z.strictObject({
  url,
  secret: secretIn.optional().describe('`whsec_` and 24 to 64 bytes in base64; generated where absent'),
  ...z.object(endpointFields).partial().shape,
  preset: preset.optional(),
}) satisfies z.ZodType<ApiEndpointInput>

export const EndpointPatch = z.strictObject({
  url: url.optional(),
  ...z.object(endpointFields).partial().shape,
  preset: preset.optional(),
}) satisfies z.ZodType<ApiEndpointPatch>

export const EndpointDeletion = z.strictObject({
  keepMinutes: z
    .int()
    .min(0)
    .max(60)
    .optional()
    .describe(
      'How long to go on collecting for it, 0 unless told. Created with the same URL by then, it is back with all that waited: for receivers that register anew at every change',
    ),
})

export const EndpointRotateInput = z.strictObject({
  overlapMinutes: minutes.optional().describe('How long the old secret signs too; 1440 unless told'),
})

export const EndpointTestInput = z.strictObject({})
export const MessageReplayInput = z.strictObject({})

export const Message = z
  .object({
    id: z.string().describe('The `webhook-id`, the same over retries and replays'),
    type: MessageType,
    endpointId: z.string(),
    incidentId: z.string().nullable(),
    sequence: z.number().nullable().describe("Number among the incident's transitions"),
    status: z.enum(['pending', 'delivered', 'failed']),
    reason: z
      .enum(['attempts', 'gone', 'circuit_open', 'restored'])
      .nullable()
      .describe('Why it failed for good; restored: it waited when a backup was made that has been restored'),
    createdAt: time,
    nextAttemptAt: time.nullable().describe('Null where it is done, or waits for the one before it'),
    requestBody: z.string(),
  })
  .meta({ id: 'Message' }) satisfies z.ZodType<ApiMessage>

export const MessageQuery = z.strictObject({
  status: z
    .array(z.enum(['pending', 'delivered', 'failed']))
    .min(1)
    .optional(),
  type: z.array(MessageType).min(1).optional(),
  since: timeIn.optional().describe('Made at or after'),
  until: timeIn.optional().describe('Made at or before'),
  ...Page.shape,
}) satisfies z.ZodType<ApiMessageQuery>

export const MessageSchemaList = z.object({
  schemas: z.array(
    z.object({
      type: MessageType,
      description: z.string().describe('When it is sent'),
      url: z.string().describe('Address of its JSON Schema, which holds an example'),
    }),
  ),
})

export const Attempt = z
  .object({
    at: time,
    requestHeaders: z.record(z.string(), z.string()).describe('Without the signatures'),
    responseStatus: z.number().nullable(),
    durationMs: z.number(),
    error: z.string().nullable(),
    responseBody: z.string().nullable().describe('The first 4 KiB; null for a test'),
  })
  .meta({ id: 'Attempt' }) satisfies z.ZodType<ApiAttempt>

export const ReplayRange = z.strictObject({
  since: timeIn.optional().describe('Made at or after'),
  until: timeIn.optional().describe('Made at or before'),
  status: z
    .array(z.enum(['delivered', 'failed']))
    .min(1)
    .optional(),
}) satisfies z.ZodType<ApiReplayRange>

export const ToolCall = z
  .object({
    id: z.string(),
    at: time,
    projectId: z.string().nullable().describe('Null where no project was found for it'),
    caller: z.object({ keyId: z.string(), name: z.string() }),
    tool: z.string(),
    arguments: z.record(z.string(), z.unknown()).describe('As given, without what may be a secret'),
    outcome: z.string().describe('`ok`, or the code of the error'),
    durationMs: z.number(),
  })
  .meta({ id: 'ToolCall' }) satisfies z.ZodType<ApiToolCall>

export const ToolCallInput = z.strictObject({
  projectId: id.nullable(),
  tool: z.string().min(1).max(100),
  arguments: z
    .record(z.string(), z.unknown())
    .refine((value) => JSON.stringify(value).length <= 10_000, 'may hold at most 10,000 characters of JSON'),
  outcome: z.string().min(1).max(100),
  durationMs: z.int().min(0),
}) satisfies z.ZodType<ApiToolCallInput>

const Template = z.enum(['standard', 'brief', 'five_whys'])
const Audience = z.enum(['internal', 'customer'])

export const PostmortemInput = z.strictObject({
  template: Template.optional().describe('`standard` unless told'),
  audience: Audience.optional().describe(
    '`internal` unless told; for `customer` nothing names hosts, labels, alerts or people',
  ),
  dryRun: z.boolean().optional().describe('Drafts and answers, stores nothing'),
}) satisfies z.ZodType<ApiPostmortemInput>

export const PostmortemRevision = z.strictObject({
  markdown: z
    .string()
    .max(100_000)
    .refine((text) => text.trim() !== '', 'may not be empty'),
})

export const PostmortemQuery = z.strictObject({
  revision: z.int().min(1).optional().describe('The latest unless told'),
  format: z.enum(['json', 'markdown']).optional().describe('`json` unless told'),
})

const evidenceIds = z.array(z.string()).describe('Ids of events or timeline entries')
const ms = z.number().describe('Milliseconds')

const PostmortemFacts = z
  .object({
    title: z.string(),
    status: IncidentStatus,
    severity: Severity,
    drill: z.boolean(),
    services: z.array(z.string()),
    customerImpact: z.boolean().describe('Whether a sender said that customers are affected'),
    startedAt: time.describe("The earliest firing, by the senders' clocks"),
    detectedAt: time.describe('The first word of it that arrived'),
    acknowledgedAt: time.nullable(),
    resolvedAt: time.nullable(),
    timeToDetectMs: ms,
    timeToAcknowledgeMs: ms.nullable(),
    timeToResolveMs: ms.nullable().describe('Milliseconds over all open stretches; null while open'),
    evidenceIds: z
      .object({
        severity: evidenceIds,
        services: evidenceIds,
        customerImpact: evidenceIds,
        startedAt: evidenceIds,
        detectedAt: evidenceIds,
        acknowledgedAt: evidenceIds,
        resolvedAt: evidenceIds,
      })
      .describe('What vouches for the members of these names'),
    stretches: z.array(
      z.object({
        startedAt: time,
        resolvedAt: time.nullable(),
        durationMs: ms.nullable().describe('Null: open, or moved by events that came late'),
        resolution: z.enum(['recovered', 'by_hand']).nullable(),
        evidenceIds,
      }),
    ),
    actions: z.array(
      z.object({
        at: time,
        kind: z.enum(['opened', 'acknowledged', 'resolved', 'reopened', 'note']),
        by: z.object({ type: z.enum(['source', 'key', 'system']), name: z.string() }),
        text: z.string().nullable().describe('Of a note'),
        stillFiring: z.number().nullable().describe('Signals that fired on at a resolution by hand'),
        evidenceIds,
      }),
    ),
    signals: z.array(
      z.object({
        id: z.string(),
        title: z.string(),
        monitor: z.string().nullable(),
        source: z.string(),
        description: z.string().nullable().describe('What its first alert said besides its title'),
        status: z.enum(['firing', 'recovered', 'manual', 'stale']),
        severity: Severity,
        firedAt: time,
        recoveredAt: time.nullable(),
        recovery: z.enum(['reported', 'inferred', 'by_hand']).nullable(),
        firings: z.number(),
        firingMs: ms,
        evidenceIds,
      }),
    ),
    sources: z.array(
      z.object({ id: z.string(), adapter: z.string(), name: z.string(), events: z.number(), evidenceIds }),
    ),
    counts: z.object({
      events: z.number(),
      requests: z.number(),
      duplicates: z.number().describe('Repeats of events, which changed nothing'),
      signals: z.number(),
      firing: z.number(),
      firings: z.number(),
      flaps: z.number().describe('Firings beyond the first of each signal'),
      reopenings: z.number(),
      inferredRecoveries: z.number().describe('Last recoveries that no sender reported'),
      withoutTime: z.number().describe('Events whose sender gave no usable time'),
      notes: z.number(),
    }),
    measurements: z.array(
      z.object({
        at: time,
        signal: z.string(),
        kind: z.enum(['value', 'threshold', 'expression']),
        name: z.string(),
        value: z.union([z.string(), z.number()]),
        evidenceIds,
      }),
    ),
    errors: z.array(
      z.object({
        title: z.string(),
        culprit: z.string().nullable(),
        stackTrace: z.array(z.string()).describe('Innermost frame first'),
        count: z.number().nullable(),
        users: z.number().nullable(),
        firstSeenAt: time.nullable(),
        lastSeenAt: time.nullable(),
        release: z.string().nullable(),
        environment: z.string().nullable(),
        evidenceIds,
      }),
    ),
    coFiring: z
      .array(
        z.object({
          signals: z.tuple([z.string(), z.string()]),
          times: z.number(),
          references: z.array(z.string()),
        }),
      )
      .describe('Signals that fired together in earlier incidents'),
    evidence: z
      .array(z.object({ id: z.string(), kind: z.enum(['event', 'timeline']), at: time, text: z.string() }))
      .describe('Every id cited above, and what stands there'),
  })
  .meta({ id: 'PostmortemFacts' }) satisfies z.ZodType<ApiPostmortemFacts>

export const Postmortem = z
  .object({
    incidentId: z.string(),
    reference: z.string(),
    revision: z.number().nullable().describe('Null: a draft that is not stored'),
    template: Template,
    audience: Audience,
    markdown: z.string(),
    generatedBy: z.enum(['tocsin', 'model', 'person']),
    fallbackReason: z.string().nullable().describe("Why the configured model's text was not used"),
    createdAt: time,
    createdBy: z.string().nullable(),
    facts: PostmortemFacts,
    timeline: z.array(z.object({ at: time, text: z.string(), evidenceIds })),
    gaps: z
      .array(z.object({ section: z.string(), question: z.string() }))
      .describe('What the records cannot know'),
    related: z.array(z.object({ id: z.string(), reference: z.string(), title: z.string(), why: z.string() })),
    unsupported: z
      .array(z.object({ text: z.string(), why: z.string() }))
      .describe('Sentences whose times, numbers or names are not among the facts'),
  })
  .meta({ id: 'Postmortem' }) satisfies z.ZodType<ApiPostmortem>
