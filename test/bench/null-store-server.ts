/** Reference: the product's own pipeline, matcher included, on a store that loads nothing and writes nothing. */
import { randomBytes } from 'node:crypto'
import { SCOPES } from '../../core/types.ts'
import { createApp, createServer } from '../../ingest/app.ts'
import { announce } from './announce.ts'
import { openTocsinOnNullStore } from './null-store.ts'

const { tocsin, forgetAll } = await openTocsinOnNullStore({
  databaseUrl: process.env.DATABASE_URL!,
  secretKey: randomBytes(32),
  publicUrl: 'http://127.0.0.1',
  defaultPlan: 'unlimited',
})
const { source, secret } = await tocsin
  .actingAs({ keyId: 'bench', name: 'bench', scopes: SCOPES, projectId: null })
  .createSource(tocsin.defaultProjectId!, { adapter: 'alertmanager', settings: { grouping: 'signal' } })
await forgetAll()

const server = createServer(createApp({ tocsin, config: { trustProxy: [] }, log: () => {} }))
announce(server, { path: new URL(source.url).pathname, secret: secret! })
