import { z } from 'zod'
import { TocsinError } from '../errors.ts'
import type { AlertEvent, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanId, cleanText, cleanUrl, isObject, LIMITS, wholeId } from './clean.ts'
import { newEvent } from './new-event.ts'
import { isTime, readTime } from './read-time.ts'
import { header, sameText } from './signatures.ts'
import { readStatus, type StatusWords } from './status-words.ts'

const KEY_HEADER = 'x-api-key'

/** The words GitPulse's page maps in prose for Uptime Kuma, which its tables leave out. */
const MORE_WORDS: StatusWords = { PENDING: 'fire', MAINTENANCE: 'recover' }

const REQUIRED = ['incident_id', 'project_uuid', 'status', 'incident_time'] as const

/** The template of GitPulse's page for Grafana, which speaks of the first alert alone. */
const GRAFANA_TEMPLATE = {
  incident_id: '{{ (index .Alerts 0).Fingerprint }}',
  project_uuid: '<id of this project>',
  status: '{{ .Status }}',
  incident_time: '{{ (index .Alerts 0).StartsAt }}',
  monitor_name: '{{ (index .Alerts 0).Labels.alertname }}',
  monitor_id: '{{ (index .Alerts 0).Labels.monitor_id }}',
  message: '{{ (index .Alerts 0).Annotations.message }}',
}

const KUMA_NOW = "{{ 'now' | date: '%Y-%m-%d %H:%M:%S' }}"

/** And the one for Uptime Kuma, in Liquid; a test and a notice have no heartbeat. */
const KUMA_TEMPLATE = {
  incident_id: '{{ monitorJSON.name }}',
  project_uuid: '<id of this project>',
  status:
    '{% if heartbeatJSON %}{% if heartbeatJSON.status == 0 %}down{% elsif heartbeatJSON.status == 1 %}up{% elsif heartbeatJSON.status == 2 %}pending{% else %}maintenance{% endif %}{% else %}pending{% endif %}',
  incident_time: `{% if heartbeatJSON %}{{ heartbeatJSON.time }}{% else %}${KUMA_NOW}{% endif %}`,
  local_time: `{% if heartbeatJSON %}{{ heartbeatJSON.localDateTime }}{% else %}${KUMA_NOW}{% endif %}`,
  timezone: '{% if heartbeatJSON %}{{ heartbeatJSON.timezone }}{% else %}UTC{% endif %}',
  monitor_name: '{{ monitorJSON.name }}',
  monitor_id: '{{ monitorJSON.id }}',
  message: '{{ msg }}',
}

/** What was built for GitPulse's incident webhook, the templates of its page for Grafana and Uptime Kuma included. */
export const gitpulse: Adapter = {
  slug: 'gitpulse',
  name: 'GitPulse incident webhook',
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 0 },
  marks: ['incident_id', 'project_uuid', 'incident_time'],
  path: '/api/incidents/webhook/',
  dropIn: {
    credential: (request) => header(request, KEY_HEADER),
    projectId: (body) => (isObject(body) ? (textOf(body.project_uuid) ?? undefined) : undefined),
    takesApiKey: true,
  },

  credentialHeaders: () => [KEY_HEADER],

  verify: (request, secret) => secret !== '' && sameText(header(request, KEY_HEADER) ?? '', secret),

  parse(body, _request, settings) {
    const fields = z.record(z.string(), z.unknown()).parse(body)
    if (isTemplateTest(fields)) {
      const title = cleanText(fields.message, LIMITS.title) ?? 'Uptime Kuma test'
      const event = newEvent({ kind: 'info', test: true, title, sourceStatus: 'pending' })
      return { events: [event], delivery: null, group: null, filtered: null, echo: '' }
    }
    const event = toEvent(fields, settings)
    const { incident_id: id } = fields
    const echo = typeof id === 'string' ? id : (event.externalId ?? '')
    return { events: [event], delivery: null, group: null, filtered: null, echo }
  },

  testRequest: (kind, { id, at, secret, projectId }) => ({
    headers: { 'content-type': 'application/json', [KEY_HEADER]: secret },
    body: JSON.stringify({
      incident_id: id,
      project_uuid: projectId,
      status: kind === 'fire' ? 'ALERT' : 'RECOVERY',
      incident_time: kind === 'fire' ? at : new Date(Date.parse(at) + 1000).toISOString(),
      monitor_name: 'Tocsin test',
      message: 'A test sent from Tocsin. Nothing is wrong.',
    }),
  }),

  says: {
    credential: '`X-API-Key` (the secret of the source, or an API key of the project with `events:write`)',
    opens: 'its ALERT words (`DOWN`, `FIRING`, `WARN` …), `pending`',
    acknowledges: '`ACKNOWLEDGED`',
    resolves: 'its RECOVERY words (`UP`, `RESOLVED`, `OK` …), `maintenance`',
    identity:
      '`incident_id`, the same for the alert and its recovery; else a recovery is paired by `monitor_id`.',
    retries: 'As the tool behind it does; the same `incident_time` and kind again updates the texts.',
  },

  setup: [
    'Where the tool has the address of the GitPulse webhook, paste {url}.',
    'Set the header `X-API-Key` to the secret of this source.',
    'In the body, set `project_uuid` to the id of this project; the rest of the template stays.',
    `Grafana without a template yet: add a custom payload of ${asCode(GRAFANA_TEMPLATE)}`,
    `Uptime Kuma without a template yet: choose the request body Custom and paste ${asCode(KUMA_TEMPLATE)}`,
  ],
}

function asCode(template: object): string {
  return `\`${JSON.stringify(template)}\``
}

function toEvent(fields: Record<string, unknown>, settings: SourceSettings): AlertEvent {
  for (const name of REQUIRED)
    if (textOf(fields[name]) === null) throw refused(name, 'is missing: send it as text')
  const sourceTime = cleanText(fields.incident_time, LIMITS.word) ?? ''
  if (!isTime(sourceTime))
    throw refused('incident_time', 'is no time: send ISO 8601, such as 2025-01-15T10:30:00Z')
  const repository = textOf(fields.repo_uuid)
  if (
    repository !== null &&
    settings.repositories.length > 0 &&
    !settings.repositories.includes(repository)
  ) {
    throw new TocsinError('not_found', `Repository with UUID '${printable(repository)}' not found`)
  }

  const id = cleanId(fields.incident_id)!
  const status = readStatus(textOf(fields.status), settings.statusWords, MORE_WORDS)
  const eventTime = readTime(sourceTime)
  const monitorId = cleanId(textOf(fields.monitor_id))
  const name = cleanText(textOf(fields.monitor_name), LIMITS.title)
  const message = cleanText(textOf(fields.message), LIMITS.description)
  const localTime = cleanText(textOf(fields.local_time), LIMITS.word)
  const timezone = cleanText(textOf(fields.timezone), LIMITS.word)
  return newEvent({
    kind: status.kind,
    upsert: true,
    ...(status.reopen && { reopen: true }),
    signalKey: id,
    eventTime,
    sourceTime,
    timeFrom: 'body',
    eventId: `${id} ${sourceTime} ${status.kind}`,
    externalId: wholeId(fields.incident_id),
    title: name ?? cleanText(message, LIMITS.title) ?? cleanText(fields.incident_id, LIMITS.title) ?? id,
    description: message,
    severity: status.severity,
    sourceStatus: status.sourceStatus,
    url: cleanUrl(fields.url),
    monitor: monitorId === null && name === null ? null : { id: monitorId, name, url: null },
    labels: repository === null ? {} : { repo_uuid: repository },
    metadata: { ...(localTime !== null && { localTime }), ...(timezone !== null && { timezone }) },
  })
}

/** What a template left empty is absent, also as Go and Liquid write it. */
function textOf(value: unknown): string | null {
  const text = cleanText(value, LIMITS.description)
  return text === '<no value>' || text === 'null' || text === 'undefined' ? null : text
}

/** The test button of Uptime Kuma through the template of GitPulse's page: no monitor, so no id. */
function isTemplateTest(fields: Record<string, unknown>): boolean {
  return textOf(fields.status)?.toLowerCase() === 'pending' && fields.incident_id === ''
}

/** Stands in an answer and a log. */
function printable(text: string): string {
  return text.slice(0, 100).replaceAll(/[^\w.:@/-]/g, '?')
}

function refused(field: string, problem: string): z.ZodError {
  return new z.ZodError([{ code: 'custom', path: [field], message: `${field} ${problem}`, input: undefined }])
}
