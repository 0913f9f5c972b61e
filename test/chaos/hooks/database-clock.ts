/** Loaded into the product's process by `--import`: the clock of its PostgreSQL is CHAOS_CLOCK_MS ahead. */
import pg from 'pg'

const ahead = `(clock_timestamp() + interval '${Number(process.env.CHAOS_CLOCK_MS)} ms')`
const query = pg.Client.prototype.query as (this: pg.Client, ...given: unknown[]) => unknown
pg.Client.prototype.query = function (this: pg.Client, text: unknown, ...given: unknown[]) {
  const told = typeof text === 'string' ? text.replace('clock_timestamp()', ahead) : text
  return query.call(this, told, ...given)
} as typeof pg.Client.prototype.query
