import {
  decideRequest,
  type RequestDecision,
  type RequestInput,
} from '../../../core/matcher/decide-request.ts'
import { groupKey } from '../../../core/matcher/group-key.ts'
import {
  acknowledgeByHand,
  openByHand,
  reopenByHand,
  resolveByHand,
  resolveWhenDue,
} from '../../../core/matcher/human.ts'
import { firingCount } from '../../../core/matcher/lifecycle.ts'
import { Picture } from '../../../core/matcher/picture.ts'
import type {
  IncidentState,
  MatchContext,
  MatchEvent,
  MatchPolicy,
  OccurrenceState,
} from '../../../core/matcher/state.ts'
import type { EventKind, Grouping } from '../../../core/types.ts'

/** Times in tests are seconds since noon of one day. */
const NOON = Date.parse('2026-01-05T12:00:00.000Z')

export const MINUTE = 60
export const HOUR = 3600
export const DAY = 86_400

export function iso(seconds: number): string {
  return new Date(NOON + Math.round(seconds * 1000)).toISOString()
}

export function seconds(time: string): number
export function seconds(time: string | null): number | null
export function seconds(time: string | null): number | null {
  return time === null ? null : (Date.parse(time) - NOON) / 1000
}

/** What a sender says, before it arrives anywhere. */
export interface Said {
  source: string
  kind: EventKind
  /** Null: the event joins to nothing. */
  key: string | null
  /** Seconds; 'arrival' where the sender's clock agrees with ours, null where it gives no time. */
  time: number | 'arrival' | null
  /** Whether that time is part of the event's identity (D2). */
  timeIsMoment: boolean
  start?: number
  /** Everything else, as the matcher takes it. */
  fields: Partial<MatchEvent>
}

type Options = Partial<MatchEvent> & { time?: number; start?: number }
type Say = (key: string, options?: Options) => Said

export interface Sender {
  source: string
  fire: Say
  refresh: Say
  recover: Say
  ack: Say
  info: Say
}

/** Like Alertmanager: an episode is named by its start, a recovery has its own time. */
export function withEpisodes(source: string): Sender {
  return sender(source, (kind, key, { time, start = 0, ...fields }) => ({
    time: time ?? (kind === 'fire' ? start : 'arrival'),
    timeIsMoment: true,
    start,
    fields: {
      episode: `e${start}`,
      eventId: `${key} ${kind} ${start}`,
      ...fields,
    },
  }))
}

/** Like Uptime Kuma: every event has a time in its body, nothing names an episode. */
export function withTimes(source: string): Sender {
  return sender(source, (kind, key, { time, ...fields }) => ({
    time: time ?? 'arrival',
    timeIsMoment: true,
    fields: { eventId: `${key} ${kind}`, ...fields },
  }))
}

/** Generic webhooks with an id and no time. */
export function withIds(source: string): Sender {
  return sender(source, (_kind, key, { time, ...fields }) => ({
    time: time ?? null,
    timeIsMoment: time !== undefined,
    fields: { eventId: key, externalId: key, looseRecovery: true, ...fields },
  }))
}

/** Generic webhooks with nothing but a title. */
export function withTitles(source: string): Sender {
  return sender(source, (kind, title, { time, ...fields }) => ({
    time: time ?? null,
    timeIsMoment: time !== undefined,
    fields: {
      anonymous: true,
      looseRecovery: true,
      bodyHash: `${kind} ${title} ${JSON.stringify(fields)}`,
      ...fields,
    },
  }))
}

function sender(
  source: string,
  say: (kind: EventKind, key: string, options: Options) => Omit<Said, 'source' | 'kind' | 'key'>,
): Sender {
  const of =
    (kind: EventKind): Say =>
    (key, options = {}) => ({ source, kind, key, ...say(kind, key, options) })
  return {
    source,
    fire: of('fire'),
    refresh: of('refresh'),
    recover: of('recover'),
    ack: of('ack'),
    info: of('info'),
  }
}

export interface RequestOptions {
  group?: {
    status: 'firing' | 'resolved'
    truncated?: number
    fingerprint?: string
    greatestEndsAt?: number | null
    key?: string
  }
  delivery?: string
  filtered?: string
  freeOfLimit?: boolean
  /** Time of the decision where it is not the arrival, as for a replay. */
  decidedAt?: number
}

const POLICY: MatchPolicy = {
  attachWindowMs: DAY * 1000,
  reopenWindowMs: 5 * MINUTE * 1000,
  manualQuietMs: 5 * MINUTE * 1000,
  resolveGraceMs: 0,
  strictExternalId: false,
  resolveScope: 'signal',
}

export interface ProjectOptions {
  grouping?: Grouping
  groupBy?: string[]
  policy?: Partial<MatchPolicy>
  hourlyLimit?: number
}

const PERSON = { type: 'key', id: 'k1', name: 'Ada' } as const

/** A project in memory: the whole log's picture, and what people and senders do to it. */
export class Project {
  readonly picture = new Picture()
  readonly #options: ProjectOptions
  #ids = 0
  #requests = 0

  constructor(options: ProjectOptions = {}) {
    this.#options = options
    this.picture.addProject({ id: 'p1', logPosition: 0, lastIncidentNumber: 0 })
  }

  /** One request that arrives at a time, with all its events. */
  receive(arrival: number, ...said: Said[]): RequestDecision {
    return this.request(arrival, said)
  }

  request(arrival: number, said: readonly Said[], options: RequestOptions = {}): RequestDecision {
    this.#requests += 1
    const { group } = options
    const sourceId = said[0]?.source ?? 'nobody'
    const senderGroup = group ? `${sourceId}/${group.key ?? 'group'}` : null
    const input: RequestInput = {
      projectId: 'p1',
      sourceId,
      sourceName: sourceId,
      requestId: `r${this.#requests}`,
      receivedAt: iso(arrival),
      delivery: options.delivery
        ? { key: `${sourceId}/${options.delivery}`, windowMs: 72 * HOUR * 1000 }
        : null,
      group: group
        ? {
            key: senderGroup!,
            status: group.status,
            truncated: group.truncated ?? 0,
            fingerprint: group.fingerprint ?? `group of request ${this.#requests}`,
            greatestEndsAt:
              group.greatestEndsAt === undefined || group.greatestEndsAt === null
                ? null
                : iso(group.greatestEndsAt),
          }
        : null,
      filtered: options.filtered ?? null,
      events: said.map((s) => this.#event(s, arrival, senderGroup)),
      hourlyLimit: this.#options.hourlyLimit ?? null,
      freeOfLimit: options.freeOfLimit ?? false,
    }
    return decideRequest(this.picture, input, this.#context(options.decidedAt ?? arrival))
  }

  acknowledge(at: number, number = 1): void {
    acknowledgeByHand(this.picture, this.state(number), PERSON, undefined, this.#context(at))
  }

  /** Answers how many still fired (H1). */
  resolve(at: number, number = 1): number {
    const incident = this.state(number)
    const firing = this.picture.firingOf(incident.id)
    return resolveByHand(this.picture, incident, firing, PERSON, undefined, this.#context(at))
  }

  reopen(at: number, number = 1): void {
    const incident = this.state(number)
    const manual = this.all().filter((o) => o.incidentId === incident.id && o.closedBy === 'manual')
    reopenByHand(this.picture, incident, manual, PERSON, undefined, this.#context(at))
  }

  open(at: number, input: Partial<Parameters<typeof openByHand>[1]> = {}): void {
    openByHand(
      this.picture,
      {
        projectId: 'p1',
        title: 'By hand',
        severity: 'high',
        description: null,
        services: [],
        labels: {},
        drill: false,
        takesAlerts: true,
        ...input,
      },
      PERSON,
      this.#context(at),
    )
  }

  /** What the worker does when the time has come. */
  tick(at: number): void {
    for (const incident of this.picture.incidents.values()) {
      resolveWhenDue(this.picture, incident, this.#context(at))
    }
  }

  /** Occurrences by start, with times in seconds; waiting recoveries are left out. */
  occurrences(): {
    key: string
    incident: number
    firedAt: number
    recoveredAt: number | null
    closedBy: string | null
  }[] {
    return this.all()
      .filter((o) => o.firedAt !== null)
      .map((o) => ({
        key: this.picture.signals.get(o.signalId)!.key,
        incident: this.picture.incidents.get(o.incidentId!)!.number,
        firedAt: seconds(o.firedAt!),
        recoveredAt: seconds(o.recoveredAt),
        closedBy: o.closedBy,
      }))
      .sort((a, b) => a.key.localeCompare(b.key) || a.firedAt - b.firedAt)
  }

  all(): OccurrenceState[] {
    return [...this.picture.occurrencesBySignal.values()].flat()
  }

  incidents(): { number: number; status: string; firing: number; acceptsNew: boolean }[] {
    return [...this.picture.incidents.values()].map((incident) => ({
      number: incident.number,
      status: incident.status,
      firing: firingCount(incident),
      acceptsNew: incident.acceptsNew,
    }))
  }

  state(number = 1): IncidentState {
    return [...this.picture.incidents.values()].find((incident) => incident.number === number)!
  }

  /** Transitions in the order they are sent, such as `INC-1 opened(1)`: the number is the incident's sequence. */
  sent(): string[] {
    return this.picture.timeline
      .filter((entry) => entry.sequence !== null)
      .map((entry) => {
        const { number } = this.picture.incidents.get(entry.incidentId)!
        return `INC-${number} ${entry.kind}(${entry.sequence})`
      })
  }

  timeline(number = 1): { kind: string; text: string; at: number }[] {
    const { id } = this.state(number)
    return this.picture.timeline
      .filter((entry) => entry.incidentId === id)
      .map(({ kind, text, at }) => ({ kind, text, at: seconds(at) }))
  }

  #context(at: number): MatchContext {
    return { newId: () => `id${++this.#ids}`, now: iso(at) }
  }

  #event(said: Said, arrival: number, senderGroup: string | null): MatchEvent {
    const { source, kind, key, fields } = said
    const time = said.time === 'arrival' ? arrival : said.time
    const at = iso(time ?? arrival)
    const drill = fields.drill ?? false
    const title = fields.title ?? key ?? 'A note'
    const labels = fields.labels ?? {}
    const services = fields.services ?? []
    return {
      projectId: 'p1',
      sourceId: source,
      sourceName: source,
      requestId: `r${this.#requests}`,
      kind,
      test: false,
      signalId: key === null ? null : `${source}/${key}/${drill}`,
      signalKey: key,
      anonymous: false,
      looseRecovery: false,
      upsert: false,
      bodyNotRead: false,
      titleHash: title.toLowerCase(),
      episode: null,
      episodeStart: said.start === undefined ? null : iso(said.start),
      reopen: false,
      at,
      timeInferred: time === null,
      backfilled: false,
      firedAt: at,
      receivedAt: iso(arrival),
      moment: said.timeIsMoment && time !== null ? at : null,
      eventId: null,
      bodyHash: '',
      groupKey: groupKey(this.#options.grouping ?? 'project', this.#options.groupBy ?? [], {
        sourceId: source,
        signalKey: key,
        labels,
        services,
        drill,
      }),
      senderGroup,
      policy: { ...POLICY, ...this.#options.policy },
      externalId: null,
      title,
      description: null,
      severity: 'high',
      sourceSeverity: null,
      sourceStatus: null,
      sourceTime: null,
      url: null,
      monitor: { id: null, name: null, url: null },
      services,
      customerImpact: false,
      labels,
      metadata: {},
      drill,
      evidence: null,
      ...fields,
    }
  }
}
