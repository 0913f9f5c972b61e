import type { OpenedTocsin } from '@tocsin/core'

/** What a start prints for the person at the terminal: plain text, the same in a file. */
export function startUpText(
  { firstStart, defaultProjectId }: Pick<OpenedTocsin, 'firstStart' | 'defaultProjectId'>,
  { localUrl, publicUrl }: { localUrl: string; publicUrl: string },
): string {
  const facts: [string, string][] = [['Address', localUrl]]
  if (publicUrl !== localUrl) facts.push(['Public address', publicUrl])
  if (firstStart?.adminKey) facts.push(['Admin key', `${firstStart.adminKey}  (shown only now: keep it)`])
  if (defaultProjectId) facts.push(['Project', defaultProjectId])

  const lines = ['Tocsin is running.', '', ...facts.map(([name, value]) => `${name.padEnd(15)} ${value}`), '']
  if (defaultProjectId) {
    // The local address, since it works here whether or not a proxy stands before it yet.
    const webhook = `${localUrl}/api/v1/webhooks/${defaultProjectId}/generic`
    lines.push('Open an incident:', '', curlLine(webhook, firstStart?.sourceSecret), '')
    const variables = variablesLine({
      TOCSIN_URL: localUrl,
      TOCSIN_PROJECT: defaultProjectId,
      TOCSIN_API_KEY: firstStart?.adminKey,
      TOCSIN_SECRET: firstStart?.sourceSecret,
    })
    lines.push('For the commands of the README:', '', variables, '')
  }
  return `${lines.join('\n')}\n`
}

function curlLine(url: string, secret: string | undefined): string {
  const header = secret === undefined ? '"X-Webhook-Secret: $TOCSIN_SECRET"' : `'X-Webhook-Secret: ${secret}'`
  return (
    `curl -X POST ${url} -H 'Content-Type: application/json' -H ${header} ` +
    `-d '{"title":"Checkout is down","severity":"high"}'`
  )
}

/** Sets shell variables; leaves out what this start does not know. */
function variablesLine(values: Record<string, string | null | undefined>): string {
  const known = Object.entries(values).filter(([, value]) => value != null)
  return ['export', ...known.map(([name, value]) => `${name}=${value}`)].join(' ')
}
