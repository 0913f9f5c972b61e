import type {
  ICredentialDataDecryptedObject,
  ICredentialsDecrypted,
  ICredentialTestFunctions,
  INodeCredentialTestResult,
} from 'n8n-workflow'
import { readRefusal } from './answer.ts'
import { apiUrl } from './transport.ts'

const TIME_LIMIT_MS = 10_000

/** What every use of these nodes begins with. */
const NEEDED = 'incidents:read'

/** Says in one sentence what is wrong with the address or the key. */
export async function tocsinApiTest(
  this: ICredentialTestFunctions,
  { data }: ICredentialsDecrypted<ICredentialDataDecryptedObject>,
): Promise<INodeCredentialTestResult> {
  const baseUrl = String(data?.baseUrl ?? '')
  // The one HTTP helper that n8n gives to a credential test.
  const { request } = this.helpers
  let answer: { statusCode: number; body: unknown }
  try {
    answer = await request({
      method: 'GET',
      uri: `${apiUrl(baseUrl)}/me`,
      headers: { Authorization: `Bearer ${String(data?.apiToken ?? '')}` },
      json: true,
      simple: false,
      resolveWithFullResponse: true,
      timeout: TIME_LIMIT_MS,
    })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    return refused(`Nothing answers at ${baseUrl}${code}. Check the Base URL, and that n8n can reach it.`)
  }

  const refusal = readRefusal(answer.statusCode, answer.body)
  if (refusal) return refused(`${refusal.message.replace(/\.?$/, '.')} ${refusal.description}`)
  const scopes = scopesOf(answer.body)
  if (!scopes) return refused(`Something other than Tocsin answers at ${baseUrl}. Check the Base URL.`)
  if (!scopes.includes(NEEDED) && !scopes.includes('admin')) {
    return refused(
      `The key is valid but lacks the scope ${NEEDED}. Make one with ${NEEDED}, incidents:write, endpoints:read and endpoints:write.`,
    )
  }
  return { status: 'OK', message: 'Tocsin knows this key.' }
}

function refused(message: string): INodeCredentialTestResult {
  return { status: 'Error', message }
}

/** Undefined where this is no answer of Tocsin's. */
function scopesOf(body: unknown): string[] | undefined {
  const { key } = body as { key?: { scopes?: unknown } }
  return Array.isArray(key?.scopes) ? key.scopes : undefined
}
