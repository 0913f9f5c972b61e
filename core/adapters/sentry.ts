import { z } from 'zod'
import type { AlertEvent, Evidence, HookRequest, Labels, ParsedRequest, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { cleanLabels, cleanText, cleanUrl, firstText, isObject, LIMITS, sha256, titleKey } from './clean.ts'
import {
  anything,
  someDescription,
  someId,
  someList,
  someName,
  someObject,
  someTime,
  someTitle,
  someWord,
} from './fields.ts'
import { newEvent } from './new-event.ts'
import { readTime } from './read-time.ts'
import { readSeverity } from './severity.ts'
import { hasHmacSha256, header, hmacSha256 } from './signatures.ts'
import { readStatus, type StatusWords } from './status-words.ts'

/** A Sentry issue action whose body was seen this long ago is the same delivery (matching.md D2). */
const ISSUE_DELIVERY_WINDOW_MS = 20 * 60 * 1000
const MAX_FRAMES = 50
const MAX_FRAME_LENGTH = 200

/** https://docs.sentry.io/integrations/integration-platform/webhooks/ */
const Envelope = z.object({ action: someWord, data: z.record(z.string(), z.unknown()) })

const Project = z.object({ slug: someWord, id: someId, name: someName }).nullish().catch(null)

/** https://docs.sentry.io/integrations/integration-platform/webhooks/issues/ */
const IssueData = z.object({
  issue: z.object({
    id: z.union([z.string().min(1), z.number()]).transform(String),
    title: someTitle,
    culprit: someName,
    level: someWord,
    shortId: someWord,
    substatus: someWord,
    platform: someWord,
    count: someWord,
    userCount: someWord,
    firstSeen: someTime,
    lastSeen: someTime,
    web_url: anything,
    permalink: anything,
    metadata: someObject,
    project: Project,
  }),
  resolution_type: someWord,
})

/** https://docs.sentry.io/integrations/integration-platform/webhooks/issue-alerts/ */
const Event = z.object({
  event_id: someId,
  issue_id: someId,
  // Captures of 2020 have no issue_id; the address of the issue ends with it.
  issue_url: anything,
  web_url: anything,
  url: anything,
  project: someId,
  title: someTitle,
  message: someDescription,
  logentry: someObject,
  culprit: someName,
  level: someWord,
  platform: someWord,
  environment: someName,
  release: anything,
  datetime: someTime,
  timestamp: someTime,
  received: someTime,
  tags: someList,
  metadata: someObject,
  exception: someObject,
  stacktrace: someObject,
})

const EventAlertData = z.object({ event: Event, triggered_rule: someName })
/** https://docs.sentry.io/integrations/integration-platform/webhooks/errors/ */
const ErrorData = z.object({ error: Event })

/** https://docs.sentry.io/integrations/integration-platform/webhooks/metric-alerts/ */
const MetricAlertData = z.object({
  metric_alert: z.object({
    id: z.union([z.string().min(1), z.number()]).transform(String),
    title: someTitle,
    projects: someList,
    date_detected: someTime,
    date_closed: someTime,
    alert_rule: z
      .object({
        id: someId,
        name: someTitle,
        aggregate: someName,
        query: someName,
        environment: someName,
        triggers: someList,
        resolve_threshold: anything,
      })
      .nullish()
      .catch(null),
  }),
  description_title: someTitle,
  description_text: someDescription,
  web_url: anything,
})

/** https://docs.sentry.io/integrations/integration-platform/webhooks/comments/ */
const CommentData = z.object({
  comment_id: someId,
  issue_id: someId,
  project_slug: someWord,
  comment: someDescription,
})

/**
 * The WebHooks plugin, per project, "legacy integration".
 * https://github.com/getsentry/sentry/blob/master/src/sentry/plugins/sentry_webhooks/plugin.py
 */
const PluginBody = z.object({
  id: z.union([z.string().min(1), z.number()]).transform(String),
  project: someWord,
  project_slug: someWord,
  level: someWord,
  culprit: someName,
  message: someDescription,
  url: anything,
  triggering_rules: someList,
  event: Event,
})

/** With the member around them, so that a refusal names the whole path. */
const HOOKS = {
  issue: z.object({ data: IssueData }),
  eventAlert: z.object({ data: EventAlertData }),
  error: z.object({ data: ErrorData }),
  metricAlert: z.object({ data: MetricAlertData }),
  comment: z.object({ data: CommentData }),
}

type Event = z.infer<typeof Event>

const ISSUE_ACTIONS: StatusWords = {
  CREATED: 'fire',
  UNRESOLVED: 'fire',
  RESOLVED: 'recover',
  ASSIGNED: 'info',
  ARCHIVED: 'info',
  IGNORED: 'info',
}

const METRIC_ALERT_ACTIONS: StatusWords = {
  CRITICAL: 'fire',
  WARNING: 'fire',
  OPEN: 'fire',
  RESOLVED: 'recover',
}

/** What one resource of Sentry's is read into. */
interface Reading {
  event: AlertEvent
  /** Slugs (or numbers) of the projects it belongs to; empty where the body does not say. */
  projects: (string | null | undefined)[]
  delivery?: ParsedRequest['delivery']
}

/** What every reader of a resource gets. */
interface Hook {
  action: string | null
  data: Record<string, unknown>
  /** Seconds since 1970, as sent; ordering goes by it, because Sentry's clock is not that of the SDKs. */
  sentAt: string | null
  bodyHash: string
  settings: SourceSettings
}

/** Sentry: internal integrations, and the legacy WebHooks plugin at a token address. */
export const sentry: Adapter = {
  slug: 'sentry',
  name: 'Sentry',
  defaults: { address: 'project', grouping: 'project', reopenWindowMinutes: 5 },
  ownSettings: ['sentryProject'],
  marks: ['data', 'installation', 'event', 'project_slug', 'triggering_rules'],
  informs: ['*'],

  credentialHeaders: () => ['sentry-hook-signature'],

  verify: (request, secret) =>
    hasHmacSha256(request.rawBody, header(request, 'sentry-hook-signature'), secret),

  parse(body, request, settings) {
    const { event, projects, delivery = null } = read(body, request, settings)
    return { events: [event], delivery, group: null, filtered: filter(projects, settings) }
  },

  testRequest(kind, { id, at, secret, settings }) {
    const slug = settings.sentryProject ?? 'tocsin-test'
    const body = JSON.stringify({
      action: kind === 'fire' ? 'created' : 'resolved',
      actor: { type: 'application', id: 'sentry', name: 'Sentry' },
      data: {
        issue: {
          id,
          title: 'Tocsin test',
          culprit: 'A test sent from Tocsin. Nothing is wrong.',
          level: 'info',
          status: kind === 'fire' ? 'unresolved' : 'resolved',
          project: { slug, name: slug },
          firstSeen: at,
          lastSeen: at,
        },
      },
    })
    return {
      headers: {
        'content-type': 'application/json',
        'sentry-hook-resource': 'issue',
        'sentry-hook-timestamp': String(Math.floor(Date.parse(at) / 1000)),
        'sentry-hook-signature': hmacSha256(body, secret),
      },
      body,
    }
  },

  says: {
    credential:
      '`Sentry-Hook-Signature` (HMAC-SHA256 of the body); for the legacy WebHooks plugin the token in the address',
    opens: 'issue created or unresolved; issue alert; metric alert; every event of the legacy plugin',
    acknowledges: null,
    resolves: 'issue resolved; metric alert resolved',
    identity:
      'The id of the issue: its alerts, its resolution and the legacy plugin meet. A metric alert is its own id.',
    retries: 'An internal integration nothing; it waits 1 s for the answer.',
  },

  setup: [
    'In Sentry, open Settings > Developer Settings and create an internal integration.',
    'Set its Webhook URL to {url} and switch on Alert Rule Action.',
    'Give it the permission Issue & Event: Read, tick the webhooks issue and, if wanted, comment, and save.',
    'Copy the Client Secret that Sentry shows into the secret of this source.',
    'In your alert rules, add the action "Send a notification via" this integration.',
  ],
}

function read(body: unknown, request: HookRequest, settings: SourceSettings): Reading {
  const bodyHash = sha256(request.rawBody)
  const resource = header(request, 'sentry-hook-resource') ?? null
  if (resource === null && isPluginBody(body)) return readPlugin(body)

  const { action, data } = Envelope.parse(body)
  const sentAt = cleanText(header(request, 'sentry-hook-timestamp'), LIMITS.word)
  const hook: Hook = { action, data, sentAt, bodyHash, settings }
  switch (resource ?? resourceOf(data)) {
    case 'issue':
      return readIssue(hook)
    case 'event_alert':
      return readEventAlert(hook)
    case 'metric_alert':
      return readMetricAlert(hook)
    case 'error':
      return readError(hook)
    case 'comment':
      return readComment(hook)
    default:
      // Sentry adds resources without notice; they are told, not refused.
      return readOther(resource, hook)
  }
}

/** A body that came without the header, by a proxy or by hand. */
function resourceOf(data: Record<string, unknown>): string | null {
  if (Object.hasOwn(data, 'issue')) return 'issue'
  if (Object.hasOwn(data, 'event')) return 'event_alert'
  if (Object.hasOwn(data, 'metric_alert')) return 'metric_alert'
  if (Object.hasOwn(data, 'error')) return 'error'
  return Object.hasOwn(data, 'comment_id') ? 'comment' : null
}

function isPluginBody(body: unknown): boolean {
  return isObject(body) && isObject(body.event) && !isObject(body.data)
}

function readIssue(hook: Hook): Reading {
  const data = HOOKS.issue.parse(hook).data
  const { issue } = data
  const status = readStatus(hook.action, hook.settings.statusWords, ISSUE_ACTIONS)
  const values = presentValues({
    culprit: issue.culprit,
    count: issue.count,
    userCount: issue.userCount,
    firstSeen: issue.firstSeen,
    lastSeen: issue.lastSeen,
  })
  const event = newEvent({
    kind: status.kind,
    signalKey: issue.id,
    ...timeOfHook(hook),
    eventId: [issue.id, hook.action ?? '', hook.bodyHash].join(' '),
    externalId: issue.id,
    title: issue.title ?? issue.shortId ?? `Issue ${issue.id}`,
    description: lines(issue.culprit, issue.metadata.value),
    severity: readSeverity(issue.level),
    sourceSeverity: issue.level,
    sourceStatus: status.sourceStatus,
    url: cleanUrl(issue.web_url) ?? cleanUrl(issue.permalink),
    labels: labelsOf({ project: issue.project?.slug, platform: issue.platform }),
    metadata: present({
      shortId: issue.shortId,
      substatus: issue.substatus,
      resolutionType: data.resolution_type,
    }),
    evidence: values ? { values } : null,
  })
  return {
    event,
    projects: [issue.project?.slug, issue.project?.id],
    // Every retry has a new Request-ID, but the same body.
    delivery: { key: hook.bodyHash, windowMs: ISSUE_DELIVERY_WINDOW_MS },
  }
}

function readEventAlert(hook: Hook): Reading {
  const { event, triggered_rule: rule } = HOOKS.eventAlert.parse(hook).data
  return {
    event: {
      ...eventOf(event, { issueId: issueIdOf(event), level: event.level, rule }),
      ...timeOfHook(hook),
      kind: readStatus(hook.action, hook.settings.statusWords, { TRIGGERED: 'fire' }).kind,
      sourceStatus: hook.action,
    },
    projects: [projectSlug(event), event.project],
  }
}

/** One per error, not per outage: told, never opened for. */
function readError(hook: Hook): Reading {
  const { error } = HOOKS.error.parse(hook).data
  return {
    event: {
      ...eventOf(error, { issueId: issueIdOf(error), level: error.level, rule: null }),
      ...timeOfHook(hook),
      kind: 'info',
      sourceStatus: hook.action,
    },
    projects: [projectSlug(error), error.project],
  }
}

function readPlugin(body: unknown): Reading {
  const hook = PluginBody.parse(body)
  const { event } = hook
  const sourceTime = event.received ?? event.timestamp
  const eventTime = readTime(sourceTime)
  const rules = hook.triggering_rules
    .map((rule) => cleanText(rule, LIMITS.name))
    .filter((rule) => rule !== null)
  const alert = eventOf(event, {
    issueId: hook.id,
    level: hook.level ?? event.level,
    rule: rules.join(', ') || null,
  })
  return {
    event: {
      ...alert,
      eventTime,
      sourceTime,
      timeFrom: eventTime === null ? null : 'body',
      title:
        firstText(LIMITS.title, event.title, errorTitle(event), hook.message, hook.culprit) ??
        `Issue ${hook.id}`,
      description: alert.description ?? lines(hook.culprit, hook.message),
      url: cleanUrl(hook.url) ?? alert.url,
      labels: labelsOf({ ...alert.labels, project: hook.project_slug ?? hook.project }),
    },
    projects: [hook.project_slug, hook.project],
  }
}

function readMetricAlert(hook: Hook): Reading {
  const data = HOOKS.metricAlert.parse(hook).data
  const alert = data.metric_alert
  const rule = alert.alert_rule ?? null
  const projects = alert.projects.map((slug) => cleanText(slug, LIMITS.word))
  const status = readStatus(hook.action, hook.settings.statusWords, METRIC_ALERT_ACTIONS)
  const bodyTime = status.kind === 'recover' ? alert.date_closed : alert.date_detected
  const eventTime = readTime(bodyTime)
  const isFire = status.kind === 'fire'
  const thresholds = rule === null ? undefined : thresholdsOf(rule.triggers, rule.resolve_threshold)
  const expression = rule?.aggregate && [rule.aggregate, rule.query].filter(Boolean).join(' where ')

  const event = newEvent({
    kind: status.kind,
    // Issues and metric alerts are numbered apart, so one number may name both.
    signalKey: `metric:${alert.id}`,
    episode: alert.id,
    episodeStart: readTime(alert.date_detected),
    ...(eventTime === null
      ? timeOfHook(hook)
      : { eventTime, sourceTime: bodyTime, timeFrom: 'body' as const }),
    eventId: [alert.id, hook.action ?? '', hook.bodyHash].join(' '),
    externalId: alert.id,
    // The alert's own title may be a random code name.
    title: data.description_title ?? rule?.name ?? alert.title ?? `Metric alert ${alert.id}`,
    description: data.description_text,
    severity: isFire ? readSeverity(hook.action) : null,
    sourceSeverity: isFire ? hook.action : null,
    sourceStatus: status.sourceStatus,
    url: cleanUrl(data.web_url),
    monitor: rule === null ? null : { id: rule.id, name: rule.name, url: null },
    labels: labelsOf({
      project: projects[0],
      aggregate: rule?.aggregate,
      query: rule?.query,
      environment: rule?.environment,
    }),
    evidence:
      thresholds || expression
        ? { ...(thresholds && { thresholds }), ...(expression && { expression }) }
        : null,
  })
  return { event, projects }
}

function readComment(hook: Hook): Reading {
  const comment = HOOKS.comment.parse(hook).data
  const event = newEvent({
    kind: 'info',
    signalKey: comment.issue_id,
    ...timeOfHook(hook),
    eventId: ['comment', comment.comment_id ?? '', hook.action ?? '', hook.bodyHash].join(' '),
    externalId: comment.comment_id,
    title: `Comment ${hook.action ?? 'created'} in Sentry`,
    description: comment.comment,
    sourceStatus: hook.action,
    labels: labelsOf({ project: comment.project_slug }),
  })
  return { event, projects: [comment.project_slug] }
}

function readOther(resource: string | null, hook: Hook): Reading {
  const name = [cleanText(resource, LIMITS.word), hook.action].filter((word) => word !== null).join(' ')
  const event = newEvent({
    kind: 'info',
    ...timeOfHook(hook),
    eventId: hook.bodyHash,
    title: `Sentry: ${name || 'notification'}`,
    sourceStatus: hook.action,
  })
  return { event, projects: [cleanText(hook.data.project_slug, LIMITS.word)] }
}

/** What an issue alert, an error and the plugin have in common: the event that made them. */
function eventOf(
  event: Event,
  { issueId, level, rule }: { issueId: string | null; level: string | null; rule: string | null },
): AlertEvent {
  const tags = cleanLabels(Object.fromEntries(event.tags.filter(isTag)))
  const word = level ?? tags.level ?? null
  const environment = event.environment ?? tags.environment
  const release = releaseOf(event) ?? tags.release
  const title = event.title ?? errorTitle(event) ?? firstText(LIMITS.title, event.message, event.culprit)
  const ownKey = title === null ? event.event_id : titleKey(title)
  const signalKey = issueId ?? ownKey
  if (signalKey === null) throw missingIssue()

  const frames = stackTrace(event)
  const values = presentValues({ culprit: event.culprit, release, environment })
  const evidence: Evidence = {
    ...(frames.length > 0 && { stackTrace: frames }),
    ...(values && { values }),
  }

  return newEvent({
    kind: 'fire',
    // Sentry marks the events its "Send Test Notification" and onboarding make up.
    ...(tags.sample_event === 'yes' && { test: true }),
    signalKey,
    ...(issueId === null && { anonymous: true }),
    firedAt: readTime(event.datetime) ?? readTime(event.timestamp),
    eventId: event.event_id === null ? null : [event.event_id, rule ?? ''].join(' '),
    externalId: event.event_id,
    title: title ?? 'Sentry alert',
    description: lines(event.culprit, event.message ?? event.logentry.formatted, rule && `Rule: ${rule}`),
    severity: readSeverity(word),
    sourceSeverity: word,
    url: cleanUrl(event.web_url),
    services: tags.service ? [tags.service] : [],
    labels: labelsOf({
      ...tags,
      project: projectSlug(event),
      platform: event.platform,
      environment,
      release,
    }),
    metadata: present({ rule }),
    evidence: Object.keys(evidence).length > 0 ? evidence : null,
  })
}

function timeOfHook({ sentAt }: Hook): Pick<AlertEvent, 'eventTime' | 'sourceTime' | 'timeFrom'> {
  const eventTime = readTime(sentAt)
  return { eventTime, sourceTime: sentAt, timeFrom: eventTime === null ? null : 'header' }
}

function errorTitle({ metadata }: Event): string | null {
  const [type, value] = [cleanText(metadata.type, LIMITS.name), cleanText(metadata.value, LIMITS.title)]
  return type !== null && value !== null ? cleanText(`${type}: ${value}`, LIMITS.title) : (type ?? value)
}

function releaseOf({ release }: Event): string | null {
  return cleanText(isObject(release) ? release.version : release, LIMITS.name)
}

/** The body names its project by number only; the slug stands in the API address of the event. */
function projectSlug({ url }: Event): string | null {
  const path = typeof url === 'string' ? url.slice(0, LIMITS.url) : ''
  return /\/api\/0\/projects\/[^/]+\/([^/]+)\/events\//.exec(path)?.[1] ?? null
}

function issueIdOf(event: Event): string | null {
  return event.issue_id ?? lastNumber(event.issue_url) ?? lastNumber(event.web_url, 'issues')
}

function missingIssue(): z.ZodError {
  const message =
    'data.event.issue_id is missing, and issue_url, title and event_id are, too: send one of them'
  return new z.ZodError([{ code: 'custom', path: ['data', 'event', 'issue_id'], message, input: undefined }])
}

/** The last number in the path of an address, or the one after the segment named. */
function lastNumber(url: unknown, after?: string): string | null {
  if (typeof url !== 'string' || url.length > LIMITS.url) return null
  const segments = url
    .split(/[?#]/, 1)[0]!
    .split('/')
    .filter((segment) => segment !== '')
  const candidate = after === undefined ? segments.at(-1) : segments[segments.indexOf(after) + 1]
  return candidate !== undefined && /^\d+$/.test(candidate) ? candidate : null
}

/** Frames of the exceptions, innermost first; Sentry sends both exceptions and frames the other way round. */
function stackTrace({ exception, stacktrace }: Event): string[] {
  const exceptions = Array.isArray(exception.values) ? exception.values.toReversed() : []
  const stacks = [...exceptions.map((item) => (isObject(item) ? item.stacktrace : null)), stacktrace]
  const trace: string[] = []
  for (const stack of stacks) {
    const frames = isObject(stack) && Array.isArray(stack.frames) ? stack.frames : []
    for (const frame of frames.slice(-MAX_FRAMES).reverse()) {
      const text = isObject(frame) ? frameText(frame) : null
      if (text !== null && trace.length < MAX_FRAMES) trace.push(text)
    }
  }
  return trace
}

function frameText(frame: Record<string, unknown>): string | null {
  const place = firstText(MAX_FRAME_LENGTH, frame.filename, frame.module, frame.abs_path)
  const line = cleanText(frame.lineno, LIMITS.word)
  const where = place === null ? null : line === null ? place : `${place}:${line}`
  const name = cleanText(frame.function, MAX_FRAME_LENGTH)
  return cleanText(name !== null && where !== null ? `${name} (${where})` : (name ?? where), MAX_FRAME_LENGTH)
}

function thresholdsOf(triggers: unknown[], resolve: unknown): Evidence['thresholds'] {
  const members = triggers
    .filter(isObject)
    .map((trigger) => [trigger.label, trigger.alert_threshold] as const)
  const thresholds: Record<string, number> = {}
  for (const [label, value] of [...members, ['resolve', resolve] as const]) {
    const name = cleanText(label, LIMITS.labelName)
    if (name !== null && typeof value === 'number' && Number.isFinite(value)) thresholds[name] = value
  }
  return Object.keys(thresholds).length > 0 ? thresholds : undefined
}

/** A project we can tell must be the one asked for; where the body names none, nothing is kept out. */
function filter(projects: Reading['projects'], { sentryProject }: SourceSettings): string | null {
  const wanted = sentryProject?.trim().toLowerCase()
  const known = projects.filter((project) => typeof project === 'string')
  if (!wanted || known.length === 0 || known.some((project) => project.toLowerCase() === wanted)) return null
  return 'It belongs to another Sentry project than the one this source is limited to.'
}

function isTag(tag: unknown): tag is [string, unknown] {
  return Array.isArray(tag) && typeof tag[0] === 'string' && tag[0] !== '__proto__'
}

function labelsOf(labels: Record<string, string | null | undefined>): Labels {
  return cleanLabels(present(labels))
}

function presentValues(
  values: Record<string, string | null | undefined>,
): Record<string, string> | undefined {
  const kept = present(values)
  return Object.keys(kept).length > 0 ? kept : undefined
}

/** The members that say something. */
function present(members: Record<string, string | null | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members).filter((member): member is [string, string] => Boolean(member[1])),
  )
}

function lines(...texts: unknown[]): string | null {
  const known = texts.map((text) => cleanText(text, LIMITS.description)).filter((text) => text !== null)
  return cleanText([...new Set(known)].join('\n'), LIMITS.description)
}
