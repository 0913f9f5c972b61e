import { gzipSync } from 'node:zlib'
import type { ApiProject, ApiProjectInput, ApiRequest, ApiRequestDetail } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseKinds } from '../support/databases.ts'
import { type RawAnswer, rawPost } from '../support/raw-http.ts'
import { type Reading, reading } from '../support/reading.ts'
import { type SendingSource, startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { until } from '../support/until.ts'
import { startOn } from './start-on.ts'

const MIB = 1024 * 1024
const JSON_TYPE = 'Content-Type: application/json'
const body = JSON.stringify({ title: 'Checkout is down', id: 'checkout' })

let tocsin: TocsinProcess
beforeAll(async () => {
  tocsin = await startTocsin()
})
afterAll(() => tocsin.dispose())

describe('without the right credential', () => {
  const cases: [string, (source: SendingSource) => Promise<RawAnswer>][] = [
    ['no secret', ({ url }) => rawPost(url, [JSON_TYPE], body)],
    ['an empty secret', ({ url }) => rawPost(url, [JSON_TYPE, 'X-Webhook-Secret:'], body)],
    ['a wrong secret', ({ url }) => rawPost(url, [JSON_TYPE, 'X-Webhook-Secret: not it'], body)],
    ['most of the secret', ({ url, secret }) => postWith(url, secret!.slice(0, -1))],
    [
      'the right secret twice',
      ({ url, secret }) =>
        rawPost(url, [JSON_TYPE, `X-Webhook-Secret: ${secret}`, `X-Webhook-Secret: ${secret}`], body),
    ],
    [
      'a wrong secret before the right one',
      ({ url, secret }) =>
        rawPost(url, [JSON_TYPE, 'X-Webhook-Secret: not it', `X-Webhook-Secret: ${secret}`], body),
    ],
    ['the secret in the query', ({ url, secret }) => rawPost(`${url}?secret=${secret}`, [JSON_TYPE], body)],
    ['an API key nobody has', ({ url }) => rawPost(url, [JSON_TYPE, 'Authorization: Bearer nobody'], body)],
    [
      'the secret of another project',
      async ({ url }) => {
        const { source } = await freshProject()
        return postWith(url, source.secret!)
      },
    ],
    [
      'a project that is none',
      ({ url, secret }) => postWith(otherProject(url, crypto.randomUUID()), secret!),
    ],
    ['a project id that is no id', ({ url, secret }) => postWith(otherProject(url, 'everything'), secret!)],
    [
      'a tool without a source',
      ({ url, secret }) => postWith(url.replace('/generic', '/alertmanager'), secret!),
    ],
    [
      'a tool nobody knows',
      ({ url, secret }) => postWith(url.replace('/generic', '/carrier-pigeon'), secret!),
    ],
    [
      'a token nobody has',
      ({ secret }) => postWith(`${tocsin.address}/api/webhooks/generic/${'x'.repeat(43)}`, secret!),
    ],
  ]

  test.each(cases)('%s is 401, and nothing of the body is kept', async (_name, post) => {
    const { source, read, projectId } = await freshProject()
    const answer = await post(source)
    expect(answer.status).toBe(401)
    expect(errorOf(answer).code).toBe('unauthorized')
    expect(await read.incidents()).toEqual([])

    // The log may be written after the answer, so that its time tells nothing; this one comes after it.
    expect((await postWith(source.url, source.secret!)).status).toBe(200)
    for (const line of (await read.requests()).slice(1)) {
      expect(line).toMatchObject({ status: 401, outcome: 'rejected', reason: 'unauthorized' })
      expect(line.ip).not.toBe('127.0.0.1')
      expect(await readRequest(line, projectId)).toMatchObject({ body: null, events: [] })
    }
  })

  test('the answer is the same whatever was wrong', async () => {
    const { source } = await freshProject()
    const answers = []
    for (const [, post] of cases) answers.push(await post(source))
    const seen = answers.map(({ headers, body }) => {
      headers.delete('date')
      headers.delete('x-request-id')
      return JSON.stringify([[...headers], { ...JSON.parse(body), requestId: '' }])
    })
    expect(new Set(seen)).toEqual(new Set([seen[0]]))
  })

  test('the owner sees that somebody knocked', async () => {
    const { source, read } = await freshProject()
    await postWith(source.url, 'not it')
    const lines = await until('the rejection is in the log', async () => {
      const found = await read.requests('status=401')
      return found.length > 0 && found
    })
    expect(lines).toMatchObject([{ sourceId: source.id, outcome: 'rejected', replayable: false }])
    expect(lines[0]!.message).toMatch(/credential/)
  })
})

describe('with the right credential', () => {
  interface Refusal {
    name: string
    headers?: string[]
    body?: string | Uint8Array
    status: number
    code: string
    /** What the message must tell the sender to do. */
    says: RegExp
  }
  const refusals: Refusal[] = [
    { name: 'an empty body', body: '', status: 400, code: 'malformed_body', says: /send JSON/ },
    { name: 'half a body', body: body.slice(0, -2), status: 400, code: 'malformed_body', says: /JSON/ },
    { name: 'a form', body: 'title=Checkout', status: 400, code: 'malformed_body', says: /JSON/ },
    {
      name: 'broken UTF-8',
      body: Buffer.concat([Buffer.from('{"title":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]),
      status: 400,
      code: 'malformed_body',
      says: /UTF-8/,
    },
    {
      name: 'UTF-16',
      body: Buffer.from(`\uFEFF${body}`, 'utf16le'),
      status: 400,
      code: 'malformed_body',
      says: /UTF-8/,
    },
    { name: '65 levels', body: nested(65), status: 400, code: 'malformed_body', says: /flatter/ },
    { name: '500,000 levels', body: nested(500_000), status: 400, code: 'malformed_body', says: /flatter/ },
    { name: 'no title', body: '{"severity":"high"}', status: 400, code: 'invalid_payload', says: /title/ },
    { name: 'a list', body: '[]', status: 400, code: 'invalid_payload', says: /object/ },
    { name: 'null', body: 'null', status: 400, code: 'invalid_payload', says: /object/ },
    { name: 'a text', body: '"down"', status: 400, code: 'invalid_payload', says: /object/ },
    {
      name: 'one byte more than 1 MiB',
      body: sized(MIB + 1),
      status: 413,
      code: 'payload_too_large',
      says: /send less/,
    },
    {
      name: 'gzip',
      headers: [JSON_TYPE, 'Content-Encoding: gzip'],
      body: gzipSync(body),
      status: 415,
      code: 'unsupported_media_type',
      says: /without compression/,
    },
    {
      name: 'an encoding that changes nothing',
      headers: [JSON_TYPE, 'Content-Encoding: identity'],
      status: 415,
      code: 'unsupported_media_type',
      says: /Content-Encoding/,
    },
    ...[
      ['plain text', ['Content-Type: text/plain']],
      ['a multipart form', ['Content-Type: multipart/form-data; boundary=x']],
      ['JSON in UTF-16', ['Content-Type: application/json; charset=utf-16']],
      ['two content types', [JSON_TYPE, JSON_TYPE]],
    ].map(
      ([name, headers]): Refusal => ({
        name: name as string,
        headers: headers as string[],
        status: 415,
        code: 'unsupported_media_type',
        says: /application\/json/,
      }),
    ),
  ]

  test.each(refusals)('$name is $status $code', async (refusal) => {
    const { source, read, projectId } = await freshProject()
    const sent = refusal.body ?? body
    const answer = await rawPost(source.url, [...(refusal.headers ?? [JSON_TYPE]), secretOf(source)], sent)
    expect(answer.status).toBe(refusal.status)
    const { code, message, requestId } = errorOf(answer)
    expect(code).toBe(refusal.code)
    expect(message).toMatch(refusal.says)

    const lines = await read.requests()
    expect(lines).toMatchObject([
      { id: requestId, status: refusal.status, outcome: 'rejected', reason: refusal.code, replayable: false },
    ])
    expect(lines[0]!.message).toMatch(refusal.says)
    const kept = await readRequest(lines[0]!, projectId)
    const bytes = Buffer.from(kept.body ?? '', kept.bodyEncoding ?? 'utf8')
    expect(bytes).toEqual(Buffer.from(sent).subarray(0, 4096))
    expect(kept.events).toEqual([])
    expect(await read.incidents()).toEqual([])
  })

  const accepted: [string, string[], string | Uint8Array][] = [
    ['exactly 1 MiB', [JSON_TYPE], sized(MIB)],
    ['64 levels', [JSON_TYPE], nested(64)],
    ['a content type of its own', ['Content-Type: application/vnd.example.v2+json'], body],
    ['a charset', ['Content-Type: application/json; charset=UTF-8'], body],
    ['a byte order mark', [JSON_TYPE], `\uFEFF${body}`],
    ['a header called __proto__', [JSON_TYPE, '__proto__: polluted'], body],
    ['prototype keys', [JSON_TYPE], '{"title":"t","__proto__":{"p":1},"constructor":{"prototype":{"p":1}}}'],
  ]

  test.each(accepted)('%s opens an incident', async (_name, headers, sent) => {
    const { source, read } = await freshProject()
    const answer = await rawPost(source.url, [...headers, secretOf(source)], sent)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ success: true, outcome: 'opened' })
    expect(await read.incidents()).toHaveLength(1)
  })
})

describe('where nothing is taken', () => {
  const cases: [
    string,
    RegExp,
    ApiProjectInput,
    (projectId: string, source: SendingSource) => Promise<void>,
  ][] = [
    [
      'a source that is switched off',
      /source/i,
      { name: 'Off' },
      async (projectId, { id }) => {
        await tocsin.api('PATCH', `/projects/${projectId}/sources/${id}`, { enabled: false })
      },
    ],
    [
      'a project that is switched off',
      /project/i,
      { name: 'Off' },
      async (projectId) => {
        await tocsin.api('PATCH', `/projects/${projectId}`, { ingestionEnabled: false })
      },
    ],
    ['the plan free', /plan/i, { name: 'Free', plan: 'free' }, async () => {}],
  ]

  test.each(cases)('%s is 403 ingestion_disabled', async (_name, says, input, switchOff) => {
    const { source, read, projectId } = await freshProject(input)
    await switchOff(projectId, source)
    const answer = await postWith(source.url, source.secret!)
    expect(answer.status).toBe(403)
    const { code, message } = errorOf(answer)
    expect(code).toBe('ingestion_disabled')
    expect(message).toMatch(says)
    expect(await read.requests()).toMatchObject([
      { status: 403, outcome: 'rejected', reason: 'ingestion_disabled' },
    ])
    expect(await read.incidents()).toEqual([])
  })

  test('the address of a webhook takes no GET', async () => {
    const { source } = await freshProject()
    const response = await fetch(source.url)
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toContain('POST')
  })
})

test.each(databaseKinds)('text that databases refuse is stored on %s', async (kind) => {
  const own = await startOn(kind)
  const source = await own.createSource({ adapter: 'generic' })
  const hostile = [
    { title: 'a\u0000b', id: 'nul\u0000', description: '\u0000' },
    { title: 'half \ud83d of a pair', id: '\udc00', labels: { '\ud800': '\udfff' } },
    { title: 'x'.repeat(10_000), id: 'y'.repeat(10_000), severity: 'z'.repeat(10_000) },
    { title: "Robert'); drop table event;--", id: '"', labels: { 'a\nb': '\u202e' } },
  ].map((value) => JSON.stringify(value))
  const numbers =
    '{"title":1e400,"id":123456789012345678901234567890,"severity":-0,"labels":{"n":9007199254740993}}'

  for (const sent of [...hostile, numbers]) {
    const answer = await rawPost(source.url, [JSON_TYPE, secretOf(source)], sent)
    expect([200, 400], sent.slice(0, 80)).toContain(answer.status)
  }
  const { incidents, events, requests } = reading(own)
  const [incident] = await incidents()
  expect((await events(incident!.id)).length).toBeGreaterThanOrEqual(hostile.length)
  expect(await requests()).toHaveLength(hostile.length + 1)
})

test.each(databaseKinds)('as many alerts as are taken in one body are answered well on %s', async (kind) => {
  const own = await startOn(kind)
  const source = await own.createSource({ adapter: 'alertmanager' })
  const { incidents, requests } = reading(own)
  const post = (count: number) => {
    const alerts = Array.from({ length: count }, (_, i) => ({ labels: { alertname: 'Down', host: `${i}` } }))
    return rawPost(source.url, [JSON_TYPE, secretOf(source)], JSON.stringify({ alerts }))
  }

  const refused = await post(2_001)
  expect(refused.status).toBe(400)
  expect(errorOf(refused)).toMatchObject({
    code: 'invalid_payload',
    message: expect.stringMatching(/alerts holds 2001 entries, at most 2000 are taken: .*max_alerts/),
  })
  expect(await requests()).toMatchObject([{ status: 400, outcome: 'rejected', reason: 'invalid_payload' }])

  for (const outcome of ['opened', 'duplicate']) {
    const answer = await post(2_000)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({ success: true, outcome })
  }
  expect(await incidents()).toMatchObject([{ signalCount: 2_000, firingCount: 2_000 }])
})

async function freshProject(input: ApiProjectInput = { name: 'Bad input' }): Promise<{
  projectId: string
  source: SendingSource
  read: Reading
}> {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', input)
  const source = await tocsin.createSource({ adapter: 'generic' }, project.id)
  return { projectId: project.id, source, read: reading(tocsin, project.id) }
}

async function readRequest({ id }: ApiRequest, projectId: string): Promise<ApiRequestDetail> {
  const path = `/projects/${projectId}/requests/${id}`
  return (await tocsin.api<{ request: ApiRequestDetail }>('GET', path)).request
}

function postWith(url: string, secret: string): Promise<RawAnswer> {
  return rawPost(url, [JSON_TYPE, `X-Webhook-Secret: ${secret}`], body)
}

function secretOf({ secret }: SendingSource): string {
  return `X-Webhook-Secret: ${secret}`
}

function errorOf(answer: RawAnswer): { code: string; message: string; requestId: string } {
  const { success, error, requestId, ...more } = JSON.parse(answer.body)
  expect({ success, more }).toEqual({ success: false, more: {} })
  return { ...error, requestId }
}

function otherProject(url: string, projectId: string): string {
  return url.replace(/webhooks\/[^/]+\//, `webhooks/${projectId}/`)
}

/** An object with lists in it, this many levels in all. */
function nested(levels: number): string {
  return `{"title":"Deep","metadata":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
}

/** A whole body of exactly this many bytes. */
function sized(bytes: number): string {
  const empty = JSON.stringify({ title: 'Large', description: '' })
  return JSON.stringify({ title: 'Large', description: 'x'.repeat(bytes - empty.length) })
}
