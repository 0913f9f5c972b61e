import type {
  ICredentialDataDecryptedObject,
  ICredentialsDecrypted,
  ICredentialTestFunctions,
  INodeCredentialTestResult,
} from 'n8n-workflow'
import { readRefusal } from './answer.ts'
import { readCredential } from './credential.ts'

const TIME_LIMIT_MS = 10_000

/** The trigger needs all of these. */
const TRIGGER_SCOPES = ['endpoints:read', 'endpoints:write']

/** With any of these the Tocsin node can do something. */
const ACTION_SCOPES = ['incidents:read', 'incidents:write', 'events:write', 'sources:read', 'sources:write']

interface Answer {
  statusCode: number
  headers: { location?: string }
  body: unknown
}

/** Says in a sentence or two which field is wrong, how, and what to do. */
export async function tocsinApiTest(
  this: ICredentialTestFunctions,
  { data }: ICredentialsDecrypted<ICredentialDataDecryptedObject>,
): Promise<INodeCredentialTestResult> {
  const access = readCredential(data ?? {})
  if ('fault' in access) return refused(access.fault)

  // The one HTTP helper that n8n gives to a credential test.
  const { request } = this.helpers
  let answer: Answer
  try {
    answer = await request({
      method: 'GET',
      uri: `${access.apiUrl}/me`,
      headers: { Authorization: `Bearer ${access.key}` },
      json: true,
      simple: false,
      resolveWithFullResponse: true,
      // What is asked of a redirecting address later may arrive as something else, and the key elsewhere.
      followRedirect: false,
      timeout: TIME_LIMIT_MS,
    })
  } catch (error) {
    return refused(whyNoAnswer(error, new URL(access.apiUrl)))
  }
  return judge(answer, access.apiUrl)
}

function judge({ statusCode, headers, body }: Answer, apiUrl: string): INodeCredentialTestResult {
  const base = apiUrl.replace(/\/api\/v1$/, '')
  if (statusCode >= 300 && statusCode <= 399) {
    const target = headers.location?.replace(/\/api\/v1\/me$/, '') ?? 'another address'
    return refused(
      `The Base URL ${base} is redirected to ${target}. Put in the address where Tocsin itself answers.`,
    )
  }
  if (statusCode === 400 && /plain HTTP|HTTP request to an HTTPS/i.test(String(body))) {
    return refused(`${base} speaks https. Begin the Base URL with https://.`)
  }
  const refusal = readRefusal(statusCode, body)
  if (refusal?.code === 'not_found') {
    return refused(
      `Tocsin answers at ${base}, but not its API. Leave out of the Base URL what follows the host.`,
    )
  }
  if (refusal) return refused(`${refusal.message.replace(/\.?$/, '.')} ${refusal.description}`)
  const scopes = scopesOf(body)
  if (!scopes) return refused(`Something other than Tocsin answers at ${base}. Check the Base URL.`)
  return judgeScopes(scopes)
}

/**
 * A key that serves one of the nodes will do: a workflow that only acts needs no endpoints. Of a success n8n shows no
 * sentence, so what such a key is not for is said by the node that needs more.
 */
function judgeScopes(scopes: string[]): INodeCredentialTestResult {
  const lacks = (scope: string) => !scopes.includes(scope) && !scopes.includes('admin')
  const missing = TRIGGER_SCOPES.filter(lacks)
  if (missing.length === 0 || !ACTION_SCOPES.every(lacks)) {
    return { status: 'OK', message: 'Tocsin knows this key.' }
  }
  return refused(
    `The API Key is valid but lacks the scopes to do anything here. Tocsin Trigger needs a key with ${TRIGGER_SCOPES.join(' and ')}; this one lacks ${missing.join(' and ')}. The Tocsin node needs a key with incidents:read to read incidents, and incidents:write to change them; this one has neither.`,
  )
}

/** By the code that Node.js gives to a connection that failed. */
function whyNoAnswer(error: unknown, { protocol, host, hostname }: URL): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code'
  if (['ENOTFOUND', 'EAI_AGAIN'].includes(code)) {
    return `The host ${hostname} is not known (${code}). Check how it is spelt in the Base URL.`
  }
  if (['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'].includes(code)) {
    const own = /^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname)
      ? ' Where n8n runs in a container, this address is the container itself: put in the one of the machine of Tocsin.'
      : ''
    return `Nothing answers at ${host} (${code}). Check host and port in the Base URL, and that Tocsin runs.${own}`
  }
  if (['ETIMEDOUT', 'ECONNABORTED'].includes(code)) {
    return `${host} did not answer within ${TIME_LIMIT_MS / 1000} seconds (${code}). Check host and port in the Base URL, and that a firewall lets n8n through.`
  }
  if (protocol === 'https:' && (code === 'EPROTO' || code.startsWith('ERR_SSL'))) {
    return `${host} does not speak https (${code}). Where Tocsin answers without it, begin the Base URL with http://.`
  }
  if (protocol === 'http:' && (code === 'ECONNRESET' || code.startsWith('HPE_'))) {
    return `${host} does not speak plain http (${code}). Begin the Base URL with https://.`
  }
  if (code.includes('CERT') || code.includes('SIGNATURE')) {
    return `n8n does not trust the certificate of ${host} (${code}). Put into the Base URL the host that the certificate names, or give its authority to n8n (NODE_EXTRA_CA_CERTS).`
  }
  return `No answer came from ${host} (${code}). Check the Base URL, and that n8n can reach it.`
}

function refused(message: string): INodeCredentialTestResult {
  return { status: 'Error', message }
}

/** Undefined where this is no answer of Tocsin's. */
function scopesOf(body: unknown): string[] | undefined {
  const { key } = body as { key?: { scopes?: unknown } }
  return Array.isArray(key?.scopes) ? key.scopes : undefined
}
