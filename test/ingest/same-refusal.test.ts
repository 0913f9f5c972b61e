import { randomUUID } from 'node:crypto'
import Sqlite from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import { adapterBySlug, adapterSlugs } from '../../core/index.ts'
import { type TestTocsin, testTocsin } from '../core/open-test-tocsin.ts'
import { type Knock, type KnockPair, knockPairs } from '../support/knocks.ts'
import { serve } from './serve.ts'

/** What a stranger must not tell apart: whether a project, source or token exists, and how far a guess is right. */

const t = testTocsin('sqlite')
/** Stores nothing of strangers, so that what a refusal itself costs can be counted. */
const patient = testTocsin('sqlite', { strangerDelayMs: 3_600_000 })

interface Guess {
  what: string
  path: string
  headers?: Record<string, string>
}

/** Everything of an answer but what is new in each. */
async function answerTo(url: string, guess: Omit<Guess, 'what'>, body = '{"title":"x"}') {
  const response = await fetch(url + guess.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...guess.headers },
    body,
  })
  const { requestId: _, ...told } = (await response.json()) as Record<string, unknown>
  expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  const fixed = [...response.headers].filter(([name]) => name !== 'date' && name !== 'x-request-id')
  return {
    status: response.status,
    told,
    headers: [...fixed].sort(),
    names: [...response.headers.keys()].sort(),
  }
}

async function guesses(): Promise<Guess[]> {
  const project = await t.project()
  const generic = await project.source()
  const token = await project.source('betterstack')
  const other = await (await t.project()).source()
  const at = (projectId: string, adapter = 'generic', query = '') =>
    `/api/v1/webhooks/${projectId}/${adapter}${query}`
  const secret = (value: string) => ({ 'X-Webhook-Secret': value })
  const { secret: right } = generic
  const flipped = (at: number) => right.slice(0, at) + (right[at] === 'a' ? 'b' : 'a') + right.slice(at + 1)
  await t.admin.rotateSource(project.id, token.id, {})
  return [
    { what: 'an unknown project', path: at(randomUUID()), headers: secret(right) },
    { what: 'no id of a project', path: at('nonsense'), headers: secret(right) },
    { what: 'no credential', path: at(project.id) },
    { what: 'the first byte wrong', path: at(project.id), headers: secret(flipped(0)) },
    { what: 'the last byte wrong', path: at(project.id), headers: secret(flipped(right.length - 1)) },
    { what: 'too short', path: at(project.id), headers: secret(right.slice(1)) },
    { what: "another project's secret", path: at(project.id), headers: secret(other.secret) },
    { what: 'an unknown source', path: at(project.id, 'generic', '?source=x'), headers: secret(right) },
    { what: 'an adapter without source', path: at(project.id, 'sentry'), headers: secret(right) },
    { what: 'an unknown adapter', path: at(project.id, 'no-such'), headers: secret(right) },
    { what: 'an unknown token', path: `/api/webhooks/betterstack/${'x'.repeat(43)}` },
    { what: 'a revoked token', path: `/api/webhooks/betterstack/${token.secret}` },
    { what: 'an unknown short token', path: `/webhooks/${'x'.repeat(43)}` },
    { what: 'a revoked short token', path: `/webhooks/${token.secret}` },
  ]
}

/** Answers in Runframe's shape. */
const isShort = (path: string) => path.startsWith('/webhooks/')

describe('a refusal is the same', () => {
  test('whatever is unknown or wrong', async () => {
    const { url } = await serve({ tocsin: t.tocsin })
    const [first, ...others] = (await guesses()).filter(({ path }) => !isShort(path))
    const expected = await answerTo(url, first!)
    expect(expected).toMatchObject({ status: 401, told: { error: { code: 'unauthorized' } } })
    for (const guess of others)
      expect([guess.what, await answerTo(url, guess)]).toEqual([guess.what, expected])
  })

  test('of a token at the short address, in the shape of that address', async () => {
    const { url } = await serve({ tocsin: t.tocsin })
    const short = (await guesses()).filter(({ path }) => isShort(path))
    const [first, ...others] = await Promise.all(short.map((guess) => answerTo(url, guess)))
    expect(first).toMatchObject({ status: 404, told: { error: { code: 'ROUTE_NOT_FOUND' } } })
    expect(others).toEqual([first])
  })

  test.each([
    ['too large', 413, 'x'.repeat(1024 * 1024 + 1), {}],
    ['compressed', 415, '{}', { 'Content-Encoding': 'gzip' }],
  ])('also for a body that is %s', async (_, status, body, headers) => {
    const { url } = await serve({ tocsin: t.tocsin })
    const answers = []
    for (const guess of (await guesses()).filter(({ path }) => !isShort(path))) {
      answers.push(await answerTo(url, { ...guess, headers: { ...guess.headers, ...headers } }, body))
    }
    expect(answers[0]?.status).toBe(status)
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('at every address, whatever it is that is wrong', async () => {
    const { url } = await serve({ tocsin: t.tocsin })
    for (const { name, one, other } of await pairsOf(t)) {
      const [answer, otherAnswer] = [
        await answerTo(url, one, one.body),
        await answerTo(url, other, other.body),
      ]
      expect([name, answer.status]).toEqual([name, expect.toBeOneOf([400, 401, 404])])
      expect([name, otherAnswer]).toEqual([name, answer])
    }
  })

  test('and costs the same: as many questions to the database, as many checks of a credential', async () => {
    const { url } = await serve({ tocsin: patient.tocsin })
    for (const { name, one, other } of await pairsOf(patient)) {
      const send = (knock: Knock) =>
        fetch(url + knock.path, { method: 'POST', headers: knock.headers, body: knock.body })
      // What is in memory once is asked for no more.
      for (const knock of [one, other]) await send(knock)
      const counted = []
      for (const knock of [one, other]) counted.push(await costOf(() => send(knock)))
      expect([name, counted[1]]).toEqual([name, counted[0]])
    }
  })
})

function pairsOf(tocsin: TestTocsin): Promise<KnockPair[]> {
  return knockPairs(async (adapter, address) => {
    const project = await tocsin.project()
    const source = await project.source(adapter, { address })
    const rotated = await tocsin.admin.rotateSource(project.id, source.id, { overlapMinutes: 0 })
    const secret = rotated.secret ?? rotated.source.url.split('/').at(-1)!
    return { projectId: project.id, secret, rotatedOut: source.secret }
  }, adapterSlugs)
}

async function costOf(act: () => Promise<unknown>): Promise<{ questions: number; checks: number }> {
  const cost = { questions: 0, checks: 0 }
  const database = new Sqlite(':memory:')
  const statement = Object.getPrototypeOf(database.prepare('select 1')) as {
    all: (...given: unknown[]) => unknown
  }
  database.close()
  const { all } = statement
  statement.all = function (...given) {
    cost.questions += 1
    return all.apply(this, given)
  }
  const spies = adapterSlugs.map((slug) => vi.spyOn(adapterBySlug(slug)!, 'verify'))
  await act().finally(() => {
    statement.all = all
  })
  for (const spy of spies) {
    cost.checks += spy.mock.calls.length
    spy.mockRestore()
  }
  return cost
}
