import { adapterBySlug } from '../../core/index.ts'
import { NO_SETTINGS } from '../../core/policy.ts'
import { webhookAddresses } from '../../ingest/routes/webhooks.ts'

/** What a stranger sends. */
export interface Knock {
  path: string
  headers: Record<string, string>
  body: string
}

/** Two refusals a stranger must not tell apart. */
export interface KnockPair {
  name: string
  one: Knock
  other: Knock
}

/** A project with one source, and what its credential was before a rotation without overlap. */
export interface Guessed {
  projectId: string
  secret: string
  rotatedOut: string
}

export type MakeGuessed = (adapter: string, address: 'project' | 'token') => Promise<Guessed>

const UNKNOWN_PROJECT = '11111111-1111-4111-8111-111111111111'
/** Addresses that name the project, or whose body does. */
const NAMES_PROJECT = ['receiveAtProject', 'receiveGitPulse']

/** The pairs of every address. At that of a project each of these tools, elsewhere the one it is for. */
export async function knockPairs(
  make: MakeGuessed,
  adaptersAtProject: readonly string[],
): Promise<KnockPair[]> {
  const pairs: KnockPair[] = []
  for (const { id, adapter, credential } of webhookAddresses) {
    const isToken = credential === 'address'
    const adapters = adapter ? [adapter] : isToken ? ['betterstack'] : adaptersAtProject
    for (const slug of adapters) {
      const { projectId, secret, rotatedOut } = await make(slug, isToken ? 'token' : 'project')
      const empty = await make(slug === 'datadog' ? 'uptime-kuma' : 'datadog', 'project')
      const send = (used: string, project = projectId) => knock(id, slug, used, project)
      const never = flipped(flipped(secret, 0), 1)
      const add = (name: string, one: Knock, other: Knock) =>
        pairs.push({ name: `${id} of ${slug}: ${name}`, one, other })

      add(
        'first byte wrong / last byte wrong',
        send(flipped(secret, 0)),
        send(flipped(secret, secret.length - 1)),
      )
      if (NAMES_PROJECT.includes(id)) {
        add('project known / unknown', send(never), send(never, UNKNOWN_PROJECT))
        add(
          'project without such a source / unknown',
          send(never, empty.projectId),
          send(never, UNKNOWN_PROJECT),
        )
      }
      if (slug === 'generic') {
        const withKey = (project: string) => {
          const sent = send(never, project)
          return { ...sent, headers: { ...sent.headers, authorization: `Bearer tocsin_${never}` } }
        }
        add('unknown API key, project known / unknown', withKey(projectId), withKey(UNKNOWN_PROJECT))
      }
      if (id !== 'receiveAtProject') add('credential rotated out / unknown', send(rotatedOut), send(never))
    }
  }
  return pairs
}

function knock(addressId: string, adapter: string, secret: string, projectId: string): Knock {
  const context = {
    id: 'the-alert',
    at: '2026-07-01T12:00:00.000Z',
    secret,
    projectId,
    settings: NO_SETTINGS,
  }
  const { headers, body, query } = adapterBySlug(adapter)!.testRequest('fire', context)!
  const path = webhookAddresses
    .find(({ id }) => id === addressId)!
    .path.replace(':plugin', 'grafana-irm-app')
    .replace(':projectId', projectId)
    .replace(':adapter', adapter)
    .replace(':token', secret)
  return { path: query === undefined ? path : `${path}?${query}`, headers, body }
}

function flipped(secret: string, at: number): string {
  return secret.slice(0, at) + (secret[at] === 'a' ? 'b' : 'a') + secret.slice(at + 1)
}
