/**
 * What the benchmark sends: whole HTTP requests, made once per signal, with a place for the time of each event.
 *
 * One alert per POST in Alertmanager's version 4 body, exactly 2,048 bytes. Usually 200 signals take turns, and each request is
 * the next firing of its signal: a startsAt one millisecond on, so that it is an event of its own (matching.md T5) in
 * one of as many open incidents, and its repeat is a duplicate. That is the dearest of the everyday cases: the old
 * occurrence closes, a new one opens, and the incident gets a timeline entry.
 */
export const SIGNALS = 200
export const BODY_BYTES = 2048

export interface Target {
  host: string
  port: number
  path: string
  secret: string
}

/** The bytes of the request with this event, as sent on a connection that stays or closes. */
export function requestFactory(
  target: Target,
  keepAlive: boolean,
  startMs: number,
  signals = SIGNALS,
): (event: number) => Buffer {
  const templates = Array.from({ length: signals }, (_, signal) => template(target, keepAlive, signal))
  return (event) => {
    const { bytes, timeAt } = templates[event % signals]!
    // A copy, since the one before may still be on its way out.
    const request = Buffer.from(bytes)
    request.write(new Date(startMs + event).toISOString(), timeAt, 'latin1')
    return request
  }
}

const TIME = '2000-01-01T00:00:00.000Z'

function template(target: Target, keepAlive: boolean, signal: number): { bytes: Buffer; timeAt: number } {
  const body = alertBody(signal)
  const head = [
    `POST ${target.path} HTTP/1.1`,
    `Host: ${target.host}:${target.port}`,
    'User-Agent: Alertmanager/0.25.0',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Content-Type: application/json',
    `Authorization: Bearer ${target.secret}`,
    `Connection: ${keepAlive ? 'keep-alive' : 'close'}`,
  ]
  const bytes = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  return { bytes, timeAt: bytes.indexOf(TIME) }
}

function alertBody(signal: number): string {
  const labels = {
    alertname: 'HighErrorRate',
    instance: `checkout-${signal}.example.com:9100`,
    job: 'checkout',
    severity: 'critical',
    team: 'payments',
  }
  const body = (description: string) =>
    JSON.stringify({
      receiver: 'tocsin',
      status: 'firing',
      alerts: [
        {
          status: 'firing',
          labels,
          annotations: { summary: `High error rate on checkout-${signal}`, description },
          startsAt: TIME,
          endsAt: '0001-01-01T00:00:00Z',
          generatorURL: 'http://prometheus.example.com:9090/graph?g0.expr=errors%3E5&g0.tab=1',
          fingerprint: (0xabcdef000000 + signal).toString(16).padStart(16, '0'),
        },
      ],
      groupLabels: { alertname: labels.alertname, instance: labels.instance },
      commonLabels: labels,
      commonAnnotations: {},
      externalURL: 'http://alertmanager.example.com:9093',
      version: '4',
      groupKey: `{}/{team="payments"}:{alertname="${labels.alertname}", instance="${labels.instance}"}`,
      truncatedAlerts: 0,
    })
  return body(prose(signal, BODY_BYTES - Buffer.byteLength(body(''))))
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
