import { type Command, createBatchRunner } from '../../core/commands.ts'
import { createIds } from '../../core/ids.ts'
import type { Database } from '../../core/store/open-database.ts'
import { createWriter, type Queue } from '../../core/store/writer.ts'
import type { testTocsin } from './open-test-tocsin.ts'

/** A queue of its own, as another process has one; `answers` gets what each transaction has answered. */
export function watchedWriter(
  { database, clock }: { database: Database; clock: ReturnType<typeof testTocsin>['clock'] },
  answers: unknown[],
): Queue<Command, unknown> {
  const newId = createIds(clock.now, (size) => Buffer.alloc(size, 1))
  const writer = createWriter<Command, unknown>({
    database,
    runBatch: createBatchRunner(() => ({ newId, now: clock.at() })),
  })
  return {
    ...writer,
    submit: async (command) => {
      const answer = await writer.submit(command)
      answers.push(answer)
      return answer
    },
  }
}
