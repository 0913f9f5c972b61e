import { randomBytes } from 'node:crypto'
import { type Command, createBatchRunner, projectOf } from './commands.ts'
import { createSender } from './delivery/send.ts'
import { resolveByDns } from './delivery/targets.ts'
import { createWorker, type Worker } from './delivery/worker.ts'
import { Directory } from './directory.ts'
import { TocsinError } from './errors.ts'
import { createIds } from './ids.ts'
import { resolveWhenDue } from './matcher/human.ts'
import { Picture } from './matcher/picture.ts'
import type { MatchContext } from './matcher/state.ts'
import { createModel } from './postmortem/model.ts'
import { createReceive } from './receive.ts'
import { forgetGone, forgetOld, forgetOldRequests } from './retention.ts'
import { dueIncidents, incidentsByIds } from './store/incident.ts'
import { migrate } from './store/migrate.ts'
import { migrations } from './store/migrations/index.ts'
import { type Database, openDatabase } from './store/open-database.ts'
import { loadProjects } from './store/picture.ts'
import { noticing, overQueues } from './store/queues.ts'
import { createWriter } from './store/writer.ts'
import type { Caller, OpenedTocsin, OpenOptions, Tocsin } from './tocsin.ts'
import * as audit from './use-cases/audit.ts'
import type { Core } from './use-cases/core.ts'
import { change, saveDecision } from './use-cases/core.ts'
import * as endpoints from './use-cases/endpoints.ts'
import { firstStartLeft, firstStartOf, firstStartShown } from './use-cases/first-start.ts'
import { createOnce } from './use-cases/idempotency.ts'
import * as incidents from './use-cases/incidents.ts'
import * as keys from './use-cases/keys.ts'
import * as messages from './use-cases/messages.ts'
import { getMetrics } from './use-cases/metrics.ts'
import * as postmortems from './use-cases/postmortems.ts'
import { previewSource } from './use-cases/preview.ts'
import * as projects from './use-cases/projects.ts'
import * as requests from './use-cases/requests.ts'
import * as sources from './use-cases/sources.ts'

/** How often timed transitions are looked for. */
const DUE_EVERY_MS = 1000
/** How often what is kept no longer is deleted. */
const FORGET_EVERY_MS = 60_000
/** Between two transactions that delete old requests: webhooks hardly wait, and still thousands go in a second. */
const FORGET_PAUSE_MS = 50
/** Commits under way at once. SQLite has one writer. */
const QUEUES = { sqlite: 1, postgres: 2 } as const

/** Opens the database, brings it up to date, makes what the first start needs, and offers the use-cases. */
export async function openTocsin(options: OpenOptions): Promise<OpenedTocsin> {
  const database = await openDatabase(options.databaseUrl, options.signal)
  try {
    await migrate(database, migrations, () =>
      options.log?.('warn', 'the start waits: another process upgrades the database, or holds a lock of it'),
    )
    return await openOn(database, options)
  } catch (error) {
    await database.close()
    throw error
  }
}

/** The same on a database that is open and up to date already. */
export async function openOn(database: Database, options: OpenOptions): Promise<OpenedTocsin> {
  const now = options.now ?? database.now
  const log = options.log ?? (() => {})
  const newId = createIds(now, randomBytes)
  const context = (): MatchContext => ({ newId, now: now().toISOString() })
  const directory = new Directory(database, options.secretKey)
  const targets = options.targets ?? { allow: [], loopback: false }
  const resolve = options.resolve ?? resolveByDns
  let worker: Worker | undefined
  const openQueue = (maxBatch: number | undefined) =>
    noticing(
      (onMessages) =>
        createWriter<Command, unknown>({
          database,
          runBatch: createBatchRunner(context, onMessages),
          ...(options.commitIntervalMs !== undefined && { intervalMs: options.commitIntervalMs }),
          ...(maxBatch !== undefined && { maxBatch }),
        }),
      // What was put into the outbox can be seen only now, after the commit.
      () => worker?.wake(),
    )
  const queues = Array.from({ length: QUEUES[database.kind] }, () => openQueue(options.mostPerCommit))
  // What is no webhook locks what it needs in orders of its own: on PostgreSQL each has a transaction to itself.
  const others = database.kind === 'postgres' ? openQueue(1) : queues[0]!
  const writer = overQueues(queues, others, projectOf)
  const receive = createReceive({
    directory,
    writer,
    authenticateKey: (key) => keys.authenticateKey({ database, now }, key),
    newId,
    log,
    strangerDelayMs: options.strangerDelayMs,
  })
  const core: Core = {
    database,
    writer,
    directory,
    receive,
    secretKey: options.secretKey,
    publicUrl: options.publicUrl,
    defaultPlan: options.defaultPlan,
    newId,
    now,
    random: randomBytes,
    context,
    targets,
    resolve,
    model: options.model
      ? {
          name: `${options.model.baseUrl} ${options.model.model}`,
          write: createModel(options.model, () => randomBytes(16).toString('hex')),
        }
      : null,
    onMessages: others.note,
    onGone: () => forgettingGone.begin(),
    once: null,
  }

  const patient = patientOn(database)
  const actingAs = (core: Core, caller: Caller) => cleaned(useCases(core, caller), patient)
  const once = createOnce(core, actingAs, log)
  const { firstStart, defaultProjectId } = await firstStartOf(core, options.adminKey)
  const isWorker = options.role !== 'ingest'
  const byClock = isWorker
    ? [
        every(DUE_EVERY_MS, () => resolveDue(core), log),
        every(FORGET_EVERY_MS, () => forgetOld(core), log),
        every(FORGET_EVERY_MS, (isOver) => forgetOldRequests(core, isOver, forgetPause), log),
      ]
    : []
  // In every role: where nobody sends there may be no worker, and whoever began it may have been killed.
  const forgettingGone = every(FORGET_EVERY_MS, (isOver) => forgetGone(core, isOver), log)
  if (isWorker) {
    worker = createWorker({
      database,
      change: (run) => change(core, run),
      isBusy: writer.isBusy,
      secretKey: options.secretKey,
      sender: createSender({ rules: targets, resolve, now: () => now().getTime() }),
      log,
      onDisabled: (projectId) => directory.forget(projectId),
      now,
    })
    worker.start()
  }
  return {
    firstStart,
    firstStartLeft: () => firstStartLeft(core),
    firstStartShown: () => firstStartShown(core),
    defaultProjectId,
    actingAs: (caller) => actingAs(core, caller),
    authenticateKey: (key) => patient(() => keys.authenticateKey(core, key)),
    once: (caller, request, write) => patient(() => once(caller, request, write)),
    receive: (request, address, refusal) => receive(request, address, refusal),
    isReady: () => database.ping(),
    now,
    async close({ after, limitMs } = {}) {
      const parts = inParts(limitMs)
      await Promise.all([
        after,
        parts.run('work by the clock', () =>
          Promise.all([...byClock, forgettingGone].map(({ stop }) => stop())),
        ),
        parts.run('messages being sent', async () => worker?.stop()),
      ])
      await parts.run('changes that were waiting', () => writer.close())
      await parts.run('connections to the database', () => database.close())
      parts.end()
    },
  }
}

/** Runs the parts of a stop, each whatever became of the others, and at the end throws an error that names those left. */
function inParts(limitMs: number | undefined): {
  run(name: string, part: () => Promise<unknown>): Promise<void>
  end(): void
} {
  const left: string[] = []
  let cause: unknown
  const over = Promise.withResolvers<never>()
  // Where all parts were done in time nobody hears of it.
  over.promise.catch(() => {})
  const timer =
    limitMs === undefined
      ? undefined
      : setTimeout(() => over.reject(new Error(`Not done within ${limitMs / 1000} s.`)), limitMs)
  return {
    async run(name, part) {
      try {
        await Promise.race([part(), over.promise])
      } catch (error) {
        left.push(name)
        cause ??= error
      }
    },
    end() {
      clearTimeout(timer)
      if (left.length > 0) {
        throw new Error(`Not finished: ${left.join(', ')}. Leases and retries see to it.`, { cause })
      }
    },
  }
}

/** What callers say, as both databases keep it: PostgreSQL refuses NUL characters and halves of surrogate pairs. */
function cleaned(tocsin: Tocsin, patient: Patient): Tocsin {
  return Object.fromEntries(
    Object.entries(tocsin).map(([name, method]: [string, (...given: unknown[]) => unknown]) => [
      name,
      (...given: unknown[]) => patient(async () => method(...given.map(storable))),
    ]),
  ) as unknown as Tocsin
}

type Patient = <T>(use: () => Promise<T>) => Promise<T>

/** A database that is busy or away is no fault of the request: it may be sent again. */
function patientOn(database: Database): Patient {
  return async (use) => {
    try {
      return await use()
    } catch (error) {
      if (error instanceof TocsinError || database.classify(error) === 'fault') throw error
      throw new TocsinError('unavailable', 'The database is busy or away; try again.', {
        retryAfterSeconds: 1,
        cause: error,
      })
    }
  }
}

function storable(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('\0', '').toWellFormed()
  if (Array.isArray(value)) return value.map(storable)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [storable(key), storable(member)]))
}

function useCases(core: Core, caller: Caller): Tocsin {
  return {
    me: () => keys.ownKey(core, caller),

    createProject: (input) => projects.createProject(core, caller, input),
    listProjects: (page) => projects.listProjects(core, caller, page),
    getProject: (project) => projects.getProject(core, caller, project),
    updateProject: (project, patch) => projects.updateProject(core, caller, project, patch),
    deleteProject: (project) => projects.deleteProject(core, caller, project),

    getIngestion: (project) => sources.getIngestion(core, caller, project),

    createSource: (project, input) => sources.createSource(core, caller, project, input),
    listSources: (project, page) => sources.listSources(core, caller, project, page),
    getSource: (project, source) => sources.getSource(core, caller, project, source),
    updateSource: (project, source, patch) => sources.updateSource(core, caller, project, source, patch),
    deleteSource: (project, source) => sources.deleteSource(core, caller, project, source),
    rotateSource: (project, source, input) => sources.rotateSource(core, caller, project, source, input),
    revealSecret: (project, reveal) => sources.revealSecret(core, caller, project, reveal),
    testSource: (project, source) => sources.testSource(core, caller, project, source),

    previewSource: (project, input) => previewSource(core, caller, project, input),

    listRequests: (project, query) => requests.listRequests(core, caller, project, query),
    getRequest: (project, request) => requests.getRequest(core, caller, project, request),
    replayRequest: (project, request, input) => requests.replayRequest(core, caller, project, request, input),

    listIncidents: (project, query) => incidents.listIncidents(core, caller, project, query),
    createIncident: (project, input) => incidents.createIncident(core, caller, project, input),
    getIncident: (project, incident) => incidents.getIncident(core, caller, project, incident),
    listTimeline: (project, incident, page) => incidents.listTimeline(core, caller, project, incident, page),
    listIncidentEvents: (project, incident, page) =>
      incidents.listIncidentEvents(core, caller, project, incident, page),
    listIncidentSignals: (project, incident, page) =>
      incidents.listIncidentSignals(core, caller, project, incident, page),
    acknowledgeIncident: (project, incident, input) =>
      incidents.acknowledgeIncident(core, caller, project, incident, input),
    resolveIncident: (project, incident, input) =>
      incidents.resolveIncident(core, caller, project, incident, input),
    reopenIncident: (project, incident, input) =>
      incidents.reopenIncident(core, caller, project, incident, input),
    addNote: (project, incident, input) => incidents.addIncidentNote(core, caller, project, incident, input),

    draftPostmortem: (project, incident, input) =>
      postmortems.draftPostmortem(core, caller, project, incident, input),
    getPostmortem: (project, incident, query) =>
      postmortems.getPostmortem(core, caller, project, incident, query),
    savePostmortem: (project, incident, input) =>
      postmortems.savePostmortem(core, caller, project, incident, input),
    getMetrics: (project, query) => getMetrics(core, caller, project, query),

    createEndpoint: (project, input) => endpoints.createEndpoint(core, caller, project, input),
    listEndpoints: (project, page) => endpoints.listEndpoints(core, caller, project, page),
    getEndpoint: (project, endpoint) => endpoints.getEndpoint(core, caller, project, endpoint),
    updateEndpoint: (project, endpoint, patch) =>
      endpoints.updateEndpoint(core, caller, project, endpoint, patch),
    deleteEndpoint: (project, endpoint, query) =>
      endpoints.deleteEndpoint(core, caller, project, endpoint, query),
    rotateEndpoint: (project, endpoint, input) =>
      endpoints.rotateEndpoint(core, caller, project, endpoint, input),
    testEndpoint: (project, endpoint) => endpoints.testEndpoint(core, caller, project, endpoint),
    listMessages: (project, endpoint, query) => messages.listMessages(core, caller, project, endpoint, query),
    getMessage: (project, message) => messages.getMessage(core, caller, project, message),
    replayMessage: (project, message) => messages.replayMessage(core, caller, project, message),
    replayEndpoint: (project, endpoint, input) =>
      messages.replayEndpoint(core, caller, project, endpoint, input),

    createKey: (project, input) => keys.createKey(core, caller, project, input),
    listKeys: (project, page) => keys.listKeys(core, caller, project, page),
    deleteKey: (project, key) => keys.deleteKey(core, caller, project, key),

    recordToolCall: (input) => audit.recordToolCall(core, caller, input),
    listToolCalls: (project, page) => audit.listToolCalls(core, caller, project, page),
  }
}

// ---- by the clock ----

/** A work that runs again and again, one run at a time. */
interface Repeated {
  /** Now as well, and does not wait for it. */
  begin(): void
  /** Waits for a run that is under way, which is told that it is over. */
  stop(): Promise<void>
}

function every(
  ms: number,
  work: (isOver: () => boolean) => Promise<unknown>,
  log: OpenOptions['log'] & {},
): Repeated {
  let running: Promise<unknown> = Promise.resolve()
  let isStopped = false
  const begin = () => {
    running = running
      .then(() => (isStopped ? undefined : work(() => isStopped)))
      .catch((error: unknown) => log('warn', 'work by the clock waits', { error: String(error) }))
  }
  const timer = setInterval(begin, ms)
  timer.unref()
  return {
    begin,
    stop: async () => {
      isStopped = true
      clearInterval(timer)
      await running
    },
  }
}

function forgetPause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, FORGET_PAUSE_MS))
}

/** Carries out every timed transition that is due; exported for tests with a clock of their own. */
export async function resolveDue(
  core: Pick<Core, 'database' | 'writer' | 'now' | 'onMessages'>,
): Promise<void> {
  const due = await core.database.transaction(() => dueIncidents(core.now().toISOString()), {
    rollback: true,
  })
  if (due.length === 0) return
  await core.writer.submit({
    kind: 'work',
    *run(context) {
      const picture = new Picture()
      const projects = yield* loadProjects(
        picture,
        due.map((incident) => incident.project_id),
      )
      const ids = due.filter((incident) => projects.has(incident.project_id)).map(({ id }) => id)
      for (const incident of yield* incidentsByIds(ids)) picture.addIncident(incident)
      for (const incident of picture.incidents.values()) resolveWhenDue(picture, incident, context)
      yield* saveDecision(core, picture, projects, context)
    },
  })
}
