import { expect, test } from 'vitest'
import { isRegistered, register, unregister } from '../../n8n-nodes/nodes/TocsinTrigger/registration.ts'
import { FakeTocsin, fakeNode, PROJECT, refusal, URL_OF_NODE } from './fake-tocsin.ts'

const FILTERS = { severities: [], services: [], labels: {}, sources: [], drills: false }

async function registered(parameters?: Record<string, unknown>) {
  const tocsin = new FakeTocsin()
  const node = fakeNode(tocsin, parameters)
  await register(node.context)
  tocsin.calls = []
  return { tocsin, node, endpoint: tocsin.endpoints[0]! }
}

test('registers the address with what the node asks for, and finds it again', async () => {
  const tocsin = new FakeTocsin()
  const node = fakeNode(tocsin)
  expect(await isRegistered(node.context)).toBe(false)
  await register(node.context)
  expect(tocsin.calls).toEqual([
    ['GET /me'],
    [
      `POST /projects/${PROJECT}/endpoints`,
      {
        url: URL_OF_NODE,
        events: ['incident.opened', 'incident.resolved'],
        ...FILTERS,
        enabled: true,
        description: 'n8n: On call',
      },
    ],
  ])
  expect(node.staticData).toEqual({
    endpointId: tocsin.endpoints[0]!.id,
    projectId: PROJECT,
    secret: expect.stringMatching(/^whsec_/),
    isTest: false,
  })
  expect(await isRegistered(node.context)).toBe(true)
})

test('an edited list is not what is registered; the same list in another order is', async () => {
  const { node } = await registered({ options: { labels: { label: [{ name: 'a', value: '1' }] } } })
  node.parameters.events = ['incident.resolved', 'incident.opened']
  expect(await isRegistered(node.context)).toBe(true)
  node.parameters.events = ['incident.opened']
  expect(await isRegistered(node.context)).toBe(false)
})

test.each([
  ['services', ['checkout', ' payments ']],
  ['services', 'checkout, payments,'],
  ['sources', 'checkout,payments'],
  ['severities', ['checkout', 'payments']],
])('%s may be a list or text with commas, as an expression gives it: %j', async (name, value) => {
  const { tocsin, node } = await registered({ options: { [name]: value } })
  expect(tocsin.endpoints[0]).toMatchObject({ [name]: ['checkout', 'payments'] })
  expect(await isRegistered(node.context)).toBe(true)
})

test.each([[[{ name: 'a', value: '1' }]], [{ label: { name: 'a', value: '1' } }]])(
  'labels may be a list of rows, or one: %j',
  async (labels) => {
    const { tocsin } = await registered({ events: 'incident.opened', options: { labels } })
    expect(tocsin.endpoints[0]).toMatchObject({ events: ['incident.opened'], labels: { a: '1' } })
  },
)

test('an expression that finds nothing filters nothing', async () => {
  const nothing = { services: null, sources: undefined, severities: null, labels: null }
  const { tocsin } = await registered({ options: nothing })
  expect(tocsin.endpoints[0]).toMatchObject(FILTERS)
})

test('a row of labels nobody has filled in is none', async () => {
  const { tocsin } = await registered({ options: { labels: { label: [{ name: '', value: '' }, {}] } } })
  expect(tocsin.endpoints[0]).toMatchObject({ labels: {} })
})

test.each([
  ['severities', ['low']],
  ['services', 'checkout'],
  ['labels', { label: [{ name: 'a', value: '1' }] }],
  ['sources', ['s1']],
  ['drills', true],
])('a changed filter for %s is not what is registered', async (name, value) => {
  const { node } = await registered()
  node.parameters.options = { [name]: value }
  expect(await isRegistered(node.context)).toBe(false)
})

test('takes over an endpoint with its address: filters one by one, switched on, a secret nobody knows', async () => {
  const { tocsin, endpoint } = await registered({ options: { drills: true, severities: ['low'] } })
  endpoint.enabled = false
  const node = fakeNode(tocsin)
  await register(node.context)
  expect(tocsin.calls.slice(2)).toEqual([
    [
      `PATCH /projects/${PROJECT}/endpoints/${endpoint.id}`,
      {
        events: ['incident.opened', 'incident.resolved'],
        ...FILTERS,
        enabled: true,
        description: 'n8n: On call',
      },
    ],
    [`POST /projects/${PROJECT}/endpoints/${endpoint.id}/rotate`, { overlapMinutes: 0 }],
  ])
  expect(endpoint).toMatchObject({ enabled: true, drills: false, severities: [] })
  expect(node.staticData).toMatchObject({ endpointId: endpoint.id, secret: expect.stringMatching(/^whsec_/) })
})

test('an endpoint that is gone is not what is registered; nothing else is taken for that', async () => {
  const { tocsin, node } = await registered()
  const kept = { ...node.staticData }
  for (const answer of [
    refusal(503, 'unavailable'),
    refusal(401, 'unauthorized'),
    { statusCode: 404, body: '<html>no such page</html>' },
  ]) {
    tocsin.instead = () => answer
    await expect(isRegistered(node.context)).rejects.toMatchObject({ name: 'NodeApiError' })
    await expect(unregister(node.context)).rejects.toMatchObject({ name: 'NodeApiError' })
    expect(node.staticData).toEqual(kept)
  }
  tocsin.instead = undefined
  tocsin.endpoints = []
  expect(await isRegistered(node.context)).toBe(false)
})

test('what Tocsin does not remove is named, since n8n deactivates the workflow all the same', async () => {
  const { tocsin, node, endpoint } = await registered()
  tocsin.instead = () => refusal(401, 'unauthorized')
  await expect(unregister(node.context)).rejects.toMatchObject({
    message: `The endpoint ${endpoint.id} stays in Tocsin, which goes on sending: About unauthorized.`,
    description: expect.stringContaining('API Key'),
  })
})

test('removes the endpoint, to be had back for ten minutes; one that is gone, or never was, counts as removed', async () => {
  const { tocsin, node, endpoint } = await registered()
  await unregister(node.context)
  expect(tocsin.calls).toEqual([[`DELETE /projects/${PROJECT}/endpoints/${endpoint.id}?keepMinutes=10`]])
  expect(tocsin.endpoints).toEqual([])
  await unregister(node.context)
  await unregister(fakeNode(tocsin).context)
  expect(tocsin.calls).toHaveLength(2)
})

test('a save in n8n removes and registers: it is the same endpoint with the same secret', async () => {
  const { tocsin, node, endpoint } = await registered()
  node.staticData.taken = ['1795248000.m1']
  const before = { ...node.staticData }
  await unregister(node.context)
  // What comes right now is verified with what is stored.
  expect(node.staticData).toEqual(before)
  node.parameters.events = ['test']
  node.mode = 'update'
  expect(await isRegistered(node.context)).toBe(false)
  await register(node.context)
  expect(tocsin.endpoints).toMatchObject([{ id: endpoint.id, events: ['test'] }])
  expect(node.staticData).toEqual(before)
})

test('the address at which the editor listens is removed for good', async () => {
  const tocsin = new FakeTocsin()
  const node = fakeNode(tocsin, { options: { wait: true } })
  node.mode = 'manual'
  await register(node.context)
  // The same, whatever n8n calls it.
  node.mode = 'update'
  await unregister(node.context)
  expect(tocsin.calls.at(-1)).toEqual([`DELETE /projects/${PROJECT}/endpoints/${node.staticData.endpointId}`])
  expect(tocsin.kept).toEqual([])
})

test('what someone switched off stays off over a restart, and is switched on by an activation', async () => {
  const { node, endpoint } = await registered()
  Object.assign(endpoint, { enabled: false, disabledReason: 'by_hand' })
  node.mode = 'init'
  expect(await isRegistered(node.context)).toBe(true)
  node.mode = 'activate'
  expect(await isRegistered(node.context)).toBe(false)
  // Tocsin gave up while n8n was down: that is over.
  Object.assign(endpoint, { disabledReason: 'failed' })
  node.mode = 'init'
  expect(await isRegistered(node.context)).toBe(false)
})

test('in another project it starts anew, and leaves nothing in the old one', async () => {
  const { tocsin, node } = await registered()
  node.parameters.options = { project: 'other' }
  expect(await isRegistered(node.context)).toBe(false)
  expect(tocsin.endpoints).toEqual([])
})

test('a refusal reaches people in the words of Tocsin', async () => {
  const tocsin = new FakeTocsin()
  tocsin.instead = (call) => (call.startsWith('POST') ? refusal(403, 'forbidden') : undefined)
  await expect(register(fakeNode(tocsin).context)).rejects.toMatchObject({
    message: 'About forbidden.',
    description: expect.stringContaining('that scope'),
    httpCode: '403',
  })
})
