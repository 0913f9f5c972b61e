import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { BlockList } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { readConfig, SETTINGS } from '../../ingest/config.ts'
import { commandOf, inRepository } from '../support/child.ts'
import { codeBlocks } from '../support/code-blocks.ts'
import { findProgram } from '../support/find-program.ts'
import { scratchDir } from '../support/scratch.ts'

const openssl = findProgram('openssl', 'Install the package openssl.')

interface Service {
  image: string
  build?: string
  environment?: Record<string, string>
  networks: string[]
  ports?: string[]
  volumes?: string[]
  depends_on: unknown
  healthcheck?: { test: string[] }
  read_only?: boolean
  cap_drop?: string[]
}

interface Compose {
  services: Record<string, Service>
  networks: Record<string, { ipam?: { config: { subnet: string }[] }; internal?: boolean }>
  volumes: Record<string, unknown>
  configs: Record<string, { content: string }>
}

const read = (path: string) => readFileSync(inRepository(path), 'utf8')
const text = read('compose.yaml')
const compose = parse(text, { merge: true }) as Compose
const services = Object.entries(compose.services)
const own = services.filter(([, { build }]) => build !== undefined)
const byRole = (role: string) => own.filter(([, { environment }]) => environment!.TOCSIN_ROLE === role)
const dockerfile = read('Dockerfile')

/** Where Compose puts values in; those with `:?` must be given. */
const GIVEN: Record<string, string> = {
  POSTGRES_PASSWORD: 'a0b1c2d3e4f5a0b1c2d3e4f5',
  TOCSIN_SECRET_KEY: Buffer.alloc(32, 1).toString('base64'),
  TOCSIN_ADMIN_KEY: 'an-admin-key-of-a-deployment',
  TOCSIN_DOMAIN: 'tocsin.example.com',
}
const filled = (value: string, given: Record<string, string> = GIVEN) =>
  value.replaceAll(
    /\$\{(\w+)(?::([?-])([^}]*))?\}/g,
    (_, name: string, how, rest) => given[name] ?? (how === '-' ? rest : `<${name} is missing>`),
  )

describe('compose.yaml', () => {
  test('starts two processes that receive and two that send, on one PostgreSQL', () => {
    expect([byRole('ingest').length, byRole('worker').length, own.length]).toEqual([2, 2, 4])
    for (const name of ['DATABASE_URL', 'TOCSIN_SECRET_KEY', 'TOCSIN_PUBLIC_URL']) {
      expect(new Set(own.map(([, { environment }]) => environment![name])).size, name).toBe(1)
    }
  })

  test('gives them settings they take', () => {
    for (const [name, { environment }] of own) {
      const unknown = Object.keys(environment!).filter((variable) => !(variable in SETTINGS))
      expect(unknown, name).toEqual([])
      const env = Object.entries(environment!).map(([variable, value]) => [variable, filled(value)])
      const config = readConfig(Object.fromEntries(env))
      expect(config.databaseUrl).toBe(`postgres://tocsin:${GIVEN.POSTGRES_PASSWORD}@postgres:5432/tocsin`)
      expect(config.publicUrl).toBe('https://tocsin.example.com')
    }
  })

  test('passes every setting on, but for those it says it sets by itself', () => {
    const comment = text.match(/^# Whatever \.env says[^:]*: (?:.+\n)(?:# .+\n)*/m)![0]
    const bySelf = comment.match(/[A-Z]+(_[A-Z]+)+/g)!
    const given = { ...GIVEN }
    for (const name of Object.keys(SETTINGS)) given[name] ??= `the ${name} of .env`
    for (const [service, { environment }] of own) {
      const passed = Object.keys(SETTINGS).filter(
        (name) => filled(environment![name] ?? '', given) === given[name],
      )
      expect([...passed, ...bySelf].toSorted(), service).toEqual(Object.keys(SETTINGS).toSorted())
      for (const name of bySelf) {
        expect(name in environment! || dockerfile.includes(` ${name}=`), `${service}: ${name}`).toBe(true)
      }
    }
  })

  test('holds no secret, and does not start without one', () => {
    const secrets = services.flatMap(([, { environment = {} }]) =>
      Object.entries(environment).filter(([name]) => /PASSWORD|_KEY$|DATABASE_URL/.test(name)),
    )
    expect(secrets.length).toBeGreaterThan(8)
    for (const [name, value] of secrets) {
      // The one that nobody needs.
      if (name === 'TOCSIN_LLM_API_KEY') expect(value).toMatch(/^\$\{\w+:-\}$/)
      else expect(value, name).toMatch(/\$\{\w+:\?/)
    }
  })

  test('lets the proxy alone be reached, knows when a process is ready, and sends to all that receive', () => {
    expect(services.filter(([, { ports }]) => ports).map(([name]) => name)).toEqual(['proxy'])
    const upstreams = compose.configs.caddyfile!.content.match(/reverse_proxy (.+) \{/)![1]!.split(' ')
    expect(upstreams).toEqual(byRole('ingest').map(([name]) => `${name}:4117`))
    expect(compose.configs.caddyfile!.content).toContain('health_uri /readyz')
    // Where none is ready the proxy answers.
    expect(compose.configs.caddyfile!.content).toMatch(/handle_errors \{\s+header Retry-After \d+\n/)
    // Tocsin ends idle connections after 65 s; Caddy keeps them for 2 minutes unless told.
    expect(compose.configs.caddyfile!.content).toMatch(/transport http \{\s+keepalive 30s\s+\}/)
    for (const [name, { build, healthcheck }] of services) {
      expect(build === undefined ? healthcheck?.test : dockerfile, name).toContain(
        build === undefined ? healthcheck!.test[0] : 'HEALTHCHECK',
      )
    }
  })

  test('believes the network of the proxy alone, and keeps the database off every other', () => {
    const [{ subnet }] = compose.networks.edge!.ipam!.config as [{ subnet: string }]
    for (const [, { environment }] of own) expect(environment!.TOCSIN_TRUST_PROXY).toBe(subnet)
    const onEdge = services.filter(([, { networks }]) => networks.includes('edge')).map(([name]) => name)
    expect(onEdge).toEqual(['proxy', 'ingest-1', 'ingest-2'])
    expect(compose.services.postgres!.networks).toEqual(['data'])
    expect(compose.networks.data!.internal).toBe(true)
  })

  test('takes no network that clouds or Docker use by themselves, and lets it be changed in one place', () => {
    const given = compose.networks.edge!.ipam!.config[0]!.subnet
    expect(given).toMatch(/^\$\{TOCSIN_EDGE_NETWORK:-/)
    const [address] = filled(given).split('/')
    const taken = new BlockList()
    // AWS's default VPC, Google's, Azure's; Docker's own pools; Kubernetes' services, k3s, podman.
    for (const [network, prefix] of [
      ['172.31.0.0', 16],
      ['10.128.0.0', 9],
      ['10.0.0.0', 16],
      ['172.16.0.0', 12],
      ['192.168.0.0', 16],
      ['10.96.0.0', 12],
      ['10.42.0.0', 15],
      ['10.88.0.0', 15],
    ] as const)
      taken.addSubnet(network, prefix)
    expect(taken.check(address!)).toBe(false)
  })

  test('takes PostgreSQL for ready only once it listens to others, which it does not while it is made', () => {
    expect(compose.services.postgres!.healthcheck!.test).toContain('--host=127.0.0.1')
  })

  test('names every volume and network it uses, and keeps the processes small', () => {
    for (const [name, { volumes = [], networks }] of services) {
      for (const volume of volumes) expect(compose.volumes, name).toHaveProperty(volume.split(':')[0]!)
      for (const network of networks) expect(compose.networks, name).toHaveProperty(network)
    }
    for (const [, service] of own) expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
  })
})

describe('the Dockerfile', () => {
  test('runs the Node the tests run on, as nobody in particular', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: { node: string } }
    const major = devDependencies.node.match(/\d+/)![0]
    expect([...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map(([, version]) => version)).toEqual([
      major,
      major,
    ])
    expect(dockerfile.match(/^USER .*/gm)).toEqual(['USER node'])
  })

  test('starts as `npm start` does', () => {
    expect(JSON.parse(dockerfile.match(/^CMD (.+)$/m)![1]!)).toEqual(commandOf('start'))
  })

  test('copies what is there, and the packages of every workspace', () => {
    const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] }
    for (const workspace of workspaces) {
      expect(dockerfile).toContain(`COPY ${workspace}/package.json ${workspace}/\n`)
      expect(read('.dockerignore')).toMatch(new RegExp(`^!${workspace}`, 'm'))
    }
  })
})

test('docs/deploy.md starts it under systemd as `npm start` does', () => {
  const line = `ExecStart=/opt/tocsin/node_modules/.bin/${commandOf('start').join(' ')}\n`
  expect(read('docs/deploy.md')).toContain(line)
})

// Where it is missing, findProgram has said so.
test.runIf(openssl)('docs/deploy.md makes an .env for this user alone, and none anew', async () => {
  const dir = await scratchDir()
  onTestFinished(dir.remove)
  const block = codeBlocks('docs/deploy.md').find(({ text }) => text.includes('.env'))!.text
  const [make] = block.split(/(?<=^END\n)/m)
  const file = join(dir.path, '.env')
  const shell = () => execFileSync('sh', ['-c', `umask 022\n${make}`], { cwd: dir.path, stdio: 'pipe' })
  shell()
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const made = readFileSync(file, 'utf8')
  for (const name of Object.keys(GIVEN)) expect(made).toMatch(new RegExp(`^${name}=\\S{18,}$`, 'm'))

  expect(shell).toThrow('.env')
  expect(readFileSync(file, 'utf8')).toBe(made)
})

test('docs/deploy.md names every secret that compose.yaml wants', () => {
  const page = read('docs/deploy.md')
  const wanted = [...new Set(Array.from(text.matchAll(/\$\{(\w+):\?/g), ([, name]) => name!))]
  expect(wanted.toSorted()).toEqual(Object.keys(GIVEN).toSorted())
  for (const name of wanted) expect(page).toContain(name)
})
