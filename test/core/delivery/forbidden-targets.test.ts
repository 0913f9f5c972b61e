import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { beforeEach, describe, expect, test } from 'vitest'
import { openTocsin } from '../../../core/open-tocsin.ts'
import type { Caller, OpenedTocsin, Tocsin } from '../../../core/tocsin.ts'
import { SCOPES } from '../../../core/types.ts'
import { freshDatabase } from '../../support/databases.ts'
import { until } from '../../support/until.ts'
import { PRIVATE_SPELLINGS } from './private-spellings.ts'

/** T16 through the whole program: this machine stands for the network nobody outside may reach. */

const CALLER: Caller = { keyId: 'test', name: 'test', scopes: [...SCOPES], projectId: null }
const PUBLIC = ['93.184.215.14']

let opened: OpenedTocsin
let tocsin: Tocsin
let project: string
let canary: { port: number; connections: number }
/** What names resolve to from now on. */
let addresses: string[]
/** The same after the next answer. */
let later: string[] | undefined

beforeEach(async () => {
  const database = await freshDatabase('sqlite')
  const server = createTcpServer((socket) => {
    canary.connections += 1
    socket.destroy()
  })
  canary = { port: await listen(server), connections: 0 }
  addresses = PUBLIC
  later = undefined
  opened = await openTocsin({
    databaseUrl: database.url,
    secretKey: Buffer.alloc(32, 1),
    publicUrl: 'http://127.0.0.1:4117',
    defaultPlan: 'unlimited',
    targets: { allow: [], loopback: false },
    resolve: async () => {
      const answer = addresses
      addresses = later ?? addresses
      return answer
    },
  })
  tocsin = opened.actingAs(CALLER)
  project = opened.firstStart!.projectId
  return async () => {
    await opened.close()
    server.close()
    await database.dispose()
  }
})

/** An endpoint chosen while its name was public; it is private from now on. */
async function rebound(): Promise<string> {
  const url = `https://rebinding.example:${canary.port}/hook`
  const { endpoint } = await tocsin.createEndpoint(project, { url, policy: 'once' })
  addresses = ['127.0.0.1']
  return endpoint.id
}

const ended = (endpoint: string) =>
  until('the message has ended', async () => {
    const [message] = (await tocsin.listMessages(project, endpoint, {})).messages
    return message?.status === 'failed' && message
  })

test('no spelling of a private address can be chosen, on create or on edit', async () => {
  const { endpoint } = await tocsin.createEndpoint(project, { url: 'https://receiver.example/' })
  for (const host of PRIVATE_SPELLINGS) {
    for (const scheme of ['https', 'http']) {
      const url = `${scheme}://${host}:${canary.port}/`
      const refusal = { code: 'invalid_request', message: expect.stringMatching(/^url: /) }
      await expect(tocsin.createEndpoint(project, { url }), url).rejects.toMatchObject(refusal)
      await expect(tocsin.updateEndpoint(project, endpoint.id, { url }), url).rejects.toMatchObject(refusal)
    }
  }
  expect(canary.connections).toBe(0)
})

test.each([
  ['only a private address', ['127.0.0.1']],
  ['a public and a private one', [...PUBLIC, '127.0.0.1']],
  ['a private one written as IPv6', ['::ffff:127.0.0.1']],
])('a name that resolves to %s cannot be chosen', async (_what, found) => {
  const { endpoint } = await tocsin.createEndpoint(project, { url: 'https://receiver.example/' })
  addresses = found
  const url = `https://inside.example:${canary.port}/`
  await expect(tocsin.createEndpoint(project, { url })).rejects.toThrow(/not public/)
  await expect(tocsin.updateEndpoint(project, endpoint.id, { url })).rejects.toThrow(/not public/)
  expect(canary.connections).toBe(0)
})

describe('a name that turns private after it was chosen', () => {
  test('is refused by the test button', async () => {
    const endpoint = await rebound()
    await expect(tocsin.testEndpoint(project, endpoint)).rejects.toThrow(
      /The host resolves to an address that is not public/,
    )
    expect(canary.connections).toBe(0)
  })

  test('is not connected to by a message or its replay', async () => {
    const endpoint = await rebound()
    await tocsin.createIncident(project, { title: 'Down' })
    const { id } = await ended(endpoint)
    await tocsin.replayMessage(project, id)
    await ended(endpoint)
    expect(await tocsin.replayEndpoint(project, endpoint, {})).toEqual({ replayed: 1 })
    await ended(endpoint)

    const { attempts } = await tocsin.getMessage(project, id)
    expect(attempts).toHaveLength(3)
    for (const attempt of attempts) {
      expect(attempt).toMatchObject({
        responseStatus: null,
        error: expect.stringMatching(/^The host resolves to an address that is not public\. [^0-9]*$/),
        responseBody: null,
      })
    }
    expect(canary.connections).toBe(0)
  })

  test('is not connected to when it turns private between the check of the test button and the connect', async () => {
    const url = `https://rebinding.example:${canary.port}/hook`
    const { endpoint } = await tocsin.createEndpoint(project, { url })
    later = ['127.0.0.1']
    await tocsin.testEndpoint(project, endpoint.id)
    const { id } = await ended(endpoint.id)
    expect((await tocsin.getMessage(project, id)).attempts[0]!.error).toMatch(/not public/)
    expect(canary.connections).toBe(0)
  })
})

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}
