import type { ApiIncident, ApiMessageType } from '@tocsin/core'
import { expect, test } from 'vitest'
import { messageBody, messageExample } from '../../ingest/message-schema.ts'
import { register } from '../../n8n-nodes/nodes/TocsinTrigger/registration.ts'
import { type Message, sampleFor } from '../../n8n-nodes/nodes/TocsinTrigger/sample.ts'
import { FakeTocsin, fakeNode, PROJECT, refusal } from './fake-tocsin.ts'

const exampleOf = (type: ApiMessageType) => messageExample(type) as Message
const incidentOf = (type: ApiMessageType, title: string): ApiIncident => ({
  ...(exampleOf(type).data.incident as unknown as ApiIncident),
  title,
})

/** What the editor has after Execute Step. */
async function listen(tocsin: FakeTocsin, parameters: Record<string, unknown> = {}, mode = 'manual') {
  const node = fakeNode(tocsin, parameters)
  node.mode = mode
  await register(node.context)
  const asked = tocsin.calls.filter(([call]) => call.endsWith('/test'))
  return { node, asked, sample: node.staticData.sample as Message | undefined }
}

test('the newest incident that such a message could be about, in the shape of the message', async () => {
  const tocsin = new FakeTocsin()
  tocsin.incidents = [incidentOf('incident.acknowledged', 'Newest'), incidentOf('incident.resolved', 'Older')]
  const { sample } = await listen(tocsin)
  expect(sample).toMatchObject({ type: 'incident.resolved', data: { incident: { title: 'Older' } } })
  expect(messageBody('incident.resolved').parse(sample)).toEqual(sample)
})

test('it is one that the filters of the node let through', async () => {
  const tocsin = new FakeTocsin()
  tocsin.incidents = [
    { ...incidentOf('incident.opened', 'Of nobody'), labels: {} },
    { ...incidentOf('incident.opened', 'Of others'), labels: { team: 'pay' } },
    { ...incidentOf('incident.opened', 'Ours'), labels: { team: ['pay', 'shop'], region: 'eu' } },
  ]
  const options = {
    severities: ['critical', 'high'],
    services: 'checkout, payments',
    sources: ['s1'],
    labels: { label: [{ name: 'team', value: 'shop' }] },
  }
  const sampleOf = async (more: object) =>
    (await listen(tocsin, { events: ['incident.opened'], options: { ...options, ...more } })).sample
  expect(await sampleOf({})).toMatchObject({ data: { incident: { title: 'Ours' } } })
  expect(await sampleOf({ drills: true })).toMatchObject({ data: { incident: { title: 'Ours' } } })
  const filters = 'status=open&severity=critical%2Chigh&service=checkout%2Cpayments&source=s1'
  const asked = tocsin.calls.flatMap(([call]) => /\/incidents\?(.*)/.exec(call)?.[1] ?? [])
  expect(asked).toEqual([`${filters}&drill=false&limit=100`, `${filters}&limit=100`])
  const labels = { label: [{ name: 'team', value: 'nobody' }] }
  expect(await sampleOf({ labels })).toEqual(exampleOf('incident.opened'))
})

test('without an incident it is the example of Tocsin; without events about incidents there is none', async () => {
  expect((await listen(new FakeTocsin())).sample).toEqual(messageExample('incident.opened'))
  expect((await listen(new FakeTocsin(), { events: ['test'] })).sample).toBeUndefined()
})

test('with a key that may not read incidents it is the example, too', async () => {
  const tocsin = new FakeTocsin()
  tocsin.incidents = [incidentOf('incident.opened', 'Unseen')]
  tocsin.instead = (call) => (call.includes('/incidents') ? refusal(403, 'forbidden') : undefined)
  expect((await listen(tocsin)).sample).toEqual(messageExample('incident.opened'))
})

test('Tocsin is asked for a test, and the project of the test is the real one', async () => {
  const tocsin = new FakeTocsin()
  const { asked, sample } = await listen(tocsin)
  expect(asked).toEqual([[`POST /projects/${PROJECT}/endpoints/${tocsin.endpoints[0]!.id}/test`, {}]])
  const real = { id: PROJECT, name: 'Shop' }
  const test = exampleOf('test')
  expect(sampleFor({ ...test, data: { ...test.data, project: real } }, sample!).data.project).toEqual(real)
})

test('nothing of it where the editor is to wait, or the workflow is activated', async () => {
  for (const [parameters, mode] of [
    [{ options: { wait: true } }, 'manual'],
    [{}, 'activate'],
  ] as const) {
    const { sample, asked } = await listen(new FakeTocsin(), parameters, mode)
    expect(sample).toBeUndefined()
    expect(asked).toEqual([])
  }
})

test('where Tocsin sends no test the editor just waits', async () => {
  const tocsin = new FakeTocsin()
  tocsin.instead = (call) => (call.endsWith('/test') ? refusal(503, 'unavailable') : undefined)
  const { node, asked } = await listen(tocsin)
  expect(asked).toHaveLength(1)
  expect(node.warnings).toEqual([expect.stringMatching(/no sample.*About unavailable/)])
})
