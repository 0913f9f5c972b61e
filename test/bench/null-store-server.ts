/** Reference: the product's own pipeline, matcher included, on a store that loads nothing and writes nothing. */
import { randomBytes } from 'node:crypto'
import { announceTocsin } from './announce-tocsin.ts'
import { openTocsinOnNullStore } from './null-store.ts'

const { tocsin, forgetAll } = await openTocsinOnNullStore({
  databaseUrl: process.env.DATABASE_URL!,
  secretKey: randomBytes(32),
  publicUrl: 'http://127.0.0.1',
  defaultPlan: 'unlimited',
})
await announceTocsin(tocsin, forgetAll)
