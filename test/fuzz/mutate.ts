import fc from 'fast-check'
import type { Random } from '../support/random.ts'

/**
 * A body that was right once, spoiled: 70 % in its structure, 20 % in its bytes, 10 % with what is known to hurt.
 * The same chance spoils the same body in the same way.
 */
export function mutate(body: Buffer, random: Random): Buffer {
  const dice = random.below(10)
  if (dice < 2) return flipBytes(body, random)
  const parsed: unknown = JSON.parse(body.toString())
  const changes = 1 + random.below(3)
  if (dice === 2) return hostile(parsed, random)

  let changed = parsed
  for (let left = changes; left > 0; left--) changed = changeOne(changed, random)
  return Buffer.from(JSON.stringify(changed) ?? 'null')
}

/** Any JSON, made once: values are only chosen from it. */
const VALUES: unknown[] = fc.sample(fc.jsonValue({ maxDepth: 3 }), { seed: 7, numRuns: 500 })

/** Texts and numbers of the kinds adapters read: times, ids, words, links. */
const TELLING: unknown[] = [
  ...[
    '',
    ' ',
    '<no value>',
    'null',
    '0',
    '-1',
    '2026-05-05T05:05:05Z',
    '2026-05-05 05:05:05',
    '1777957505000',
  ],
  ...['0000-01-01T00:00:00Z', '+275760-09-13T00:00:00.000Z', '9999-12-31T23:59:59.999+14:00', 'not a time'],
  ...['resolved', 'DOWN', 'up', 'acknowledged', 'incident.reopened', 'constructor', 'toString', 'P1', '🔥'],
  ...['javascript:alert(1)', 'https://example.com/a?b=c#d', '//evil.example', `${'x'.repeat(3000)}`],
  ...[0, -0, 1, -1, 2 ** 53, 1e21, 1777957505, 1777957505000, Number.MAX_VALUE, true, false, null, [], {}],
]

function changeOne(body: unknown, random: Random): unknown {
  const counter = { left: random.below(Math.max(1, size(body))) }
  const how = random.below(5)
  return changeNth(body, counter, (value) => {
    if (how === 0) return undefined
    if (how === 1) return random.pick(VALUES)
    if (how === 2) return random.pick(TELLING)
    if (how === 3) return [value, value]
    return typeof value === 'string'
      ? Number(value) || value.slice(random.below(value.length + 1))
      : String(value)
  })
}

/** What has broken receivers before. */
function hostile(body: unknown, random: Random): Buffer {
  const text = JSON.stringify(body)
  const inside = (member: string) => Buffer.from(text.replace('{', () => `{${member},`))
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  return random.pick([
    () => inside('"__proto__":{"title":"x","polluted":true}'),
    () => inside('"constructor":{"prototype":{"polluted":true}}'),
    () => Buffer.from(text.replaceAll(/"([^"\\]{3,})"(?!:)/g, () => '"\\ud800\\u0000\\udfff"')),
    () => Buffer.from(text.replaceAll(/"([^"\\]{3,})"(?!:)/g, '"$1\\u0000"')),
    () => Buffer.from(text.replaceAll(/:\s*-?\d+(\.\d+)?/g, ':1e400')),
    () => Buffer.from(text.replaceAll(/:\s*-?\d+(\.\d+)?/g, ':9007199254740993')),
    () => Buffer.from(text.replace(/"(\w+)":/, '"$1":null,"$1":')),
    () => inside(Array.from({ length: 10_000 }, (_, i) => `"k${i}":${i}`).join(',')),
    () => inside(`"deep":${nested(random.pick([60, 63, 64, 65, 5000]))}`),
    () => inside(`"long":"${'\\u00e9'.repeat(50_000)}"`),
    () => inside(`"spaces":"${' '.repeat(100_000)}x"`),
    () => Buffer.from(text.replaceAll(/"[^"\\]*\d{4}-\d\d-\d\d[^"\\]*"/g, '"0000-00-00T99:99:99Z"')),
    () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]),
    () => Buffer.from(text, 'utf16le'),
    () => Buffer.alloc(0),
    () => Buffer.from(text.slice(0, random.below(text.length))),
    () => Buffer.from(`${text}${text}`),
    () => Buffer.from(`[${Array(500).fill(text).join(',')}]`.slice(0, 1_000_000)),
  ])()
}

function flipBytes(body: Buffer, random: Random): Buffer {
  const spoiled = Buffer.from(body)
  for (let left = 1 + random.below(8); left > 0; left--)
    spoiled[random.below(spoiled.length)] = random.below(256)
  return spoiled
}

function size(node: unknown): number {
  if (typeof node !== 'object' || node === null) return 1
  return Object.values(node).reduce<number>((sum, member) => sum + size(member), 1)
}

function changeNth(node: unknown, counter: { left: number }, change: (value: unknown) => unknown): unknown {
  if (counter.left-- === 0) return change(node)
  if (Array.isArray(node)) return node.map((item) => changeNth(item, counter, change))
  if (typeof node !== 'object' || node === null) return node
  return Object.fromEntries(
    Object.entries(node).map(([name, member]) => [name, changeNth(member, counter, change)]),
  )
}
