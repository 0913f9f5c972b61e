import { eventRow } from '../../../core/store/event.ts'
import { incidentRow } from '../../../core/store/incident.ts'
import { occurrenceRow } from '../../../core/store/occurrence.ts'
import type { Story } from '../../../core/store/story.ts'
import type { Project } from '../matcher/harness.ts'

/** The story of an incident of a project in memory, as the store would answer it. */
export function storyOf(project: Project, number: number): Story {
  const { picture } = project
  const incident = project.state(number)
  const stored = picture.events.map((event) => ({
    ...eventRow(event, 0),
    id: long(event.id),
  })) as Story['events']
  // A waiting recovery joins the incident of its fire when that comes (R5).
  const joined = new Map(picture.usedOrphans.map((orphan) => [long(orphan.eventId), orphan.incidentId]))
  const events = stored.filter((event) => (joined.get(event.id) ?? event.incident_id) === incident.id)
  const members = project.all().filter((o) => o.incidentId === incident.id && o.firedAt !== null)
  const occurrences = members
    .map((o) => ({
      ...(occurrenceRow(o, null) as Omit<Story['occurrences'][number], 'title' | 'monitor_name'>),
      title: picture.signals.get(o.signalId)!.title,
      monitor_name: null,
    }))
    .sort((a, b) => (`${a.fired_at} ${long(a.id)}` < `${b.fired_at} ${long(b.id)}` ? -1 : 1))
  const sources = [...new Set(events.map((event) => event.source_id))].sort()
  return {
    incident: incidentRow(incident, { chunk: 0, occurrence_chunk: 0 }) as Story['incident'],
    occurrences,
    events,
    timeline: picture.timeline
      .filter((entry) => entry.incidentId === incident.id)
      .map((entry) => ({
        id: long(entry.id),
        project_id: entry.projectId,
        incident_id: entry.incidentId,
        at: entry.at,
        kind: entry.kind,
        sequence: entry.sequence,
        actor: JSON.stringify(entry.actor),
        text: entry.text,
        request_id: entry.requestId,
        event_ids: JSON.stringify(entry.eventIds.map(long)),
        chunk: 0,
      })),
    sources: sources.map((id) => ({
      id,
      adapter: 'generic',
      name: id,
      events: events.filter((event) => event.source_id === id).length,
    })),
    totals: {
      events: events.length,
      requests: new Set(events.map((event) => event.request_id)).size,
      duplicates: 0,
      occurrences: occurrences.length,
      signals: new Set(occurrences.map((o) => o.signal_id)).size,
    },
    earlier: [...picture.incidents.values()]
      .filter((other) => other.number < number)
      .sort((a, b) => b.number - a.number)
      .map(({ id, number, title }) => ({
        id: long(id),
        number,
        title,
        signalIds: [
          ...new Set(
            project
              .all()
              .flatMap((o) =>
                o.incidentId === id && occurrences.some((own) => own.signal_id === o.signalId)
                  ? [o.signalId]
                  : [],
              ),
          ),
        ],
      })),
  }
}

/** Ids of the harness, in the form that texts are searched for. */
function long(id: string): string {
  return `00000000-0000-7000-8000-${id.replace('id', '').padStart(12, '0')}`
}
