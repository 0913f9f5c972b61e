import type { Insertable } from 'kysely'
import { decideRequest, type RequestDecision, type RequestInput } from './matcher/decide-request.ts'
import { eventKey } from './matcher/event-key.ts'
import { Picture } from './matcher/picture.ts'
import type { MatchContext } from './matcher/state.ts'
import { Outbox } from './outbox.ts'
import { trimUnauthorized } from './store/hook-request.ts'
import type { OutboxEndpoint } from './store/outbox.ts'
import { loadProjects, loadRequests, savePicture } from './store/picture.ts'
import { holdProjects } from './store/project.ts'
import type { HookRequestTable } from './store/schema.ts'
import { countRequests, type RequestTally } from './store/source-health.ts'
import { databaseKind, insertRows, together, updateRows, type Work } from './store/statement.ts'
import type { Settled } from './store/writer.ts'

/** What the writer queues take: webhooks, which are decided together, and everything else that changes the database. */
export type Command = WebhookCommand | WorkCommand

/** What came to the address of a project. */
export type WebhookCommand = ReceiveCommand | RefusedCommand

/** A webhook, authenticated and parsed. */
export interface ReceiveCommand {
  kind: 'receive'
  input: RequestInput
  /** Of the directory it was authenticated with. */
  configVersion: number
  /** Endpoints of its project, as of that version. */
  endpoints: readonly OutboxEndpoint[]
  /** Its row in the request log, made once the decision is known. */
  row: (decision: RequestDecision, now: string) => Insertable<HookRequestTable>
  /** What it says of its source's health, once the decision is known. */
  tally: (decision: RequestDecision) => RequestTally
  /** A replay has its row already: `parked` rows take the new outcome, accepted ones stay as they are. */
  replayOf: 'parked' | 'accepted' | null
}

/** A webhook that changes nothing but the request log and the health of its source. */
export interface RefusedCommand {
  kind: 'refused'
  row: Insertable<HookRequestTable>
}

/** The project whose address a command came to; null where it came to none. */
export function projectOf(command: Command): string | null {
  if (command.kind === 'work') return null
  return command.kind === 'receive' ? command.input.projectId : command.row.project_id
}

/** Any other change, on its own. Runs again from the start when its batch has to be repeated. */
export interface WorkCommand {
  kind: 'work'
  run: (context: MatchContext) => Work<unknown>
}

/** The configuration has changed since the request was authenticated: do it again. */
export const CONFIG_CHANGED = Symbol('config changed')

export type ReceiveResult =
  | { decision: RequestDecision; incident: IncidentAnswer | null }
  | typeof CONFIG_CHANGED

/** The incident as it was when the request was decided; others of the batch may change it further. */
export type IncidentAnswer = Pick<
  NonNullable<RequestDecision['incident']>,
  'id' | 'number' | 'title' | 'severity' | 'status' | 'url'
>

/**
 * Runs one batch in one transaction: load what its events touch, decide one by one on that picture in memory, write all
 * changes (performance.md, hot path). Neighbouring webhooks share a picture; other commands stand between them.
 */
export function createBatchRunner(
  context: () => MatchContext,
  /** Something was put into the outbox; it is there for others after the commit. */
  onMessages: () => void = () => {},
): (commands: Command[]) => Work<Settled<unknown>[]> {
  return function* runBatch(commands) {
    const settled: Settled<unknown>[] = []
    for (let i = 0; i < commands.length; ) {
      const command = commands[i]!
      if (command.kind === 'work') {
        settled.push({ value: yield* command.run(context()) })
        i += 1
        continue
      }
      const webhooks: WebhookCommand[] = []
      for (let next = commands[i]; next && next.kind !== 'work'; next = commands[++i]) webhooks.push(next)
      settled.push(...(yield* receiveTogether(webhooks, context(), onMessages)))
    }
    return settled
  }
}

/** Decides webhooks together and stores them, in the order of locks (store/project.ts). */
function* receiveTogether(
  commands: readonly WebhookCommand[],
  context: MatchContext,
  onMessages: () => void,
): Work<Settled<ReceiveResult | null>[]> {
  const picture = new Picture()
  const received = commands.filter((command) => command.kind === 'receive')
  const projects = yield* loadProjects(
    picture,
    received.map((command) => command.input.projectId),
  )
  const refused = yield* holdProjects(
    commands.flatMap((command) =>
      command.kind === 'refused' && !projects.has(command.row.project_id) ? command.row.project_id : [],
    ),
  )
  const hourAgo = new Date(Date.parse(context.now) - 3_600_000).toISOString()
  const current = received.filter(
    ({ input, configVersion }) => projects.get(input.projectId)?.config_version === configVersion,
  )
  yield* loadRequests(
    picture,
    current.map(({ input }) => ({
      ...input,
      eventKeys: keysOf(input),
      hourAgo,
    })),
  )

  const endpoints = new Map(current.map((command) => [command.input.projectId, command.endpoints]))
  const outbox = new Outbox(
    picture,
    new Map(
      [...projects].map(([id, { name, plan }]) => [id, { name, plan, endpoints: endpoints.get(id) ?? [] }]),
    ),
  )
  const rows: Insertable<HookRequestTable>[] = []
  const replayed: Partial<Insertable<HookRequestTable>>[] = []
  const tallies = new Map<string, RequestTally>()
  const settled = commands.map((command): Settled<ReceiveResult | null> => {
    if (command.kind === 'refused') {
      // Of one that was deleted since, nothing may be stored that nobody would ever forget.
      const { project_id: id } = command.row
      if (projects.has(id) || refused.has(id)) rows.push(command.row)
      return { value: null }
    }
    const { input, configVersion, row, tally, replayOf } = command
    const project = projects.get(input.projectId)
    // Deleted since: authenticating again gives the answer of an unknown address.
    if (!project) return { value: CONFIG_CHANGED }
    if (project.config_version !== configVersion) return { value: CONFIG_CHANGED }

    // I2: running what was accepted once more changes nothing, also where only its id tells the two apart.
    if (replayOf === 'accepted' && input.delivery) {
      picture.deliveries.set(input.delivery.key, input.receivedAt)
    }
    const decision = decideRequest(picture, input, context)
    outbox.note()
    if (replayOf === null) {
      rows.push(row(decision, context.now))
      tallies.set(input.requestId, tally(decision))
    }
    if (replayOf === 'parked') replayed.push(outcomeOf(row(decision, context.now)))
    return { value: { decision, incident: decision.incident && answerOf(decision.incident) } }
  })

  const eventsOf = Map.groupBy(picture.events, (event) => event.requestId)
  const withEvents = <T extends Partial<Insertable<HookRequestTable>>>(request: T) => ({
    ...request,
    event_ids: JSON.stringify(eventsOf.get(request.id!)?.map((event) => event.id) ?? []),
  })
  const kind = yield* databaseKind()
  // In one round trip.
  yield* together(
    savePicture(picture, kind),
    insertRows('hook_request', rows.map(withEvents)),
    updateRows('hook_request', replayed.map(withEvents), ['project_id', 'id']),
    countRequests(rows, tallies),
  )
  if ((yield* outbox.save(context)) > 0) onMessages()
  yield* trimUnauthorized(rows.filter(({ reason }) => reason === 'unauthorized'))
  return settled
}

/** Decides one webhook for a dry run, which rolls back. */
export function* receiveAlone(command: ReceiveCommand, context: MatchContext): Work<ReceiveResult> {
  const [settled] = yield* receiveTogether([command], context, () => {})
  return (settled as { value: ReceiveResult }).value
}

/** Decides one request as of now on what is stored; answers also which incidents there were before. Writes nothing. */
export function* decideAlone(
  input: RequestInput,
  context: MatchContext,
): Work<{ decision: RequestDecision; known: ReadonlySet<string> }> {
  const picture = new Picture()
  yield* loadProjects(picture, [input.projectId])
  yield* loadRequests(picture, [{ ...input, eventKeys: keysOf(input), hourAgo: context.now }])
  const known = new Set(picture.incidents.keys())
  return { decision: decideRequest(picture, input, context), known }
}

function keysOf(input: RequestInput): string[] {
  return input.events.flatMap((event) => eventKey(event) ?? [])
}

function answerOf({ id, number, title, severity, status, url }: IncidentAnswer): IncidentAnswer {
  return { id, number, title, severity, status, url }
}

/** What a replay changes of its row: the request itself stays as it was received. */
function outcomeOf(row: Insertable<HookRequestTable>): Partial<Insertable<HookRequestTable>> {
  const { project_id, id, status, outcome, reason, message, rule } = row
  const { delivery_key, incident_id, slot_at, slot_kind } = row
  return {
    project_id,
    id,
    status,
    outcome,
    reason,
    message,
    rule,
    delivery_key,
    incident_id,
    slot_at,
    slot_kind,
  }
}
