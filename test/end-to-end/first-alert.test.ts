import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { ApiReceived, ApiRequestDetail } from '@tocsin/core'
import { describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { findProgram } from '../support/find-program.ts'
import { reading } from '../support/reading.ts'
import { readStartUp, type TocsinProcess } from '../support/tocsin-process.ts'
import { startOn } from './start-on.ts'

const curl = findProgram('curl', 'Install the package curl.')

describe.runIf(curl).each(databaseKinds)('a first start on %s', (kind) => {
  test('prints a line that opens an incident when it is pasted into a shell', async () => {
    const tocsin = await startOn(kind)
    const received = await paste(readStartUp(tocsin.stdout()).curl)
    expect(received).toMatchObject({
      success: true,
      outcome: 'opened',
      duplicate: false,
      incident: { reference: 'INC-001', title: 'Checkout is down', severity: 'high', status: 'open' },
    })

    const incidents = await reading(tocsin).incidents()
    expect(incidents).toMatchObject([
      { reference: 'INC-001', title: 'Checkout is down', severity: 'high', signalCount: 1, firingCount: 1 },
    ])
  })

  test('tells on the incident what arrived and why it opened', async () => {
    const tocsin = await startOn(kind)
    const { incident } = await paste(readStartUp(tocsin.stdout()).curl)
    const { timeline, events, requests } = reading(tocsin)

    const entries = await timeline(incident!.id)
    expect(entries).toMatchObject([
      { kind: 'opened', sequence: 1, actor: { type: 'source' } },
      { kind: 'context', sequence: null, actor: { type: 'source' } },
    ])
    for (const { text } of entries) expect(text).toContain('Checkout is down')

    const [event] = await events(incident!.reference)
    expect(event).toMatchObject({ kind: 'fire', outcome: 'opened', requestId: entries[0]!.requestId })
    expect(event!.receipt.length).toBeGreaterThan(0)
    for (const { rule, text } of event!.receipt) {
      expect(rule).not.toBe('')
      expect(text).not.toBe('')
    }

    expect(await requests()).toMatchObject([{ id: event!.requestId, status: 200, outcome: 'opened' }])
    const { request } = await readRequest(tocsin, event!.requestId)
    expect(JSON.parse(request.body!)).toEqual({ title: 'Checkout is down', severity: 'high' })
    expect(JSON.stringify(request.headers)).not.toContain(secretIn(readStartUp(tocsin.stdout()).curl))
  })
})

async function paste(line: string): Promise<ApiReceived> {
  const { stdout } = await promisify(execFile)('sh', ['-c', line])
  return JSON.parse(stdout)
}

function readRequest(tocsin: TocsinProcess, id: string) {
  return tocsin.api<{ request: ApiRequestDetail }>('GET', `/projects/${tocsin.projectId}/requests/${id}`)
}

function secretIn(curlLine: string): string {
  return curlLine.match(/X-Webhook-Secret: ([^']+)'/)![1]!
}
