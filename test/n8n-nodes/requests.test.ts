import { expect, test } from 'vitest'
import {
  answerOf,
  toAddress,
  toSource,
  webhookUrlOfAnswer,
  wholeAnswer,
} from '../../n8n-nodes/nodes/Tocsin/requests.ts'
import { FakeTocsin, fakeNode, PROJECT } from './fake-tocsin.ts'

type PreSend = NonNullable<typeof toAddress.preSend>[number]
type PostReceive = Extract<
  NonNullable<typeof webhookUrlOfAnswer.postReceive>[number],
  (...given: never[]) => unknown
>
type Context = ThisParameterType<PreSend>

/** What n8n gives to the hooks of the action node. */
function contextOf(parameters: Record<string, unknown>): Context {
  const { context } = fakeNode(new FakeTocsin(), parameters)
  return Object.assign(context, { getItemIndex: () => 0 }) as unknown as Context
}

const INCIDENT = '/projects/{project}/incidents/{incident}'

async function addressOf(parameters: Record<string, unknown>) {
  const { url } = await toAddress.preSend![0]!.call(contextOf(parameters), { url: INCIDENT })
  return url
}

async function sourceAddressOf(parameters: Record<string, unknown>) {
  const asked: Parameters<PreSend>[0] = { method: 'PATCH', url: '', body: { name: 'x' } }
  return (await toSource.preSend![0]!.call(contextOf(parameters), asked)).url
}

test('an id is one part of the path, whatever is in it', async () => {
  expect(await addressOf({ incident: ' INC-1 ' })).toBe(`/projects/${PROJECT}/incidents/INC-1`)
  expect(await addressOf({ incident: '../a?b#$&' })).toBe(
    `/projects/${PROJECT}/incidents/..%2Fa%3Fb%23%24%26`,
  )
  expect(await addressOf({ project: '$&', incident: 'a' })).toBe('/projects/%24%26/incidents/a')
  expect(await sourceAddressOf({ source: 's/1' })).toBe(`/projects/${PROJECT}/sources/s%2F1`)
})

test.each(['.', '..', ' .. ', '   '])('"%s" is no id: it would lead to something else', async (id) => {
  const refused = (field: string) => ({
    name: 'NodeOperationError',
    message: expect.stringMatching(RegExp(`^${field}: .+ is no ID$`)),
    description: expect.stringMatching(/^Give the ID that Tocsin shows, or choose from the list/),
  })
  await expect(addressOf({ incident: id })).rejects.toMatchObject(refused('Incident'))
  await expect(addressOf({ incident: 'a', project: id })).rejects.toMatchObject(refused('Project'))
  await expect(sourceAddressOf({ source: id })).rejects.toMatchObject(refused('Source'))
})

test('a number that an expression gives is an id', async () => {
  expect(await addressOf({ project: 3, incident: 7 })).toBe('/projects/3/incidents/7')
})

test('an answer without what was asked for says what came', async () => {
  const response = { statusCode: 200, headers: {}, body: { project: {}, requestId: 'r' } }
  for (const [name, { postReceive }] of Object.entries({
    incident: answerOf('incident'),
    entry: answerOf('entry'),
    incidents: wholeAnswer('incidents'),
    source: webhookUrlOfAnswer,
  })) {
    const [receive] = postReceive as PostReceive[]
    await expect(receive!.call(contextOf({}), [], response), name).rejects.toMatchObject({
      name: 'NodeApiError',
      message: `The answer lacks "${name}": it holds "project", "requestId"`,
      description: expect.stringMatching(/^Check the Base URL/),
    })
  }
})
