import { once } from 'node:events'
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { createServer } from '../../ingest/app.ts'
import { makeStoppable } from '../../ingest/stoppable.ts'
import { until } from '../support/until.ts'

test('a stop answers what was taken, takes no more connections in the end and keeps none open', async () => {
  const { stoppable, url, requests, agent, server } = await start()
  const answer = ask(`${url}/slow`, agent)
  const [, res] = await requests.next()

  const stopped = stoppable.stop(5_000)
  expect(stoppable.isStopping()).toBe(true)
  await until('it no longer listens', () => !server.listening)
  await expect(ask(`${url}/new`, new Agent())).rejects.toMatchObject({ code: 'ECONNREFUSED' })

  res.end('done')
  expect(await answer).toMatchObject({ body: 'done', connection: 'close' })
  await stopped
})

test('who asks right after the stop began is answered, whoever else waits to be let in', async () => {
  const { stoppable, url, requests } = await start()
  const answers = Array.from({ length: 20 }, () => ask(`${url}/late`, new Agent()))
  const stopped = stoppable.stop(5_000)
  for (const _ of answers) (await requests.next())[1].end('late')
  const answered = await Promise.all(answers)
  expect(answered).toEqual(answers.map(() => ({ body: 'late', connection: 'close' })))
  await stopped
})

test('who is let in while a long turn lasts is taken in before it no longer listens', async () => {
  let waits = 0
  const { stoppable, url, requests } = await start({
    wait: (ms) => (waits++ === 0 ? Promise.resolve() : wait(ms)),
  })
  const heard = Promise.withResolvers<string>()
  // In the turn in which the stop looks, after it has looked.
  setImmediate(() => {
    const end = performance.now() + 5
    while (performance.now() < end);
    const sender = connect(Number(new URL(url).port), '127.0.0.1')
    sender.write('GET /late HTTP/1.1\r\nHost: localhost\r\n\r\n')
    text(sender).then(heard.resolve, heard.reject)
  })
  const stopped = stoppable.stop(5_000)
  void requests.next().then(([, res]) => res.end('late'))
  expect(await heard.promise).toContain('late')
  await stopped
})

test('requests on an open connection are still answered, and told when it is given up', async () => {
  const { stoppable, url, requests, agent, server } = await start()
  const first = ask(`${url}/first`, agent)
  const [, firstRes] = await requests.next()
  firstRes.end('first')
  await first

  const stopped = stoppable.stop(5_000)
  const late = ask(`${url}/late`, agent)
  const [, lateRes] = await requests.next()
  lateRes.end('late')
  expect(await late).toMatchObject({ body: 'late', connection: 'keep-alive' })

  await until('it no longer listens', () => !server.listening)
  const last = ask(`${url}/last`, agent)
  const [, lastRes] = await requests.next()
  lastRes.end('last')
  expect(await last).toMatchObject({ body: 'last', connection: 'close' })
  await stopped
})

test('until it has drained for as long as it is told new connections are taken', async () => {
  const drained = Promise.withResolvers<void>()
  const waits: number[] = []
  const { stoppable, url, requests, server } = await start({
    drainMs: 3_000,
    wait: (ms) => (waits.push(ms) === 1 ? drained.promise : wait(ms)),
  })
  const stopped = stoppable.stop(60_000)
  expect([stoppable.isStopping(), waits]).toEqual([true, [3_000]])
  const answer = ask(`${url}/new`, new Agent())
  const [, res] = await requests.next()
  res.end('new')
  expect(await answer).toEqual({ body: 'new', connection: 'close' })
  expect(server.listening).toBe(true)

  drained.resolve()
  await until('it no longer listens', () => !server.listening)
  await stopped
})

test('requests that were sent ahead are all answered, the last one told that the connection is given up', async () => {
  const { stoppable, url, requests, server } = await start()
  const sender = connect(Number(new URL(url).port), '127.0.0.1')
  const heard = text(sender)
  for (const path of ['/a', '/b', '/c']) sender.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const [, first] = await requests.next()

  const stopped = stoppable.stop(5_000)
  await until('it no longer listens', () => !server.listening)
  first.end('first')
  for (const _ of ['/b', '/c']) (await requests.next())[1].end('later')
  expect((await heard).match(/^Connection: .*/gm)).toEqual([
    'Connection: keep-alive',
    'Connection: keep-alive',
    'Connection: close',
  ])
  await stopped
})

test('a request that takes too long is cut off', async () => {
  const { stoppable, url, requests, agent } = await start()
  const answer = ask(`${url}/endless`, agent)
  answer.catch(() => {})
  await requests.next()
  await stoppable.stop(300)
  await expect(answer).rejects.toMatchObject({ code: 'ECONNRESET' })
})

type Exchange = [IncomingMessage, ServerResponse]

async function start(options?: Parameters<typeof makeStoppable>[1]) {
  const waiting: ((exchange: Exchange) => void)[] = []
  const came: Exchange[] = []
  const server = createServer((req, res) => {
    const next = waiting.shift()
    if (next) next([req, res])
    else came.push([req, res])
  })
  const stoppable = makeStoppable(server, options)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  onTestFinished(() => {
    agent.destroy()
    server.closeAllConnections()
  })
  return {
    stoppable,
    server,
    agent,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: {
      next: () =>
        new Promise<Exchange>((resolve) => {
          const exchange = came.shift()
          if (exchange) resolve(exchange)
          else waiting.push(resolve)
        }),
    },
  }
}

async function ask(url: string, agent: Agent): Promise<{ body: string; connection: string | undefined }> {
  const request = get(url, { agent })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { body: await text(response), connection: response.headers.connection }
}
