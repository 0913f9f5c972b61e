/**
 * What the benchmark sends: whole HTTP requests, made once per signal, with a place for the time of each event.
 *
 * Usually one alert per POST in Alertmanager's version 4 body, exactly 2,048 bytes, while 200 signals take turns. Each
 * alert is the next firing of its signal: a startsAt one millisecond on, so that it is an event of its own (matching.md
 * T5) in one of as many open incidents, and its repeat is a duplicate. That is the dearest of the everyday cases: the
 * old occurrence closes, a new one opens, and the incident gets a timeline entry.
 */
export const SIGNALS = 200
export const BODY_BYTES = 2048
/** Of the description, where a POST has many alerts. */
const SHORT_PROSE = 200

export interface Target {
  host: string
  /** Of the processes that share the load. */
  ports: number[]
  path: string
  secret: string
  /** Of other projects, which share the signals with the first. */
  others?: readonly Pick<Target, 'path' | 'secret'>[]
  /** What it takes: an Alertmanager's webhook, or the list of alerts an Alertmanager itself is sent. */
  body: 'webhook' | 'alerts'
}

export interface RequestOptions {
  /** On a connection that stays, or that closes. */
  keepAlive: boolean
  /** The time of event 0. */
  startMs: number
  signals: number
  /** Alerts in each request; `signals` is a multiple. */
  alerts: number
}

/** The bytes of the request whose first alert is this event; the others follow it. */
export function requestFactory(target: Target, options: RequestOptions): (event: number) => Buffer {
  const { startMs, signals, alerts } = options
  const places = [target, ...(target.others ?? [])]
  const templates = Array.from({ length: signals / alerts }, (_, at) =>
    template({ ...target, ...places[at % places.length] }, options, at * alerts),
  )
  return (event) => {
    const { bytes, timesAt } = templates[(event / alerts) % templates.length]!
    // A copy, since the one before may still be on its way out.
    const request = Buffer.from(bytes)
    timesAt.forEach((at, alert) => {
      request.write(new Date(startMs + event + alert).toISOString(), at, 'latin1')
    })
    return request
  }
}

const TIME = '2000-01-01T00:00:00.000Z'

function template(
  target: Target,
  { keepAlive, alerts }: RequestOptions,
  firstSignal: number,
): { bytes: Buffer; timesAt: number[] } {
  const signals = Array.from({ length: alerts }, (_, alert) => firstSignal + alert)
  const body = bodyOf(target.body, signals)
  const head = [
    `POST ${target.path} HTTP/1.1`,
    `Host: ${target.host}`,
    'User-Agent: Alertmanager/0.25.0',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Content-Type: application/json',
    `Authorization: Bearer ${target.secret}`,
    `Connection: ${keepAlive ? 'keep-alive' : 'close'}`,
  ]
  const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  const timesAt: number[] = []
  for (let at = bytes.indexOf(TIME); at !== -1; at = bytes.indexOf(TIME, at + 1)) timesAt.push(at)
  return { bytes, timesAt }
}
/** Exactly BODY_BYTES where there is one alert. */
function bodyOf(kind: Target['body'], signals: readonly number[]): string {
  const withProse = (length: number) => {
    const alerts = signals.map((signal) => alertOf(signal, prose(signal, length)))
    return JSON.stringify(kind === 'alerts' ? alerts.map(asPosted) : webhookOf(alerts))
  }
  return withProse(signals.length === 1 ? BODY_BYTES - Buffer.byteLength(withProse(0)) : SHORT_PROSE)
}

type Alert = ReturnType<typeof alertOf>

function alertOf(signal: number, description: string) {
  return {
    status: 'firing',
    labels: {
      alertname: 'HighErrorRate',
      instance: `checkout-${signal}.example.com:9100`,
      job: 'checkout',
      severity: 'critical',
      team: 'payments',
    },
    annotations: { summary: `High error rate on checkout-${signal}`, description },
    startsAt: TIME,
    endsAt: '0001-01-01T00:00:00Z',
    generatorURL: 'http://prometheus.example.com:9090/graph?g0.expr=errors%3E5&g0.tab=1',
    fingerprint: (0xabcdef000000 + signal).toString(16).padStart(16, '0'),
  }
}

/** As Prometheus posts it; without an end it counts as firing for Alertmanager's resolve_timeout. */
function asPosted({ labels, annotations, startsAt, generatorURL }: Alert) {
  return { labels, annotations, startsAt, generatorURL }
}

function webhookOf(alerts: readonly Alert[]) {
  const { alertname, instance, ...common } = alerts[0]!.labels
  const group = alerts.length === 1 ? { alertname, instance } : { alertname }
  const groupKey = Object.entries(group).map(([name, value]) => `${name}="${value}"`)
  return {
    receiver: 'tocsin',
    status: 'firing',
    alerts,
    groupLabels: group,
    commonLabels: { ...group, ...common },
    commonAnnotations: {},
    externalURL: 'http://alertmanager.example.com:9093',
    version: '4',
    groupKey: `{}/{team="payments"}:{${groupKey.join(', ')}}`,
    truncatedAlerts: 0,
  }
}

/** Text that repeats itself as little as text does, the same for the same signal. */
export function prose(signal: number, length: number): string {
  let text = ''
  for (let state = signal + 1; text.length < length; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    text += `${state.toString(36)} `
  }
  return text.slice(0, length)
}
