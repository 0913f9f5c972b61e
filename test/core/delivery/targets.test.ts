import { createServer, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createSender } from '../../../core/delivery/send.ts'
import {
  checkAddress,
  checkTarget,
  checkUrl,
  type Resolve,
  TargetRefused,
  type TargetRules,
} from '../../../core/delivery/targets.ts'
import { PRIVATE_SPELLINGS } from './private-spellings.ts'

const STRICT: TargetRules = { allow: [], loopback: false }
const LOCAL: TargetRules = { allow: [], loopback: true }

describe('an address that is not public', () => {
  test('the list is long enough', () => {
    expect(new Set(PRIVATE_SPELLINGS).size).toBeGreaterThanOrEqual(60)
  })

  test.each(PRIVATE_SPELLINGS)('%s is refused when it is chosen', (host) => {
    expect(() => checkUrl(`https://${host}/hook`, STRICT)).toThrow(TargetRefused)
  })

  test.each(['[fe80::1%25eth0]', '[::1%lo]', '1.1.1.256', '0x100000000', '256.1', ' ', '[', 'a b'])(
    '%j is no host at all',
    (host) => {
      expect(() => checkUrl(`https://${host}/hook`, LOCAL)).toThrow(TargetRefused)
    },
  )

  test('no connection reaches the canary by any spelling of this machine', async () => {
    const canary = await openCanary()
    const sender = createSender({
      rules: STRICT,
      // What slipped through would be looked up and land on the canary.
      resolve: async () => ['127.0.0.1'],
      limits: { connectMs: 1_000, headersMs: 1_000, totalMs: 2_000 },
    })
    onTestFinished(() => sender.close())

    // Only those: a check that fails must not send anything to anybody else.
    const here = PRIVATE_SPELLINGS.filter((host) => leadsHere(host))
    expect(here.length).toBeGreaterThan(30)
    for (const host of here) {
      for (const scheme of ['https', 'http']) {
        const url = `${scheme}://${host}:${canary.port}/`
        expect(await sender.send({ url, headers: {}, body: '{}' }), url).toMatchObject({
          status: null,
          error: expect.stringMatching(/TOCSIN_ALLOW_PRIVATE_TARGETS/),
        })
      }
    }
    expect(canary.connections()).toBe(0)
  })
})

describe('names', () => {
  const NAME = 'receiver.example'

  async function sendTo(resolve: Resolve, rules = STRICT, scheme = 'https') {
    const canary = await openCanary()
    const sender = createSender({
      rules,
      resolve,
      limits: { connectMs: 1_000, headersMs: 1_000, totalMs: 2_000 },
    })
    onTestFinished(() => sender.close())
    const result = await sender.send({ url: `${scheme}://${NAME}:${canary.port}/`, headers: {}, body: '{}' })
    return { result, connections: canary.connections() }
  }

  test.each([
    ['only a private address', ['127.0.0.1']],
    ['a public and a private one', ['93.184.215.14', '127.0.0.1']],
    ['a private and a public one', ['127.0.0.1', '93.184.215.14']],
    ['this machine twice', ['127.0.0.1', '127.0.0.2']],
    ['a private one written as IPv6', ['::ffff:127.0.0.1']],
    ['cloud metadata', ['169.254.169.254']],
    ['something that is no address', ['127.1']],
  ])('one that resolves to %s is refused', async (_what, addresses) => {
    const { result, connections } = await sendTo(async () => addresses)
    expect(result).toMatchObject({ status: null, error: expect.stringMatching(/address|never sent/) })
    expect(connections).toBe(0)
    await expect(checkTarget(`https://${NAME}/`, STRICT, async () => addresses)).rejects.toThrow(
      TargetRefused,
    )
  })

  test('one that is not known yet is refused over http where no private target is allowed', async () => {
    const away: Resolve = async () => {
      throw new Error('no DNS')
    }
    for (const name of [NAME, `${NAME}.`, 'localhost', 'a.localhost']) {
      await expect(checkTarget(`http://${name}/`, STRICT, away)).rejects.toThrow(TargetRefused)
    }
  })

  test('a list wider than private networks lets nothing go to public addresses in the clear', async () => {
    const wide: TargetRules = { allow: ['0.0.0.0/0', '::/0'], loopback: false }
    const far = async () => ['93.184.215.14']
    await expect(checkTarget(`http://${NAME}/`, wide, far)).rejects.toThrow(/Only https/)
    expect(() => checkUrl('http://93.184.215.14/', wide)).toThrow(/Only https/)
    expect(() => checkUrl('http://[2606:4700::1]/', wide)).toThrow(/Only https/)
    expect((await sendTo(far, wide, 'http')).result).toMatchObject({
      status: null,
      error: expect.stringMatching(/Only https/),
    })
    expect(checkUrl('http://10.0.0.5/', wide).host).toBe('10.0.0.5')
  })

  test('one whose addresses change after the check meets the check again at the connect', async () => {
    const answers = [['93.184.215.14'], ['127.0.0.1'], ['127.0.0.1']]
    const resolve: Resolve = async () => answers.shift() ?? ['127.0.0.1']
    await checkTarget(`https://${NAME}/`, STRICT, resolve)
    const { result, connections } = await sendTo(resolve)
    expect(result.error).toMatch(/^The host resolves to an address that is not public\. [^0-9]*$/)
    expect(connections).toBe(0)
  })

  test('one that resolves to nothing fails, but may be chosen before it is set up', async () => {
    const resolve: Resolve = async () => []
    expect((await sendTo(resolve)).result.error).toBe('The name of the host is unknown.')
    const failing: Resolve = async () => Promise.reject(new Error('SERVFAIL'))
    await expect(checkTarget(`https://${NAME}/`, STRICT, failing)).resolves.toBeInstanceOf(URL)
  })

  test('one that resolves to an allowed private address is reached', async () => {
    const { result, connections } = await sendTo(async () => ['127.0.0.1'], LOCAL, 'http')
    expect(result).toMatchObject({ status: 204, error: null })
    expect(connections).toBe(1)
  })

  test('is looked up once per connection, so that no second answer can differ', async () => {
    let asked = 0
    const { result } = await sendTo(async () => [++asked === 1 ? '127.0.0.1' : '127.0.0.99'], LOCAL, 'http')
    expect(result.status).toBe(204)
    expect(asked).toBe(1)
  })
})

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])('%i to another address is not followed', async (status) => {
    const canary = await openCanary()
    const server = await listen(
      createServer((_req, res) => {
        res.writeHead(status, { Location: `http://127.0.0.1:${canary.port}/` }).end()
      }),
    )
    const sender = createSender({ rules: LOCAL })
    onTestFinished(() => sender.close())
    expect(await sender.send({ url: server, headers: {}, body: '{}' })).toMatchObject({ status, error: null })
    expect(canary.connections()).toBe(0)
  })
})

describe('rules', () => {
  test.each([
    ['93.184.215.14', 'public'],
    ['8.8.8.8', 'public'],
    ['2606:2800:21f:cb07:6820:80da:af6b:8b2c', 'public'],
    ['10.1.2.3', 'private'],
    ['fd12::1', 'private'],
    ['127.0.0.1', 'private'],
    ['::1', 'private'],
    ['192.168.7.7', 'private'],
  ])('%s is %s where 10.0.0.0/8, fd12::/16, 192.168.7.7 and this machine are allowed', (address, kind) => {
    expect(checkAddress(address, { allow: ['10.0.0.0/8', 'fd12::/16', '192.168.7.7'], loopback: true })).toBe(
      kind,
    )
  })

  test.each([
    '169.254.169.254',
    '169.254.170.2',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    'fd00:ec2::254',
    'fe80::a9fe:a9fe',
  ])('%s is refused even where every network is allowed', (address) => {
    const all = { allow: ['0.0.0.0/0', '::/0'], loopback: true }
    expect(() => checkAddress(address, all)).toThrow(/never sent to/)
  })

  test.each(['::ffff:169.254.169.254', '::169.254.169.254', '64:ff9b::169.254.169.254', '2002:a9fe:a9fe::'])(
    '%s, another way to write cloud metadata, is refused where private IPv4 networks are allowed',
    (address) => {
      expect(() =>
        checkAddress(address, { allow: ['169.254.0.0/16', '10.0.0.0/8'], loopback: true }),
      ).toThrow(TargetRefused)
    },
  )

  test.each([
    ['::ffff:169.254.169.254', '::ffff:0:0/96'],
    ['::169.254.169.254', '::/0'],
    ['::ffff:0:169.254.169.254', '::/0'],
    ['64:ff9b::169.254.169.254', '64:ff9b::/96'],
    ['64:ff9b:1::a9fe:a9fe', '64:ff9b:1::/48'],
    ['64:ff9b::100.100.100.200', '64:ff9b::/96'],
    ['2002:a9fe:a9fe::1', '2002::/16'],
    ['64:ff9b::a83f:8110', '::/0'],
  ])(
    '%s is refused even where %s is allowed: a translator would lead to cloud metadata',
    (address, allowed) => {
      expect(() => checkAddress(address, { allow: [allowed], loopback: true })).toThrow(/never sent to/)
    },
  )

  test('other addresses behind an allowed translator are reached', () => {
    expect(checkAddress('64:ff9b::8.8.8.8', { allow: ['64:ff9b::/96'], loopback: false })).toBe('private')
  })

  test('plain http goes to allowed private targets only', () => {
    expect(() => checkUrl('http://93.184.215.14/', LOCAL)).toThrow(/https/)
    expect(() => checkUrl('http://receiver.example/', STRICT)).toThrow(/https/)
    expect(checkUrl('http://127.0.0.1:5678/webhook', LOCAL).port).toBe('5678')
    expect(checkUrl('http://localhost:5678/webhook', LOCAL).hostname).toBe('localhost')
    expect(checkUrl('https://receiver.example/', STRICT).hostname).toBe('receiver.example')
  })

  test.each([
    'ftp://receiver.example/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'https://user@receiver.example/',
    'https://user:password@receiver.example/',
    'https://:password@receiver.example/',
    'https://receiver.example/#fragment',
    'receiver.example',
    '//receiver.example',
    '',
  ])('%s is refused', (url) => {
    expect(() => checkUrl(url, LOCAL)).toThrow(TargetRefused)
  })

  test('a very long one is refused', () => {
    expect(() => checkUrl(`https://receiver.example/${'a'.repeat(2_000)}`, LOCAL)).toThrow(TargetRefused)
  })

  test('a refusal names the setting, and no password', () => {
    expect(() => checkUrl('https://10.0.0.5/', STRICT)).toThrow(/10\.0\.0\.5.*TOCSIN_ALLOW_PRIVATE_TARGETS/)
    expect(() => checkUrl('https://user:hunter2@receiver.example/', STRICT)).not.toThrow(/hunter2/)
  })
})

/** Whether the system's own network code would connect to this machine by it. */
function leadsHere(host: string): boolean {
  const url = URL.parse(`http://${host}/`)?.hostname ?? `[${host}]`
  return /^(127\.|0\.0\.0\.0$|\[::\]$|\[::1\]$|\[::ffff:7f00:1\]$)|localhost\.?$/.test(url)
}

/** Counts who connects, on the loopback address. */
async function openCanary() {
  let connections = 0
  const answer = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'
  const server = createTcpServer((socket) => {
    connections += 1
    socket.on('error', () => {})
    socket.once('data', () => socket.end(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, connections: () => connections }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}
