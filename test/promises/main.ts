/**
 * `npm run promises -- [T19 …] [--write]`
 *
 * Runs the tests of promises that no fault script holds, at full size: all of them where none is named. With --write
 * docs/reliability.md is renewed. Exits with 1 where a promise was broken.
 */
import { join } from 'node:path'
import { inRepository, pinnedNode, startChild } from '../support/child.ts'
import { readCommandLine, refuse } from '../support/command-line.ts'
import { hereAndNow, type ReliabilityRow, writeReliability } from '../support/reliability-page.ts'
import { scratchDir } from '../support/scratch.ts'
import { readResults } from './results.ts'

interface Kept {
  id: string
  promise: string
  /** The first is the one the page names. */
  tests: [string, ...string[]]
  /** What makes it full size. */
  env: Record<string, string>
}

const PROMISES: Kept[] = [
  {
    id: 'T19',
    promise:
      'Broken, hostile and slow requests get their exact refusal, cost no memory, and keep nobody else waiting.',
    tests: ['test/end-to-end/http-edge.test.ts', 'test/end-to-end/bad-input.test.ts'],
    env: { TOCSIN_HONEST_MS: '500' },
  },
  {
    id: 'T22',
    promise: 'The rolling hour of a plan is exact, over all processes and at any moment.',
    tests: ['test/end-to-end/rate-limit.test.ts', 'test/core/matcher/limit.test.ts'],
    env: {},
  },
  {
    id: 'T23',
    promise: 'No secret is in logs, database, backups, answers, messages, prompts or the words of a crash.',
    tests: ['test/end-to-end/secrets.test.ts'],
    env: {},
  },
  {
    id: 'T27',
    promise:
      'An upgrade keeps every row and value, killed at any point and started five times at once; an older program refuses.',
    tests: ['test/core/store/releases.test.ts', 'test/core/store/migrate.test.ts'],
    env: {
      TOCSIN_MIGRATION_EVENTS: '100000',
      TOCSIN_MIGRATION_KILLS: '20',
      TOCSIN_MIGRATION_ROWS: '1000000',
    },
  },
  {
    id: 'T28',
    promise: 'A backup under load holds all that was acknowledged before it began; nothing is sent twice.',
    tests: ['test/end-to-end/backup.test.ts'],
    env: { TOCSIN_BACKUP_MB: '1024' },
  },
]

const USAGE = `Usage: npm run promises -- [${PROMISES.map(({ id }) => id).join('|')}] [--write]`

const { values, positionals } = readCommandLine(USAGE, {
  allowPositionals: true,
  options: { write: { type: 'boolean', default: false } },
})
if (!positionals.every((id) => PROMISES.some((promise) => promise.id === id))) refuse(USAGE)

for (const promise of PROMISES.filter(({ id }) => positionals.length === 0 || positionals.includes(id))) {
  const { passed, figure } = await check(promise)
  console.log(`${passed ? 'passed' : 'FAILED'}  ${promise.id}: ${figure}`)
  if (!passed) process.exitCode = 1
  if (values.write) writeReliability('promises', [rowOf(promise, passed, figure)])
}

async function check({ tests, env }: Kept): Promise<{ passed: boolean; figure: string }> {
  const dir = await scratchDir()
  try {
    const file = join(dir.path, 'results.json')
    const vitest = await startChild(
      pinnedNode,
      [
        inRepository('node_modules/vitest/vitest.mjs'),
        'run',
        ...tests,
        '--reporter=json',
        `--outputFile=${file}`,
        '--disableConsoleIntercept',
        '--testTimeout=1800000',
      ],
      {
        cwd: inRepository('.'),
        env: { ...(process.env as Record<string, string>), ...env, TOCSIN_FIGURES: '1' },
      },
    )
    await vitest.exited
    return readResults(file, vitest.stdout())
  } finally {
    dir.remove()
  }
}

function rowOf({ id, promise, tests }: Kept, passed: boolean, figure: string): ReliabilityRow {
  return {
    id,
    promise,
    database: null,
    test: tests[0],
    command: `npm run promises -- ${id}`,
    figure,
    passed,
    ...hereAndNow(),
  }
}
