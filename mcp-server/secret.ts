import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import { type ApiCredential, cleanText, type Tocsin, TocsinError } from '@tocsin/core'
import { loadSettingsFile } from '@tocsin/ingest/settings-file'
import { type Connection, connect, guessWords } from './connection.ts'
import { allProjects, allSources, findSource } from './find.ts'

const USAGE = `Secrets of webhook sources, past every AI assistant.

  npm run secret -- reveal <id>      shows a new secret, once and within ten minutes
  npm run secret -- set <source>     takes a secret that the monitoring tool issued, from the terminal or stdin
  --project <id>                     where the key opens several

Works on the server at TOCSIN_URL with TOCSIN_API_KEY (scope secrets:read to reveal, sources:* to set), else on the
database of this machine.
`

try {
  await run()
  process.exit(0)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}

async function run(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { project: { type: 'string' } },
  })
  const [command, name, ...more] = positionals
  if ((command !== 'reveal' && command !== 'set') || name === undefined || more.length > 0) {
    throw new Error(USAGE)
  }
  loadSettingsFile()
  const connection = await connect(process.env, () => {})
  try {
    const tocsin = await connection.own()
    const projects = values.project === undefined ? await projectsOf(tocsin) : [values.project]
    if (command === 'reveal') await reveal(tocsin, projects, name, connection)
    else await set(tocsin, projects, name)
  } finally {
    await connection.close()
  }
}

async function projectsOf(tocsin: Tocsin): Promise<string[]> {
  const { key } = await tocsin.me()
  return key.projectId === null ? (await allProjects({ tocsin })).map(({ id }) => id) : [key.projectId]
}

async function reveal(
  tocsin: Tocsin,
  projects: string[],
  id: string,
  { isAddressGuessed }: Connection,
): Promise<void> {
  for (const project of projects) {
    const credential = await orNothing(() => tocsin.revealSecret(project, id))
    if (credential) return show(credential.credential, isAddressGuessed)
  }
  throw new Error('Not there: a secret shows once, within ten minutes. Rotate the source for a new one.')
}

function show({ adapter, name: given, url, secret }: ApiCredential, isAddressGuessed: boolean): void {
  // A terminal would obey what is hidden in a name.
  const name = cleanText(given, 200)
  const guess = isAddressGuessed ? `${guessWords(url)}\n` : ''
  process.stdout.write(
    secret === null
      ? `Address for ${name} (${adapter}), itself the secret:\n${url}\n${guess}`
      : `Address for ${name} (${adapter}):\n${url}\n${guess}Secret, shown only now:\n${secret}\n`,
  )
}

async function set(tocsin: Tocsin, projects: string[], name: string): Promise<void> {
  for (const project of projects) {
    const source = findSource(await allSources({ tocsin }, project), name)
    if (!source) continue
    const secret = await readSecret(`Secret of ${cleanText(source.name, 200)} (${source.adapter}): `)
    await tocsin.rotateSource(project, source.id, { secret, reveal: true })
    const before =
      source.address === 'token'
        ? 'The address before it is dead.'
        : 'The secret before it stays valid for a day.'
    process.stdout.write(`Kept. ${before}\n`)
    return
  }
  throw new Error(`No source "${name}": give its id, its name, or the tool where there is one of it.`)
}

/** From the terminal without echo, else the whole of stdin. */
async function readSecret(prompt: string): Promise<string> {
  if (!process.stdin.isTTY) return (await text(process.stdin)).trim()
  process.stderr.write(prompt)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  const line = await terminal.question('')
  terminal.close()
  process.stderr.write('\n')
  return line.trim()
}

async function orNothing<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof TocsinError && error.code === 'not_found') return undefined
    throw error
  }
}
