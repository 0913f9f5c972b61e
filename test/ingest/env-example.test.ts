import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readConfig, SETTINGS } from '../../ingest/config.ts'

const lines = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8').split('\n')
const settings = lines.flatMap((line, at) => {
  const [, name, value] = /^#([A-Z_]+)=(.*)$/.exec(line) ?? []
  return name === undefined || value === undefined ? [] : [{ name, value, at }]
})

describe('.env.example', () => {
  test('lists the variables the process reads, each once', () => {
    expect(settings.map(({ name }) => name).sort()).toEqual(Object.keys(SETTINGS).sort())
  })

  test('changes nothing as it is', () => {
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([])
  })

  test('explains each', () => {
    for (const { at } of settings) {
      const above = lines.slice(0, at).findLast((line) => !/^#[A-Z_]+=/.test(line))
      expect(above).toMatch(/^# .+/)
    }
  })

  test('shows values that work', () => {
    const env = Object.fromEntries(settings.map(({ name, value }) => [name, value]))
    const config = readConfig({ ...env, TOCSIN_SECRET_KEY: Buffer.alloc(32).toString('base64') })
    expect(config).toMatchObject({ port: 4117, role: 'all', logLevel: 'info', defaultPlan: 'unlimited' })
  })
})
