import { describe, expect, test } from 'vitest'
import { readCredential } from '../../n8n-nodes/nodes/shared/credential.ts'
import { tocsinApiTest } from '../../n8n-nodes/nodes/shared/credential-test.ts'

const KEY = 'tsk_0123456789'

describe('what is put into the fields', () => {
  test.each([
    ['https://tocsin.example.com', 'https://tocsin.example.com/api/v1'],
    [' https://tocsin.example.com// ', 'https://tocsin.example.com/api/v1'],
    ['https://tocsin.example.com/api/v1', 'https://tocsin.example.com/api/v1'],
    ['https://tocsin.example.com/api/v1/', 'https://tocsin.example.com/api/v1'],
    ['https://tocsin.example.com/api/v1/projects/p', 'https://tocsin.example.com/api/v1'],
    ['HTTP://127.0.0.1:8080/', 'http://127.0.0.1:8080/api/v1'],
    ['http://[::1]:8080', 'http://[::1]:8080/api/v1'],
    ['https://example.com/tocsin/', 'https://example.com/tocsin/api/v1'],
    ['https://example.com/api/v10', 'https://example.com/api/v10/api/v1'],
  ])('%j is taken as %s', (baseUrl, apiUrl) => {
    expect(readCredential({ baseUrl, apiToken: ` ${KEY}\n` })).toEqual({ apiUrl, key: KEY })
  })

  test.each([
    [undefined, /^The Base URL is empty\. Put in where Tocsin answers/],
    ['  ', /^The Base URL is empty\./],
    ['tocsin.example.com', /^The Base URL does not begin with https:\/\/ or http:\/\/\. Put in the whole/],
    ['localhost:8080', /^The Base URL does not begin with/],
    ['htps://tocsin.example.com', /^The Base URL does not begin with/],
    ['https://', /^The Base URL is no address\. Check host and port/],
    ['https://tocsin.example.com:80800', /^The Base URL is no address\. Check host and port/],
    ['https://me:secret@tocsin.example.com', /^The Base URL holds more than an address\. Leave out/],
    ['https://tocsin.example.com/?key=secret', /^The Base URL holds more than an address\. Leave out/],
    [`${KEY}secret`, /^The Base URL does not begin with/],
  ])('%j is no Base URL, and the sentence does not repeat it', (baseUrl, sentence) => {
    const { fault } = readCredential({ baseUrl, apiToken: KEY }) as { fault: string }
    expect(fault).toMatch(sentence)
    expect(fault).not.toContain('secret')
  })

  test.each([
    [undefined, /^The API Key is empty\./],
    [' \n', /^The API Key is empty\./],
    [`Bearer ${KEY}`, /^The API Key holds characters that no key has.*without Bearer\.$/],
    ['schlüssel', /^The API Key holds characters that no key has/],
    [`${KEY}\n${KEY}`, /^The API Key holds characters that no key has/],
  ])('%j is no API Key, and the sentence does not repeat it', (apiToken, sentence) => {
    const { fault } = readCredential({ baseUrl: 'https://tocsin.example.com', apiToken }) as { fault: string }
    expect(fault).toMatch(sentence)
    expect(fault).not.toContain('schl')
  })
})

/** What the test of the credential says where the request ends like this. */
async function said(
  end: { code: string } | { status: number; body?: unknown; location?: string },
  baseUrl = 'https://tocsin.example.com',
) {
  const request = async () => {
    if ('code' in end) throw Object.assign(new Error('failed'), end)
    return { statusCode: end.status, body: end.body ?? '', headers: { location: end.location } }
  }
  const context = { helpers: { request } } as unknown as ThisParameterType<typeof tocsinApiTest>
  const data = { baseUrl, apiToken: KEY }
  return tocsinApiTest.call(context, { id: '1', name: 'Tocsin', type: 'tocsinApi', data })
}

describe('what a test of the credential says', () => {
  test.each([
    ['ENOTFOUND', /^The host tocsin\.example\.com is not known .*how it is spelt in the Base URL\.$/],
    ['ECONNREFUSED', /^Nothing answers at tocsin\.example\.com .*Check host and port in the Base URL/],
    ['ECONNABORTED', /did not answer within 10 seconds .*Check host and port in the Base URL/],
    ['EPROTO', /does not speak https .*begin the Base URL with http:\/\/\.$/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /does not trust the certificate .*the host that the certificate names/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /does not trust the certificate .*NODE_EXTRA_CA_CERTS/],
    ['EWHATEVER', /^No answer came .*\(EWHATEVER\)\. Check the Base URL, and that n8n can reach it\.$/],
  ])('%s', async (code, message) => {
    expect(await said({ code })).toEqual({ status: 'Error', message: expect.stringMatching(message) })
  })

  test('an address of this machine may be another machine than meant', async () => {
    expect((await said({ code: 'ECONNREFUSED' }, 'http://localhost:8080')).message).toMatch(/in a container/)
    expect((await said({ code: 'ECONNREFUSED' })).message).not.toMatch(/container/)
  })

  test('http where https is spoken', async () => {
    const base = 'http://tocsin.example.com'
    const ends = [
      { code: 'ECONNRESET' },
      { code: 'HPE_INVALID_CONSTANT' },
      { status: 400, body: '<center>The plain HTTP request was sent to HTTPS port</center>' },
      { status: 400, body: 'Client sent an HTTP request to an HTTPS server.' },
    ]
    for (const end of ends)
      expect((await said(end, base)).message).toMatch(/Begin the Base URL with https:\/\/\.$/)
    const redirected = await said({ status: 301, location: 'https://tocsin.example.com/api/v1/me' }, base)
    expect(redirected).toEqual({
      status: 'Error',
      message:
        'The Base URL http://tocsin.example.com is redirected to https://tocsin.example.com. Put in the address where Tocsin itself answers.',
    })
  })

  const me = (...scopes: string[]) => said({ status: 200, body: { key: { scopes } } })

  test.each([
    [['incidents:read', 'endpoints:read', 'endpoints:write']],
    [['admin']],
    [['incidents:read']],
    [['events:write', 'endpoints:read']],
    [['endpoints:read', 'endpoints:write']],
  ])('a key with %j will do', async (scopes) => {
    expect(await me(...scopes)).toEqual({ status: 'OK', message: 'Tocsin knows this key.' })
  })

  test.each([[[]], [['endpoints:read']], [['mcp', 'secrets:read']]])(
    'a key with %j is for neither node',
    async (scopes) => {
      const { status, message } = await me(...scopes)
      expect(status).toBe('Error')
      expect(message).toMatch(
        /Tocsin Trigger needs .* lacks .*endpoints:write\. The Tocsin node needs .*incidents:read/,
      )
    },
  )
})
