import { describe, expect, test } from 'vitest'
import { startUpText } from '../../ingest/start-up-text.ts'

const LOCAL = { localUrl: 'http://127.0.0.1:4117', publicUrl: 'http://127.0.0.1:4117' }

describe('the first start', () => {
  const first = {
    firstStart: { adminKey: 'tk_admin', projectId: 'project-1', sourceSecret: 's3cret' },
    defaultProjectId: 'project-1',
  }

  test('prints address, key, project, a line that opens an incident, and all of it as shell variables', () => {
    expect(startUpText(first, LOCAL)).toBe(
      [
        'Tocsin is running.',
        '',
        'Address         http://127.0.0.1:4117',
        'Admin key       tk_admin  (shown only now: keep it)',
        'Project         project-1',
        '',
        'Open an incident:',
        '',
        "curl -X POST http://127.0.0.1:4117/api/v1/webhooks/project-1/generic -H 'Content-Type: application/json' " +
          `-H 'X-Webhook-Secret: s3cret' -d '{"title":"Checkout is down","severity":"high"}'`,
        '',
        'For the commands of the README:',
        '',
        'export TOCSIN_URL=http://127.0.0.1:4117 TOCSIN_PROJECT=project-1 TOCSIN_API_KEY=tk_admin TOCSIN_SECRET=s3cret',
        '',
        '',
      ].join('\n'),
    )
  })

  test('prints no key that was given', () => {
    const given = { ...first, firstStart: { ...first.firstStart, adminKey: null } }
    const text = startUpText(given, LOCAL)
    expect(text).not.toContain('Admin key')
    expect(text).toContain(
      '\nexport TOCSIN_URL=http://127.0.0.1:4117 TOCSIN_PROJECT=project-1 TOCSIN_SECRET=s3cret\n',
    )
  })

  test('names the public address beside the local one', () => {
    const text = startUpText(first, { ...LOCAL, publicUrl: 'https://tocsin.example.com' })
    expect(text).toContain('Public address  https://tocsin.example.com\n')
    expect(text).toContain('curl -X POST http://127.0.0.1:4117/')
  })
})

describe('a later start', () => {
  test('prints no secret; the line takes it from the shell', () => {
    const text = startUpText({ firstStart: null, defaultProjectId: 'project-1' }, LOCAL)
    expect(text).not.toContain('Admin key')
    expect(text).toContain('-H "X-Webhook-Secret: $TOCSIN_SECRET" ')
    expect(text).toContain('\nexport TOCSIN_URL=http://127.0.0.1:4117 TOCSIN_PROJECT=project-1\n')
  })

  test('prints no line where the first project is gone', () => {
    const text = startUpText({ firstStart: null, defaultProjectId: null }, LOCAL)
    expect(text).toBe('Tocsin is running.\n\nAddress         http://127.0.0.1:4117\n\n')
  })
})
