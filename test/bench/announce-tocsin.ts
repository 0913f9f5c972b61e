import type { OpenedTocsin } from '../../core/tocsin.ts'
import { SCOPES } from '../../core/types.ts'
import { createApp, createServer } from '../../ingest/app.ts'
import { announce } from './announce.ts'

/** Lets a Tocsin in this process receive at a source of its own; `prepare` runs once that is made. */
export async function announceTocsin(tocsin: OpenedTocsin, prepare?: () => Promise<void>): Promise<void> {
  const { source, secret } = await tocsin
    .actingAs({ keyId: 'bench', name: 'bench', scopes: SCOPES, projectId: null })
    .createSource(tocsin.defaultProjectId!, { adapter: 'alertmanager', settings: { grouping: 'signal' } })
  await prepare?.()
  const server = createServer(createApp({ tocsin, config: { trustProxy: [] }, log: () => {} }))
  announce(server, { path: new URL(source.url).pathname, secret: secret! })
}
