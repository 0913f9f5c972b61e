/**
 * What batches of the writer leave in V8's old space, in bytes: three times 500 batches of a thousand commands, one line
 * each. All commands of 500 batches take 20 MB. Run with `--expose-gc`, and with a young space that is larger than what
 * it will grow to: V8 makes what it finds alive old at once where the young space cannot grow.
 */
import { getHeapSpaceStatistics } from 'node:v8'
import { runWork } from '../../../core/store/statement.ts'
import { createWriter } from '../../../core/store/writer.ts'

const oldSpace = () =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size

const writer = createWriter<object, null>({
  database: { transaction: async (work) => runWork(work(), () => null), classify: () => 'fault' },
  *runBatch(commands) {
    return commands.map(() => ({ value: null }))
  },
})

async function submitMany(batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch++) {
    await writer.submit(Array.from({ length: 1000 }, (_, index) => ({ index })))
    await new Promise(setImmediate)
    // What lives through two of them counts as old.
    gc!({ type: 'minor' })
  }
}

await submitMany(200)
for (let times = 0; times < 3; times++) {
  gc!()
  const before = oldSpace()
  await submitMany(500)
  console.log(oldSpace() - before)
}
