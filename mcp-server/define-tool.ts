import type { ApiOwnKey, ApiScope, Tocsin } from '@tocsin/core'
import { z } from 'zod'
import { isObject } from './object-arguments.ts'
import type { Presented, Presenter } from './present.ts'
import { closest, quoted, ToolError } from './tool-error.ts'

/** What a call stands on. */
export interface ToolContext {
  /** The use-cases as this key has them; what they answer holds no secret the key does not name. */
  tocsin: Tocsin
  key: ApiOwnKey
  now(): Date
  presenter: Presenter
  /** Whether the key and the server offer this tool: advice names no other. */
  offers(tool: string): boolean
  /** As in SurfaceOptions. */
  isAddressGuessed: boolean
  serverUrl: string | null | undefined
  /** Tells the audit which project the call was about. */
  onProject(projectId: string): void
}

/** Whether a key has these scopes. */
export function mayUse({ scopes }: ApiOwnKey, ...needed: readonly ApiScope[]): boolean {
  return scopes.includes('admin') || needed.every((scope) => scopes.includes(scope))
}

/** All four hints; clients show them to people and do not trust them. */
export interface Annotations {
  readOnlyHint: boolean
  destructiveHint: boolean
  idempotentHint: boolean
  openWorldHint: boolean
}

/** A tool as it is listed. */
export interface ToolListing {
  name: string
  title: string
  description: string
  inputSchema: Record<string, unknown> & { type: 'object' }
  outputSchema: Record<string, unknown> & { type: 'object' }
  annotations: Annotations
}

/** One tool, said once for every version of the protocol. */
export interface Tool {
  name: string
  /** The scopes a key needs to see it; core checks them again. */
  scopes: readonly ApiScope[]
  listing: ToolListing
  input: z.ZodObject
  output: z.ZodObject
  /** Checks the arguments and runs. Throws ToolError and TocsinError. */
  handler(args: unknown, context: ToolContext): Promise<Presented>
}

/** What nobody sees, also halves of characters. Refused where a name or a word is asked for. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}\u2028\u2029]/u
/** The same in texts of several lines, in which joiners of letters and of emoji have their place. */
const UNSEEN_IN_TEXT = /[^\P{Cc}\n\r\t]|\p{Cs}/u

/**
 * Arguments, with the limits of the HTTP API: in process nothing else would check them. The listing leaves these
 * limits out, and an error names them.
 */
export const word = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .refine((value) => !UNSEEN.test(value), 'holds characters that cannot be seen')
export const note = z
  .string()
  .trim()
  .min(1)
  .refine((value) => !UNSEEN_IN_TEXT.test(value), 'holds control characters')
export const incidentId = z
  .string()
  .trim()
  .regex(/^[\w-]{1,100}$/, 'is no id and no reference such as INC-042')
  .describe('Id, or reference such as INC-042')
export const cursor = z.string().min(1)

/** `project`, the same in every tool. */
export const project = word.optional().describe('Id or name, where the key opens several')

/** Paths that hold text of senders, the same in every result. */
export const untrusted = z.array(z.string()).optional()

/**
 * An entry of a result, by the members that programs need to go on. It holds more, which the text beside it names:
 * every member of every entry would be a third of what a model reads of a tool before it is ever used.
 */
export function entry(...members: readonly string[]) {
  return z.looseObject(Object.fromEntries(members.map((member) => [member, z.string()])))
}

export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(tool: {
  name: string
  config: {
    title: string
    description: string
    scopes: readonly ApiScope[]
    /** Strict, so that a wrong name is an error the model can mend. */
    input: Input
    output: Output
    annotations: Annotations
  }
  handler(input: z.output<Input>, context: ToolContext): Promise<Presented>
}): Tool {
  const { name, config } = tool
  return {
    name,
    scopes: config.scopes,
    listing: {
      name,
      title: config.title,
      description: config.description,
      inputSchema: jsonSchema(config.input, 'input'),
      outputSchema: jsonSchema(config.output, 'output'),
      annotations: config.annotations,
    },
    input: config.input,
    output: config.output,
    handler: async (args, context) => tool.handler(checkArguments(name, config.input, args ?? {}), context),
  }
}

/** Of any argument: one rule here is shorter to read for a model than a limit in each schema. */
const MOST_TEXT = 5_000

function jsonSchema(schema: z.ZodObject, io: 'input' | 'output'): ToolListing['inputSchema'] {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => {
      // What is not said is allowed anyway.
      if (typeof jsonSchema.additionalProperties === 'object') delete jsonSchema.additionalProperties
      delete jsonSchema.minLength
      delete jsonSchema.maxLength
      delete jsonSchema.pattern
    },
  })
  return rest as ToolListing['inputSchema']
}

function checkArguments<Input extends z.ZodObject>(
  tool: string,
  schema: Input,
  args: unknown,
): z.output<Input> {
  const known = Object.keys(schema.shape)
  // How what is no object at all arrives here: see object-arguments.ts.
  if (isObject(args) && 'arguments' in args && !isObject(args.arguments)) {
    throw new ToolError(
      'invalid_arguments',
      `"arguments" must be an object such as {"${known[0]}": …}. Correct this and call ${tool} again.`,
    )
  }
  const tooLong = Object.entries(args as object).find(
    ([, value]) => typeof value === 'string' && value.length > MOST_TEXT,
  )
  if (tooLong) {
    throw new ToolError(
      'invalid_arguments',
      `${quoted(tooLong[0])} may have at most ${MOST_TEXT} characters.`,
    )
  }
  const result = schema.safeParse(args)
  if (result.success) return result.data
  const problems = result.error.issues.slice(0, 3).map((issue) => describe(issue, known))
  throw new ToolError('invalid_arguments', `${problems.join(' ')} Correct this and call ${tool} again.`)
}

/** What is counted where a length is wrong. */
const LENGTHS: Partial<Record<string, string>> = { string: ' characters long', array: ' entries long' }

function describe(issue: z.core.$ZodIssue, known: readonly string[]): string {
  const name = issue.path.length > 0 ? quoted(issue.path.join('.')) : 'The arguments'
  switch (issue.code) {
    case 'unrecognized_keys': {
      const near = issue.keys.flatMap((key) => closest(key, known))
      const hint = near.length > 0 ? ` Did you mean ${near.join(' or ')}?` : ''
      return `Unknown argument ${issue.keys.map(quoted).join(', ')}.${hint} Known are ${known.join(', ')}.`
    }
    case 'invalid_type':
      return issue.input === undefined && issue.message.endsWith('undefined')
        ? `${name} is missing: give ${issue.expected}.`
        : `${name} must be ${issue.expected}.`
    case 'invalid_value':
      return `${name} must be one of ${issue.values.join(', ')}.`
    case 'too_small':
      if (issue.origin === 'string') return `${name} is empty: give a text or leave it out.`
      if (issue.origin === 'array') return `${name} is empty: give at least one or leave it out.`
      return `${name} must be at least ${issue.minimum}.`
    case 'too_big':
      return `${name} must be at most ${issue.maximum}${LENGTHS[issue.origin] ?? ''}.`
    default:
      return `${name} ${issue.message}.`
  }
}
