import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ApiIncident, ApiMessage } from '@tocsin/core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { newSigningSecret, signedHeaders } from '../../core/delivery/sign.ts'
import { startOn } from '../end-to-end/start-on.ts'
import { type Child, inRepository, pinnedNode, startChild } from '../support/child.ts'
import { codeBlocks } from '../support/code-blocks.ts'
import { findProgram } from '../support/find-program.ts'
import { openReceiver } from '../support/receiver.ts'
import { freePort, type ScratchDir, scratchDir } from '../support/scratch.ts'
import type { Received } from '../support/start-receiver.ts'
import { until } from '../support/until.ts'

const PAGE = 'docs/verify-webhooks.md'
const blocks = codeBlocks(PAGE)

const python = findProgram('python3', 'Install the package python3.')
const php = findProgram('php', 'Install the Debian package php-cli.')
const bash = findProgram('bash', 'Install the package bash.')
const openssl = findProgram('openssl', 'Install the package openssl.')
const curl = findProgram('curl', 'Install the package curl.')

const SECRET = newSigningSecret(randomBytes)
const receiverFile = readFileSync(inRepository('docs/receiver.mjs'), 'utf8')
const verifyInNode = functionOf(block('Node', 'js'))

interface Program {
  name: string
  file: string
  text: string
  /** How to start it; without a program it is left out. */
  program: string | undefined
  args: (port: number) => string[]
  /** Whether it claims to drop what it has seen. */
  drops: boolean
}

const PROGRAMS: Program[] = [
  {
    name: 'Node',
    file: 'receiver.mjs',
    text: receiverFile,
    program: pinnedNode,
    args: () => ['receiver.mjs'],
    drops: true,
  },
  {
    name: 'Node with the official package',
    file: 'receiver.mjs',
    // The page says: the same function.
    text: receiverFile.replace(verifyInNode, block('Node with the official package', 'js')),
    program: pinnedNode,
    args: () => ['receiver.mjs'],
    drops: true,
  },
  {
    name: 'Python',
    file: 'receiver.py',
    text: block('Python', 'python'),
    program: python,
    args: () => ['receiver.py'],
    drops: true,
  },
  {
    name: 'PHP',
    file: 'receiver.php',
    text: block('PHP', 'php'),
    program: php,
    args: (port) => ['-S', `127.0.0.1:${port}`, 'receiver.php'],
    drops: false,
  },
]
const programs = PROGRAMS.filter(({ program }) => program)

test('the whole receiver for Node is built around the lines of the page', () => {
  expect(receiverFile).toContain(verifyInNode)
  expect(verifyInNode.split('\n').length).toBeLessThan(20)
})

test('every block of the page is run here', () => {
  expect(blocks.map(({ heading, language }) => `${heading}: ${language}`)).toEqual([
    'Node: js',
    'Node with the official package: js',
    'Python: python',
    'PHP: php',
    'Shell: bash',
    'Try your receiver: bash',
    'The second header: js',
    'The second header: python',
    'The second header: php',
    'The second header: bash',
  ])
})

describe.each(programs)('the receiver in $name', (program) => {
  let receiver: RunningReceiver
  beforeAll(async () => {
    receiver = await startReceiver(program, SECRET)
  })
  afterAll(() => receiver.dispose())

  const post = (message: Message) => send(receiver.url, message)

  test('accepts what the sender signs, with the newest or an older secret during a rotation', async () => {
    const other = newSigningSecret(randomBytes)
    expect(await post(signed())).toBe(204)
    expect(await post(signed({ secrets: [other, SECRET] }))).toBe(204)
    expect(await post(signed({ secrets: [SECRET, other] }))).toBe(204)
  })

  test('accepts a body in any script, byte by byte', async () => {
    const body = messageBody('Zahlung fällt aus 🚨 \u2028 "$x" `id` \\u0000')
    expect(await post(signed({ body }))).toBe(204)
  })

  test.each([
    ['a changed body', (m: Message) => ({ ...m, body: m.body.replace('critical', 'low') })],
    ['a body with one byte more', (m: Message) => ({ ...m, body: `${m.body} ` })],
    ['another id', (m: Message) => withHeader(m, 'webhook-id', randomUUID())],
    [
      'another time',
      (m: Message) => withHeader(m, 'webhook-timestamp', String(Number(m.headers['webhook-timestamp']) + 1)),
    ],
    ['no id', (m: Message) => withHeader(m, 'webhook-id', undefined)],
    ['no time', (m: Message) => withHeader(m, 'webhook-timestamp', undefined)],
    ['no signature', (m: Message) => withHeader(m, 'webhook-signature', undefined)],
    ['an empty signature', (m: Message) => withHeader(m, 'webhook-signature', '')],
    ['no header at all', (m: Message) => ({ ...m, headers: {} })],
    [
      'a signature of another version',
      (m: Message) =>
        withHeader(m, 'webhook-signature', m.headers['webhook-signature']!.replace('v1,', 'v2,')),
    ],
  ])('refuses a message with %s', async (_, change) => {
    expect(await post(change(signed()))).toBe(401)
  })

  test('refuses another secret', async () => {
    expect(await post(signed({ secrets: [newSigningSecret(randomBytes)] }))).toBe(401)
  })

  test('takes a clock that is off by less than 5 minutes, and no more', async () => {
    const at = (seconds: number) => post(signed({ at: Date.now() + seconds * 1000 }))
    expect(await Promise.all([-290, 290].map(at))).toEqual([204, 204])
    expect(await Promise.all([-310, 310, -86_400, 86_400].map(at))).toEqual([401, 401, 401, 401])
  })

  // Where a program is missing, findProgram has said which, and how to get it.
  test.runIf(bash && openssl && curl)('is found in order by the script to try a receiver with', async () => {
    const { code, stdout } = await runBash(block('Try your receiver', 'bash'), [receiver.url])
    expect(stdout).toBe('good message: 204\nchanged body: 401\nold message: 401\n')
    expect(code).toBe(0)
  })
})

test.each(programs.filter(({ drops }) => drops))(
  'the receiver in $name does the work once when a message comes again',
  async (program) => {
    const receiver = await startReceiver(program, SECRET)
    onTestFinished(() => receiver.dispose())
    const id = randomUUID()
    const body = messageBody('Checkout is down', 'INC-007')
    const messages = [signed({ id, body, at: Date.now() - 60_000 }), signed({ id, body }), signed({ body })]
    for (const message of messages) expect(await send(receiver.url, message)).toBe(204)
    const told = () => receiver.stdout().match(/^verified .*/gm) ?? []
    await until('the other message is told', () => told().length >= 2)
    expect(told()).toEqual(['verified incident.opened INC-007', 'verified incident.opened INC-007'])
  },
)

test.each(programs)('the receiver in $name takes nothing while it has no key', async (program) => {
  const receiver = await startReceiver(program, 'whsec_')
  onTestFinished(() => receiver.dispose())
  expect(await send(receiver.url, signed({ secrets: ['whsec_'] }))).toBe(401)
})

// Where a program is missing, findProgram has said which, and how to get it.
describe.runIf(bash && openssl)('the check in the shell', () => {
  const check = async (message: Message, secret = SECRET) => {
    const { headers } = message
    const args = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => headers[name] ?? '')
    return runBash(block('Shell', 'bash'), ['body.json', ...args], {
      secret,
      files: { 'body.json': message.body },
    })
  }

  test('verifies what the sender signs, with each secret of a rotation', async () => {
    const other = newSigningSecret(randomBytes)
    expect(await check(signed())).toMatchObject({ code: 0, stdout: 'verified\n' })
    const message = signed({ secrets: [other, SECRET], body: messageBody('Zahlung fällt aus 🚨') })
    expect(await check(message)).toMatchObject({ code: 0, stdout: 'verified\n' })
    expect(await check(message, other)).toMatchObject({ code: 0, stdout: 'verified\n' })
  })

  test.each([
    ['a changed body', (m: Message) => ({ ...m, body: `${m.body}\n` }), /no signature/],
    ['no id', (m: Message) => withHeader(m, 'webhook-id', undefined), /missing/],
    ['no time', (m: Message) => withHeader(m, 'webhook-timestamp', undefined), /missing/],
    ['no signature', (m: Message) => withHeader(m, 'webhook-signature', undefined), /no signature/],
    [
      'a signature that is a pattern',
      (m: Message) => withHeader(m, 'webhook-signature', '*'),
      /no signature/,
    ],
    ['an old time', () => signed({ at: Date.now() - 310_000 }), /3\d\d s old/],
    ['a time to come', () => signed({ at: Date.now() + 310_000 }), /-3\d\d s old/],
  ])('refuses %s', async (_, change, says) => {
    const { code, stdout } = await check(change(signed()))
    expect(stdout).toMatch(says)
    expect(code).toBe(1)
  })

  test('refuses another secret, and to work without one', async () => {
    expect(await check(signed(), newSigningSecret(randomBytes))).toMatchObject({ code: 1 })
    const without = await check(signed({ secrets: ['whsec_'] }), 'whsec_')
    expect(without).toMatchObject({ code: 1, stdout: expect.stringContaining('no key') })
  })
})

describe.each(secondHeaderChecks())('the second header in $name', ({ check }) => {
  const header = (message: Message) => message.headers['x-uptimera-signature']
  const withBoth = () => signed({ signature: { header: 'X-Uptimera-Signature', format: 'hex' } })

  test('is verified', async () => {
    const message = withBoth()
    expect(await check(message.body, header(message), SECRET)).toBe(true)
  })

  test('is refused with a changed body, another secret, or none', async () => {
    const message = withBoth()
    expect(await check(`${message.body} `, header(message), SECRET)).toBe(false)
    expect(await check(message.body, header(message), newSigningSecret(randomBytes))).toBe(false)
    const keyless = createHmac('sha256', '').update(message.body).digest('hex')
    expect(await check(message.body, keyless, '')).toBe(false)
    expect(await check(message.body, '', SECRET)).toBe(false)
    expect(await check(message.body, header(message)!.slice(0, -2), SECRET)).toBe(false)
  })
})

test('every receiver takes a whole incident from the real process, before, in and after a rotation', async () => {
  const tocsin = await startOn('sqlite')
  const path = `/projects/${tocsin.projectId}`
  const caught = await openReceiver()
  const ports = await Promise.all(programs.map(() => freePort()))
  const made = [...ports.map((port) => `http://127.0.0.1:${port}/`), caught.url].map((url) =>
    tocsin.api<{ endpoint: { id: string } }>('POST', `${path}/endpoints`, {
      url,
      secret: SECRET,
      signature: { header: 'X-Uptimera-Signature', format: 'hex' },
    }),
  )
  const endpoints = (await Promise.all(made)).map(({ endpoint }) => endpoint.id)
  for (const [index, program] of programs.entries()) {
    const receiver = await startReceiver(program, SECRET, ports[index])
    onTestFinished(() => receiver.dispose())
  }

  const { incident } = await tocsin.api<{ incident: ApiIncident }>('POST', `${path}/incidents`, {
    title: 'Zahlung fällt aus 🚨',
  })
  await tocsin.api('POST', `${path}/incidents/${incident.id}/acknowledge`)
  const delivered = (count: number) =>
    until(`${count} messages are delivered to each`, async () => {
      const statuses = await Promise.all(endpoints.map((id) => statusesOf(id)))
      return statuses.every((all) => all.length === count && all.every((one) => one === 'delivered'))
    })
  const statusesOf = async (id: string) => {
    const { messages } = await tocsin.api<{ messages: ApiMessage[] }>(
      'GET',
      `${path}/endpoints/${id}/messages`,
    )
    return messages.map(({ status }) => status)
  }
  await delivered(2)

  for (const id of endpoints) await tocsin.api('POST', `${path}/endpoints/${id}/rotate`, {})
  await tocsin.api('POST', `${path}/incidents/${incident.id}/resolve`)
  await delivered(3)
  expect(caught.received.at(-1)!.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)

  for (const [index, received] of caught.received.entries()) {
    const message = messageOf(received)
    for (const { check } of secondHeaderChecks()) {
      // The second header has room for the newest secret only.
      const isOld = index < 2
      expect(await check(message.body, message.headers['x-uptimera-signature'], SECRET)).toBe(isOld)
    }
  }

  // The old secret ends at once: nothing of what comes now is taken.
  for (const id of endpoints) {
    await tocsin.api('POST', `${path}/endpoints/${id}/rotate`, { overlapMinutes: 0 })
  }
  const tests = await Promise.all(
    endpoints
      .slice(0, programs.length)
      .map((id) => tocsin.api<{ message: ApiMessage }>('POST', `${path}/endpoints/${id}/test`)),
  )
  for (const { message } of tests) {
    const { attempts } = await until('the test was tried', async () => {
      const found = await tocsin.api<{ attempts: { responseStatus: number }[] }>(
        'GET',
        `${path}/messages/${message.id}`,
      )
      return found.attempts.length > 0 && found
    })
    expect(attempts).toMatchObject([{ responseStatus: 401 }])
  }
})

// ---- messages ----

interface Message {
  headers: Record<string, string>
  body: string
}

function signed(more: Partial<Parameters<typeof signedHeaders>[0]> = {}): Message {
  const options = {
    id: randomUUID(),
    at: Date.now(),
    body: messageBody('Checkout is down'),
    secrets: [SECRET],
    signature: null,
    ...more,
  }
  return { headers: signedHeaders(options), body: options.body }
}

function messageBody(title: string, reference = 'INC-042'): string {
  return JSON.stringify({
    type: 'incident.opened',
    timestamp: '2026-11-21T08:00:00.000Z',
    data: { schemaVersion: 1, sequence: 1, incident: { reference, title, severity: 'critical' } },
  })
}

function withHeader(message: Message, name: string, value: string | undefined): Message {
  const { [name]: _, ...others } = message.headers
  return { ...message, headers: value === undefined ? others : { ...others, [name]: value } }
}

function messageOf({ headers, body }: Received): Message {
  return { headers: headers as Record<string, string>, body }
}

/** Answers the status. */
async function send(url: string, { headers, body }: Message): Promise<number> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  })
  await response.arrayBuffer()
  return response.status
}

// ---- the blocks of the page ----

function block(heading: string, language: string): string {
  const found = blocks.filter((one) => one.heading === heading && one.language === language)
  if (found.length !== 1)
    throw new Error(`${PAGE} has ${found.length} ${language} blocks under "${heading}".`)
  return found[0]!.text
}

/** Without its imports. */
function functionOf(text: string): string {
  return text.slice(text.indexOf('function '))
}

interface RunningReceiver {
  url: string
  stdout(): string
  dispose(): Promise<void>
}

async function startReceiver(program: Program, secret: string, port?: number): Promise<RunningReceiver> {
  const dir = await fileDir({ [program.file]: program.text })
  const chosen = port ?? (await freePort())
  const child = await startChild(program.program!, program.args(chosen), {
    cwd: dir.path,
    env: { ...home, WEBHOOK_SECRET: secret, PORT: String(chosen) },
  })
  const url = `http://127.0.0.1:${chosen}/`
  const dispose = async () => {
    if (!child.exit()) await child.end('SIGKILL')
    dir.remove()
  }
  await until(`the receiver in ${program.name} listens`, () => answers(child, url)).catch(async (error) => {
    await dispose()
    throw error
  })
  return { url, stdout: () => child.stdout(), dispose }
}

async function answers(child: Child, url: string): Promise<boolean> {
  if (child.exit()) throw new Error(`It ended: ${child.stderr()}`)
  return (await send(url, { headers: {}, body: '{}' })) > 0
}

/** Version managers of Python find their files from here. */
const home: Record<string, string> = process.env.HOME === undefined ? {} : { HOME: process.env.HOME }

/** A scratch directory with these files, and the packages of this repository. */
async function fileDir(files: Record<string, string>): Promise<ScratchDir> {
  const dir = await scratchDir()
  symlinkSync(inRepository('node_modules'), join(dir.path, 'node_modules'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir.path, name), text)
  return dir
}

async function run(
  program: string,
  args: string[],
  { secret = SECRET, files = {} }: { secret?: string; files?: Record<string, string> },
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const dir = await fileDir(files)
  try {
    const child = await startChild(program, args, { cwd: dir.path, env: { ...home, WEBHOOK_SECRET: secret } })
    const { code } = await child.exited
    return { code, stdout: child.stdout(), stderr: child.stderr() }
  } finally {
    dir.remove()
  }
}

function runBash(
  script: string,
  args: string[],
  { files, ...options }: { secret?: string; files?: Record<string, string> } = {},
) {
  return run(bash!, ['script.sh', ...args], { ...options, files: { ...files, 'script.sh': script } })
}

type CheckSecondHeader = (body: string, header: string | undefined, secret: string) => Promise<boolean>

function secondHeaderChecks(): { name: string; check: CheckSecondHeader }[] {
  /** The block with a line below it that calls the function and tells what it answers. */
  const calling = (
    name: string,
    program: string | undefined,
    language: string,
    file: string,
    call: string,
  ): { name: string; check: CheckSecondHeader }[] =>
    program === undefined
      ? []
      : [
          {
            name,
            check: async (body, header, secret) => {
              const text = block('The second header', language) + call
              const files = { [file]: text, 'body.json': body }
              const { code, stdout, stderr } = await run(program, [file, header ?? ''], { secret, files })
              if (code !== 0) throw new Error(stderr)
              return JSON.parse(stdout)
            },
          },
        ]

  const inBash: CheckSecondHeader = async (body, header, secret) => {
    const { stdout } = await runBash(block('The second header', 'bash'), ['body.json', header ?? ''], {
      secret,
      files: { 'body.json': body },
    })
    return stdout === 'verified\n'
  }

  return [
    ...calling(
      'Node',
      pinnedNode,
      'js',
      'check.mjs',
      `import { readFileSync } from 'node:fs'
       console.log(verifyBody(readFileSync('body.json'), process.argv[2], process.env.WEBHOOK_SECRET))`,
    ),
    ...calling(
      'Python',
      python,
      'python',
      'check.py',
      [
        'import json, os, sys',
        'body = open("body.json", "rb").read()',
        'print(json.dumps(verify_body(body, sys.argv[1], os.environ["WEBHOOK_SECRET"])))',
      ].join('\n'),
    ),
    ...calling(
      'PHP',
      php,
      'php',
      'check.php',
      `echo json_encode(verifyBody(file_get_contents('body.json'), $argv[1], getenv('WEBHOOK_SECRET')));`,
    ),
    ...(bash && openssl ? [{ name: 'the shell', check: inBash }] : []),
  ]
}
