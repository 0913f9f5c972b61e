import { adapterSlugs } from '@tocsin/core'
import type { ToolContext } from './define-tool.ts'
import { recentIncidents } from './resources.ts'
import { quoted, ToolError } from './tool-error.ts'

/** A prompt as it is listed. */
export interface Prompt {
  name: string
  title: string
  description: string
  arguments: { name: string; description: string; required: boolean }[]
}

interface PromptDefinition extends Prompt {
  /** Tools it cannot do without. */
  needs: readonly string[]
  text(args: Record<string, string>, offers: ToolContext['offers']): string
  /** Values of its argument. */
  complete(context: ToolContext): Promise<readonly string[]> | readonly string[]
}

const definitions: readonly PromptDefinition[] = [
  {
    name: 'triage_active',
    title: 'Triage active incidents',
    description: 'What is open, what matters most, what to do next',
    arguments: [],
    needs: ['list_incidents', 'get_incident'],
    text: (_args, offers) =>
      'Triage the active incidents. Call list_incidents, then get_incident for the one to three most severe. ' +
      'For each say in one or two sentences what fires since when, who has acknowledged it, what the evidence says ' +
      `(cite event ids) and what to look at next. Say which you would acknowledge${offers('update_incident') ? ', and ask me before you change anything' : '; I do it myself'}.`,
    complete: () => [],
  },
  {
    name: 'write_postmortem',
    title: 'Write a post-mortem',
    description: 'A post-mortem whose facts cite their evidence',
    arguments: [{ name: 'incidentId', description: 'Id, or reference such as INC-042', required: true }],
    needs: ['draft_postmortem'],
    text: ({ incidentId }) =>
      `Write the post-mortem of incident ${incidentId}. Call draft_postmortem, keep every time, number and evidence id as they are, ` +
      'improve the prose, and put each gap to me as a question instead of guessing. Mark causes as hypotheses until I confirm them.',
    complete: async (context) => (await recentIncidents(context)).map(({ reference }) => reference),
  },
  {
    name: 'connect_source',
    title: 'Connect a monitoring tool',
    description: 'Set a webhook up, step by step, and prove that it works',
    arguments: [{ name: 'provider', description: 'The tool, such as grafana', required: true }],
    needs: ['get_webhook_url'],
    text: ({ provider }, offers) =>
      `Connect ${provider} to Tocsin. Call get_webhook_url(source: "${provider}", format: "setup"). If it is not configured, ` +
      (offers('configure_webhook')
        ? `ask me, then call configure_webhook(source: "${provider}"). Give me the steps to click, and the command that shows the secret; `
        : 'tell me to make it over the API with a key of scope sources:write. Give me the steps to click; ') +
      'never ask me to paste a secret here. When I say it is done, have me run testCommand and check with ' +
      `${offers('list_incidents') ? 'list_incidents and ' : ''}get_webhook_url that it arrived.`,
    complete: () => adapterSlugs,
  },
]

/** Those whose tools are offered. */
export function listPrompts({ offers }: ToolContext): Prompt[] {
  return definitions
    .filter(({ needs }) => needs.every(offers))
    .map(({ name, title, description, arguments: args }) => ({ name, title, description, arguments: args }))
}

/** Undefined where there is none. Throws ToolError on wrong arguments and where its tools are not offered. */
export function getPrompt(name: string, args: Record<string, string>, { offers }: ToolContext) {
  const prompt = definitions.find((candidate) => candidate.name === name)
  if (!prompt) return undefined
  const missing = prompt.needs.filter((tool) => !offers(tool))
  if (missing.length > 0) {
    throw new ToolError(
      'forbidden',
      `The prompt ${name} needs ${missing.join(', ')}, which this key or server does not offer.`,
    )
  }
  for (const { name: argument } of prompt.arguments) {
    const value = args[argument]
    if (!value) throw new ToolError('invalid_arguments', `The prompt ${name} needs ${argument}.`)
    if (!/^[\w-]{1,60}$/.test(value)) {
      throw new ToolError('invalid_arguments', `${argument} is ${quoted(value)}: give an id or a slug.`)
    }
  }
  return {
    description: prompt.description,
    messages: [
      { role: 'user' as const, content: { type: 'text' as const, text: prompt.text(args, offers) } },
    ],
  }
}

export async function completePrompt(
  name: string,
  argument: string,
  context: ToolContext,
): Promise<readonly string[]> {
  const prompt = definitions.find((candidate) => candidate.name === name)
  const has = prompt?.arguments.some((one) => one.name === argument)
  return has ? prompt!.complete(context) : []
}
