import { prose } from './alert-request.ts'

const INCIDENT = '0198c1a2-7d30-7000-8000-000000000000'

/** Bodies of outgoing messages: the shape of an incident's, exactly 2,048 bytes. */
export const MESSAGE_BODIES: readonly string[] = Array.from({ length: 200 }, (_, incident) => {
  const body = (description: string) =>
    JSON.stringify({
      type: 'incident.opened',
      timestamp: '2026-11-21T08:00:00.000Z',
      data: {
        schemaVersion: 1,
        sequence: 1,
        incident: {
          id: INCIDENT,
          reference: `INC-${1_000 + incident}`,
          title: `High error rate on checkout-${incident}`,
          status: 'open',
          severity: 'critical',
          labels: { team: ['payments'], job: ['checkout'] },
          metadata: { description },
        },
        project: { id: 'prj_bench', name: 'default' },
        monitor: { id: null, name: null, url: null },
        regions: [],
        reopened: false,
      },
    })
  return body(prose(incident, 2_048 - Buffer.byteLength(body(''))))
})

/** One of them for this incident. */
export function messageBody(incident: string, number: number): string {
  return MESSAGE_BODIES[number % MESSAGE_BODIES.length]!.replace(INCIDENT, incident)
}
