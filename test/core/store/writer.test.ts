import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { describe, expect, onTestFinished, test } from 'vitest'
import { TocsinError } from '../../../core/errors.ts'
import { migrate } from '../../../core/store/migrate.ts'
import { migrations } from '../../../core/store/migrations/index.ts'
import { type Database, openDatabase } from '../../../core/store/open-database.ts'
import { insertRows, run, statement, type Work } from '../../../core/store/statement.ts'
import { createWriter, type Queue, type Settled, type WriterOptions } from '../../../core/store/writer.ts'
import { inRepository, pinnedNode } from '../../support/child.ts'
import { databaseKinds, freshDatabase } from '../../support/databases.ts'
import { holdSqlite } from '../../support/hold-sqlite.ts'

/** A command here is a name to store; what is wrong with one is in its name. */
function* storeAll(names: string[]): Work<Settled<string>[]> {
  const results: Settled<string>[] = []
  for (const name of names) {
    if (name === 'poison') throw new TypeError('This command cannot be carried out.')
    if (name === 'refused') results.push({ error: new TocsinError('not_found', 'No such thing.') })
    else {
      yield* insertRows('setting', [{ name, value: '' }])
      results.push({ value: `stored ${name}` })
    }
  }
  return results
}

describe.each(databaseKinds)('the writer on %s', (kind) => {
  test('stores what arrives together in one commit and answers each on its own', async () => {
    const { writer, stored } = await open(kind)
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => writer.submit(name)))
    expect(answers).toEqual(['stored a', 'stored b', 'stored c'])
    expect(writer.stats).toEqual({ commits: 1, commands: 3 })
    expect(await stored()).toEqual(['a', 'b', 'c'])
  })

  test('answers after the commit', async () => {
    const { writer, stored } = await open(kind)
    const seen = await writer.submit('a').then(() => stored())
    expect(seen).toEqual(['a'])
  })

  test('a refusal leaves the other commands of the batch alone', async () => {
    const { writer, stored } = await open(kind)
    const answers = await Promise.allSettled(['a', 'refused', 'b'].map((name) => writer.submit(name)))
    expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(answers[1]).toMatchObject({ reason: { code: 'not_found' } })
    expect(writer.stats.commits).toBe(1)
    expect(await stored()).toEqual(['a', 'b'])
  })

  test('a command at fault fails alone, with its own error', async () => {
    const { writer, stored } = await open(kind)
    const names = ['a', 'b', 'poison', 'c', 'd', 'e', 'a', 'f', 'poison']
    const answers = await Promise.allSettled(names.map((name) => writer.submit(name)))
    const failed = names.filter((_, index) => answers[index]!.status === 'rejected')
    // The second "a" is against the unique index.
    expect(failed).toEqual(['poison', 'a', 'poison'])
    expect(answers[2]).toMatchObject({ reason: new TypeError('This command cannot be carried out.') })
    expect(await stored()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  test('what arrives during a batch shares the next one', async () => {
    const during: Promise<string>[] = []
    const { writer } = await open(kind, {
      *runBatch(names) {
        if (names[0] === 'a') during.push(writer.submit('b'), writer.submit('c'))
        return yield* storeAll(names)
      },
    })
    await writer.submit('a')
    await Promise.all(during)
    expect(writer.stats).toEqual({ commits: 2, commands: 3 })
  })

  test('a batch that forgets to answer a command keeps nothing', async () => {
    const { writer, stored } = await open(kind, {
      *runBatch(names) {
        yield* storeAll(names)
        return []
      },
    })
    await expect(writer.submit('a')).rejects.toThrow('A batch must answer every command.')
    expect(await stored()).toEqual([])
  })

  test('finishes what it took before it closes, then takes no more', async () => {
    const { writer, stored } = await open(kind)
    const submitted = ['a', 'b', 'c'].map((name) => writer.submit(name))
    await writer.close()
    expect(await stored()).toEqual(['a', 'b', 'c'])
    await Promise.all(submitted)

    await expect(writer.submit('d')).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 })
    await writer.close()
  })

  test('refuses at once what does not fit the queue', async () => {
    const { writer, stored } = await open(kind, { maxQueue: 2 })
    const answers = await Promise.allSettled(['a', 'b', 'c'].map((name) => writer.submit(name)))
    expect(answers[2]).toMatchObject({ reason: { code: 'unavailable', retryAfterSeconds: 1 } })
    await writer.submit('d')
    expect(await stored()).toEqual(['a', 'b', 'd'])
  })

  test('commits more than a batch holds in several', async () => {
    const { writer, stored } = await open(kind, { maxBatch: 4 })
    const names = Array.from({ length: 10 }, (_, index) => `${index}`)
    await Promise.all(names.map((name) => writer.submit(name)))
    expect(writer.stats).toEqual({ commits: 3, commands: 10 })
    expect(await stored()).toEqual(names)
  })
})

test('what a batch had at hand is free as soon as it is stored', async () => {
  const program = inRepository('test/core/store/old-space.ts')
  const flags = ['--expose-gc', '--max-semi-space-size=64']
  const { stdout } = await promisify(execFile)(pinnedNode, [...flags, program])
  const growths = stdout.trim().split('\n').map(Number)
  expect(growths).toHaveLength(3)
  expect(Math.min(...growths)).toBeLessThan(100_000)
})

describe('the interval between commits', () => {
  test('a lone command goes at once', async () => {
    const { writer, clock } = await openWithClock()
    const answer = writer.submit('a')
    expect(clock.delays).toEqual([])
    await clock.pass(0)
    expect(await answer).toBe('stored a')

    await clock.pass(2)
    void writer.submit('b')
    expect(clock.delays).toEqual([])
    await clock.pass(0)
  })

  test('what comes soon after a commit waits for the rest of the interval and shares the next', async () => {
    const { writer, clock, stored } = await openWithClock()
    void writer.submit('a')
    await clock.pass(0)
    await clock.pass(0.5)
    const later = [writer.submit('b'), writer.submit('c')]
    expect(clock.delays).toEqual([1.5])

    await clock.pass(1)
    expect(await stored()).toEqual(['a'])
    await clock.pass(0.5)
    await Promise.all(later)
    expect(writer.stats).toEqual({ commits: 2, commands: 3 })
  })

  test('a full batch does not wait', async () => {
    const { writer, clock } = await openWithClock({ maxBatch: 2 })
    const answers = ['a', 'b', 'c', 'd', 'e'].map((name) => writer.submit(name))
    await clock.pass(0)
    await clock.pass(0)
    expect(writer.stats.commits).toBe(2)
    // The last one alone is no full batch.
    expect(clock.delays).toEqual([2])
    await clock.pass(2)
    await Promise.all(answers)
  })
})

describe('senders that come one by one, each on a connection of its own', () => {
  test('share a commit once a turn of the event loop has brought no more', async () => {
    const { writer, clock } = await openWithClock()
    const answers: Promise<string>[] = []
    for (const name of ['a', 'b', 'c']) {
      answers.push(writer.submit(name))
      await clock.turn()
    }
    expect(writer.stats.commits).toBe(0)
    await clock.turn()
    await Promise.all(answers)
    expect(writer.stats).toEqual({ commits: 1, commands: 3 })
  })

  test('wait no longer than ten milliseconds for each other', async () => {
    const { writer, clock } = await openWithClock()
    for (let ms = 0; ms < 10; ms++) {
      void writer.submit(`after ${ms} ms`)
      await clock.turn()
      clock.skip(1)
    }
    expect(writer.stats.commits).toBe(0)
    void writer.submit('after 10 ms')
    await clock.turn()
    expect(writer.stats).toEqual({ commits: 1, commands: 11 })
  })
})

describe('a slow commit', () => {
  /** Four senders have shared a commit of three milliseconds. */
  async function afterSlowCommit() {
    const { writer, clock } = await openWithClock({
      *runBatch(names) {
        clock.skip(3)
        return yield* storeAll(names)
      },
    })
    const together = ['a', 'b', 'c', 'd'].map((name) => writer.submit(name))
    await clock.pass(0)
    await Promise.all(together)
    return { writer, clock }
  }

  test('is followed by a longer pause where several senders wait', async () => {
    const { writer, clock } = await afterSlowCommit()
    void writer.submit('e')
    expect(clock.delays).toEqual([6])

    await clock.pass(6)
    void writer.submit('f')
    // One alone is nobody to wait for.
    expect(clock.delays).toEqual([6, 2])
    await clock.pass(2)
  })

  test('does not make those wait who have all come again', async () => {
    const { writer, clock } = await afterSlowCommit()
    const again = ['e', 'f', 'g', 'h'].map((name) => writer.submit(name))
    expect(clock.delays).toEqual([6, 2])
    await clock.pass(2)
    await Promise.all(again)
    expect(writer.stats).toEqual({ commits: 2, commands: 8 })

    // The pause that was cut short commits nothing more.
    void writer.submit('i')
    await clock.pass(4)
    expect(writer.stats.commands).toBe(8)
    await clock.pass(2)
    expect(writer.stats.commands).toBe(9)
  })
})

describe('a queue is busy', () => {
  /** Four commands share each of two commits, the second of which ends this long after the first. */
  async function afterTwoCommits(apartMs: number) {
    const { writer, clock } = await openWithClock()
    for (const names of [
      ['a', 'b', 'c', 'd'],
      ['e', 'f', 'g', 'h'],
    ]) {
      const together = names.map((name) => writer.submit(name))
      await clock.pass(0)
      await Promise.all(together)
      clock.skip(apartMs)
    }
    return writer
  }

  test('where hundreds of commands come a second', async () => {
    expect((await afterTwoCommits(10)).isBusy()).toBe(true)
  })

  test('but not where a few wait for a slow commit', async () => {
    expect((await afterTwoCommits(40)).isBusy()).toBe(false)
  })
})

describe('a database in trouble', () => {
  test('while another process holds it, commands are told to come back, and later ones are stored', async () => {
    const { writer, stored, url } = await open('sqlite')
    const release = holdSqlite(url.slice('sqlite:'.length))
    onTestFinished(release)
    const answers = await Promise.allSettled([writer.submit('a'), writer.submit('b')])
    for (const answer of answers) {
      expect(answer).toMatchObject({ reason: { code: 'unavailable', retryAfterSeconds: 1 } })
    }

    release()
    await writer.submit('c')
    expect(await stored()).toEqual(['c'])
  })

  // Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
  test.runIf(databaseKinds.includes('postgres')).each([
    { conflicts: 5, outcome: 'fulfilled', runs: 6 },
    { conflicts: 6, outcome: 'rejected', runs: 6 },
  ])('$conflicts conflicts with another process in a row: $outcome', async ({ conflicts, outcome, runs }) => {
    const conflict = statement<object, unknown>(
      () => sql`do $$ begin raise exception using errcode = '40001'; end $$`,
    )
    let ran = 0
    const { writer, stored } = await open('postgres', {
      *runBatch(names) {
        const results = yield* storeAll(names)
        if (++ran <= conflicts) yield* run(conflict, {})
        return results
      },
    })
    const [a, b] = await Promise.allSettled([writer.submit('a'), writer.submit('b')])
    expect([a.status, b.status, ran]).toEqual([outcome, outcome, runs])
    expect(await stored()).toEqual(outcome === 'fulfilled' ? ['a', 'b'] : [])
    if (a.status === 'rejected') expect(a.reason).toMatchObject({ code: 'unavailable' })
  })

  // Where there is no PostgreSQL, test/support/postgres-server.ts has said why.
  describe.runIf(databaseKinds.includes('postgres'))('PostgreSQL', () => {
    const lock = (name: string) => raw(`update setting set value = 'locked' where name = '${name}'`)
    // Until the other one has come this far, too.
    const meet = raw(`do $$ begin
      perform pg_advisory_xact_lock_shared(1);
      while (select count(*) < 2 from pg_locks l join pg_database d on d.oid = l.database
        where l.locktype = 'advisory' and d.datname = current_database())
      loop perform pg_sleep(0.005); end loop;
    end $$`)

    test('two that wait for each other are both stored, one of them at its second try', async () => {
      const { writer, stored, url } = await open('postgres')
      for (const name of ['one', 'two']) await writer.submit(name)
      let ran = 0
      const crossing = async (name: string, first: string, then: string) => {
        const database = await openDatabase(url)
        onTestFinished(() => database.close())
        let met = false
        const own = createWriter<string, string>({
          database,
          *runBatch(names) {
            ran++
            yield* run(lock(first), {})
            if (!met) yield* run(meet, {})
            met = true
            yield* run(lock(then), {})
            return yield* storeAll(names)
          },
        })
        return own.submit(name)
      }
      await Promise.all([crossing('a', 'one', 'two'), crossing('b', 'two', 'one')])
      expect(ran).toBe(3)
      expect(await stored()).toEqual(['a', 'b', 'one', 'two'])
    })

    test('one whose connection is cut off before the commit is stored at its second try', async () => {
      let ran = 0
      const { writer, stored } = await open('postgres', {
        *runBatch(names) {
          const results = yield* storeAll(names)
          if (++ran === 1) yield* run(raw('select pg_terminate_backend(pg_backend_pid())'), {})
          return results
        },
      })
      expect(await writer.submit('a')).toBe('stored a')
      expect([ran, await stored()]).toEqual([2, ['a']])
    })

    test('one whose connection is cut off during the commit is not tried again: it may have been kept', async () => {
      let ran = 0
      const { writer, stored, database } = await open('postgres', {
        *runBatch(names) {
          ran++
          return yield* storeAll(names)
        },
      })
      await database.transaction(function* () {
        yield* run(
          raw(`create function cut_off() returns trigger language plpgsql as
            $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$`),
          {},
        )
        yield* run(
          raw(`create constraint trigger cut_off after insert on setting deferrable initially deferred
            for each row execute function cut_off()`),
          {},
        )
      })
      await expect(writer.submit('a')).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 })
      expect([ran, await stored()]).toEqual([1, []])
    })
  })

  test('those who waited long for a database that is away do not wait again', async () => {
    const away = new Error('Connection terminated')
    const refused: unknown[] = []
    const { writer, clock, stored } = await openWithClock({
      *runBatch(names) {
        if (names.includes('first')) {
          // What comes while the first one waits: one at once, one after two seconds.
          writer.submit('early').catch((error: unknown) => refused.push(error))
          clock.skip(2_000)
          void writer.submit('late')
          throw Object.assign(away, { code: 'SQLITE_BUSY' })
        }
        return yield* storeAll(names)
      },
    })
    const first = writer.submit('first').catch((error: unknown) => refused.push(error))
    await clock.pass(0)
    await first
    expect(refused).toMatchObject([{ code: 'unavailable' }, { code: 'unavailable', cause: away }])
    await clock.pass(2)
    expect(await stored()).toEqual(['late'])
  })

  test('however many those are, no turn of the event loop answers all of them', async () => {
    let refused = 0
    const { writer, clock } = await openWithClock({
      // Nothing that has to be waited for.
      *runBatch() {
        for (let n = 0; n < 250; n++) writer.submit(`early ${n}`).catch(() => refused++)
        clock.skip(2_000)
        throw Object.assign(new Error('Connection terminated'), { code: 'SQLITE_BUSY' })
      },
    })
    const first = writer.submit('first').catch(() => 'refused')
    await clock.turn()
    const counts: number[] = []
    for (let turn = 0; turn < 3; turn++) {
      await clock.turn()
      counts.push(refused)
    }
    expect(await first).toBe('refused')
    expect(counts).toEqual([100, 200, 250])
  })
})

function raw(text: string) {
  return statement<object, unknown>(() => sql`${sql.raw(text)}`)
}

type Options = Partial<WriterOptions<string, string>>

async function open(
  kind: Database['kind'],
  options: Options = {},
): Promise<{
  writer: Queue<string, string>
  stored: () => Promise<string[]>
  url: string
  database: Database
}> {
  const { url, dispose } = await freshDatabase(kind)
  const database = await openDatabase(url)
  onTestFinished(async () => {
    await database.close()
    await dispose()
  })
  await migrate(database, migrations)

  const stored = async () => {
    const rows = await database.read.selectFrom('setting').select('name').orderBy('name').execute()
    return rows.map((row) => row.name)
  }
  return { writer: createWriter({ database, runBatch: storeAll, ...options }), stored, url, database }
}

async function openWithClock(options: Options = {}) {
  const clock = manualClock()
  const opened = await open('sqlite', { ...options, monotonicNow: clock.now, schedule: clock.schedule })
  return { ...opened, clock }
}

/** Time that stands still until it is told to pass. */
function manualClock() {
  let time = 1_000
  let planned: { at: number; run: () => void }[] = []
  const delays: number[] = []
  /** Runs what is due once, and lets its answers arrive. */
  async function turn() {
    const due = planned.filter(({ at }) => at <= time)
    planned = planned.filter(({ at }) => at > time)
    for (const { run } of due) run()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    /** Every wait that was asked for, but those for a turn of the event loop. */
    delays,
    now: () => time,
    schedule(delayMs: number, run: () => void) {
      if (delayMs > 0) delays.push(delayMs)
      planned.push({ at: time + delayMs, run })
    },
    /** The time that something took without letting anything else run. */
    skip(ms: number) {
      time += ms
    },
    /** Lets time pass, runs what is due by then, turn by turn, and lets its answers arrive. */
    async pass(ms: number) {
      time += ms
      do await turn()
      while (planned.some(({ at }) => at <= time))
    },
    turn,
  }
}
