import { z } from 'zod'
import type { AlertEvent, AlertGroup, Evidence, Labels, ParsedRequest, SourceSettings } from '../types.ts'
import { cleanId, cleanServices, cleanText, cleanUrl, firstText, isObject, LIMITS, sha256 } from './clean.ts'
import {
  anything,
  listOf,
  someDescription,
  someId,
  someLabels,
  someName,
  someObject,
  someTime,
  someWord,
} from './fields.ts'
import { newEvent } from './new-event.ts'
import { readTime } from './read-time.ts'
import { readSeverity } from './severity.ts'
import { readStatus } from './status-words.ts'

/**
 * The notification body that Prometheus Alertmanager sends and that Grafana extends.
 * https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 * https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
 */
const Alert = z.object({
  status: someWord,
  labels: someLabels,
  annotations: someLabels,
  startsAt: someTime,
  endsAt: someTime,
  generatorURL: anything,
  fingerprint: someId,
  silenceURL: anything,
  dashboardURL: anything,
  panelURL: anything,
  imageURL: anything,
  ruleUID: someId,
  values: someObject,
  valueString: someDescription,
})

const Notification = z.object({
  alerts: listOf(Alert, {
    name: 'alerts',
    most: LIMITS.alerts,
    remedy: 'group by more labels, or set max_alerts in the webhook_config (Grafana: Max Alerts)',
  }),
  status: someWord,
  groupKey: someId,
  truncatedAlerts: anything.transform(readCount),
  commonLabels: someObject,
  externalURL: anything,
  title: someName,
  message: someDescription,
  orgId: someId,
})

type Alert = z.infer<typeof Alert>
type Notification = z.infer<typeof Notification>

/** Whether the body has the one member no other body of these tools has. */
export function isAlertGroup(body: unknown): boolean {
  return isObject(body) && Object.hasOwn(body, 'alerts')
}

/** One event per alert, and the group they came in. Throws ZodError where `alerts` is not a list of objects. */
export function parseAlertGroup(
  body: unknown,
  settings: SourceSettings,
  { fromGrafana }: { fromGrafana: boolean },
): ParsedRequest {
  const notification = Notification.parse(body)
  // Only Grafana has a button that sends a `TestAlert`; elsewhere that is the name of somebody's rule.
  const hasTestButton = fromGrafana || notification.orgId !== null
  const alerts = notification.alerts.map((alert) => ({ alert, key: signalKey(alert) }))
  return {
    events: alerts.map(({ alert, key }) => ({
      ...toEvent(alert, key, notification, settings),
      ...(hasTestButton && alert.labels.alertname === 'TestAlert' && { test: true }),
    })),
    delivery: null,
    group: readGroup(notification, alerts),
    filtered: null,
  }
}

/** A notification with one alert, as both tools would send it. */
export function alertGroupBody(
  kind: 'fire' | 'recover',
  { id, at }: { id: string; at: string },
  extra: { alert?: object; group?: object } = {},
): string {
  const status = kind === 'fire' ? 'firing' : 'resolved'
  const labels = { alertname: 'Tocsin test', severity: 'low', test_id: id }
  return JSON.stringify({
    receiver: 'tocsin',
    status,
    alerts: [
      {
        status,
        labels,
        annotations: { summary: 'A test sent from Tocsin. Nothing is wrong.' },
        startsAt: at,
        endsAt: kind === 'fire' ? '0001-01-01T00:00:00Z' : new Date(Date.parse(at) + 1000).toISOString(),
        generatorURL: '',
        fingerprint: sha256(id).slice(0, 16),
        ...extra.alert,
      },
    ],
    groupLabels: { alertname: labels.alertname },
    commonLabels: labels,
    commonAnnotations: {},
    externalURL: '',
    groupKey: `{}:{alertname="${labels.alertname}", test_id="${id}"}`,
    truncatedAlerts: 0,
    ...extra.group,
  })
}

function toEvent(
  alert: Alert,
  key: string,
  notification: Notification,
  settings: SourceSettings,
): AlertEvent {
  const { labels, annotations } = alert
  // The status of the group says nothing of a single alert: a firing group holds resolved ones too.
  const status = readStatus(alert.status, settings.statusWords)
  const sourceTime = status.kind === 'recover' ? alert.endsAt : alert.startsAt
  const episodeStart = readTime(alert.startsAt)
  const eventTime = status.kind === 'recover' ? readTime(alert.endsAt) : episodeStart
  const base = cleanUrl(notification.externalURL)
  const severityWord = firstText(LIMITS.word, labels.severity, labels.priority)

  return newEvent({
    kind: status.kind,
    signalKey: key,
    episode: episodeStart,
    episodeStart,
    eventTime,
    sourceTime,
    timeFrom: eventTime === null ? null : 'body',
    eventId: [key, status.sourceStatus ?? '', alert.startsAt ?? ''].join(' '),
    externalId: alert.fingerprint,
    title: title(labels, notification),
    description: firstText(
      LIMITS.description,
      annotations.summary,
      annotations.description,
      notification.message,
    ),
    severity: readSeverity(severityWord) ?? status.severity,
    sourceSeverity: severityWord,
    sourceStatus: status.sourceStatus,
    url:
      cleanUrl(alert.generatorURL, base) ??
      cleanUrl(alert.panelURL, base) ??
      cleanUrl(alert.dashboardURL, base) ??
      base,
    monitor: monitor(alert),
    services: cleanServices([labels.service ?? labels.job]),
    labels,
    metadata: Object.keys(annotations).length > 0 ? { annotations } : {},
    evidence: evidence(alert, base),
  })
}

function signalKey(alert: Alert): string {
  if (alert.fingerprint !== null) return alert.fingerprint
  // Alertmanager before 0.19 sends no fingerprint. The label set is what one is made of.
  const sorted = Object.entries(alert.labels).sort(([left], [right]) => (left < right ? -1 : 1))
  return `labels:${sha256(JSON.stringify(sorted))}`
}

function title(labels: Labels, { commonLabels, title }: Notification): string {
  const name = firstText(LIMITS.title, labels.alertname, commonLabels.alertname, title)
  // Grafana names alerts about a rule it could not evaluate after the failure; the rule is in a label.
  const failure = name === 'DatasourceNoData' || name === 'DatasourceError'
  const rule = failure ? cleanText(labels.rulename, LIMITS.name) : null
  return rule === null ? (name ?? 'Unnamed alert') : `${name}: ${rule}`.slice(0, LIMITS.title)
}

function monitor(alert: Alert): AlertEvent['monitor'] {
  const link = typeof alert.generatorURL === 'string' ? alert.generatorURL.slice(0, LIMITS.url) : ''
  const ruleUid = /\/alerting\/(?:grafana\/([\w-]+)\/view|([\w-]+)\/edit)/.exec(link)
  const id = alert.ruleUID ?? ruleUid?.[1] ?? ruleUid?.[2] ?? null
  const name = cleanText(alert.labels.alertname, LIMITS.name)
  return id === null && name === null ? null : { id, name, url: null }
}

function evidence(alert: Alert, base: string | null): Evidence | null {
  const { annotations } = alert
  const values = numbersAndTexts({
    ...(Object.keys(alert.values).length > 0 ? alert.values : valuesIn(alert.valueString)),
    valueString: alert.valueString,
    value: annotations.value,
  })
  const thresholds = numbersAndTexts({ threshold: annotations.threshold ?? alert.labels.threshold })
  const links = [
    { text: 'Source', href: cleanUrl(alert.generatorURL, base) },
    { text: 'Dashboard', href: cleanUrl(alert.dashboardURL, base) },
    { text: 'Panel', href: cleanUrl(alert.panelURL, base) },
    { text: 'Runbook', href: cleanUrl(annotations.runbook_url, base) },
    { text: 'Silence', href: cleanUrl(alert.silenceURL, base) },
    { text: 'Image', href: cleanUrl(alert.imageURL, base) },
  ].filter((link): link is { text: string; href: string } => link.href !== null)

  const expression = expressionOf(alert)

  const found: Evidence = {
    ...(values && { values }),
    ...(thresholds && { thresholds }),
    ...(expression !== null && { expression }),
    ...(links.length > 0 && { links }),
  }
  return Object.keys(found).length > 0 ? found : null
}

/** Older Grafana gives its values as text only: `[ var='B' labels={queue=orders} value=94.2 ]`. */
function valuesIn(text: string | null): Record<string, number> {
  const values: Record<string, number> = {}
  for (const [, name, metric, value] of (text ?? '').matchAll(VALUE)) {
    const number = Number(value)
    if (Number.isFinite(number)) values[name ?? metric!] = number
  }
  return values
}

const VALUE =
  /\[ (?:var='([\w-]{1,100})' ?(?:metric='[^'[\]]{0,100}' )?|metric='([^'[\]]{1,100})' )labels=\{[^{}[\]]{0,500}\} value=(-?[\d.]{1,30}(?:e[+-]?\d{1,3})?) \]/g

/** Prometheus links to the graph of the rule's expression; other rules may carry it as an annotation. */
function expressionOf({ annotations, generatorURL }: Alert): string | null {
  const told = firstText(LIMITS.metadataText, annotations.expression, annotations.expr, annotations.query)
  if (told !== null) return told
  if (typeof generatorURL !== 'string' || generatorURL.length > LIMITS.url || !URL.canParse(generatorURL))
    return null
  return cleanText(new URL(generatorURL).searchParams.get('g0.expr'), LIMITS.metadataText)
}

/** The members with a value one can cite; undefined where there is none. */
function numbersAndTexts(members: Record<string, unknown>): Record<string, string | number> | undefined {
  const kept: Record<string, string | number> = {}
  for (const [name, value] of Object.entries(members).slice(0, LIMITS.labelCount)) {
    const content = Number.isFinite(value) ? (value as number) : cleanText(value, LIMITS.metadataText)
    const key = cleanText(name, LIMITS.labelName)
    if (key !== null && key !== '__proto__' && content !== null) kept[key] = content
  }
  return Object.keys(kept).length > 0 ? kept : undefined
}

function readGroup(
  notification: Notification,
  alerts: readonly { alert: Alert; key: string }[],
): AlertGroup | null {
  const { groupKey } = notification
  if (groupKey === null) return null

  const status = notification.status?.toLowerCase() === 'resolved' ? 'resolved' : 'firing'
  const members = alerts.map(({ alert, key }) => [key, alert.status, alert.startsAt].join(' ')).sort()
  const ends = alerts.map(({ alert }) => readTime(alert.endsAt)).filter((end) => end !== null)
  return {
    key: groupKey,
    status,
    truncated: notification.truncatedAlerts,
    fingerprint: sha256([groupKey, status, ...members].join('\n')),
    greatestEndsAt: ends.sort().at(-1) ?? null,
  }
}

/** A count we cannot read means that something was cut off: then nothing is concluded from what is not listed. */
function readCount(value: unknown): number {
  if (value === undefined || value === null) return 0
  const count = Number(cleanId(value) ?? Number.NaN)
  return Number.isInteger(count) ? Math.max(0, count) : 1
}
