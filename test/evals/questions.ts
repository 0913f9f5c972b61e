/** What a user asks, and the first call a good assistant makes: tool and the arguments that matter. Null: no tool fits. */
export interface Question {
  ask: string
  tool: string | null
  /** Each has to be among the arguments of the call; others may be there too. */
  args?: Record<string, unknown>
}

export const questions: readonly Question[] = [
  // list_incidents
  { ask: 'Is anything on fire right now?', tool: 'list_incidents' },
  { ask: 'Which incidents are open?', tool: 'list_incidents' },
  { ask: 'Show me the critical incidents.', tool: 'list_incidents', args: { severity: ['critical'] } },
  { ask: 'What did we resolve?', tool: 'list_incidents', args: { status: 'resolved' } },
  {
    ask: 'List everything from the last 24 hours, resolved ones too.',
    tool: 'list_incidents',
    args: { status: 'all', since: '24h' },
  },
  {
    ask: 'Which incidents has somebody already acknowledged?',
    tool: 'list_incidents',
    args: { status: 'acknowledged' },
  },
  {
    ask: 'Are there active incidents of the service checkout?',
    tool: 'list_incidents',
    args: { service: 'checkout' },
  },
  {
    ask: 'What has Grafana reported that is still active?',
    tool: 'list_incidents',
    args: { source: 'grafana' },
  },
  {
    ask: 'Find the incident about the payment gateway.',
    tool: 'list_incidents',
    args: { query: 'payment gateway' },
  },
  {
    ask: 'Give me INC-004 and INC-009 in one list.',
    tool: 'list_incidents',
    args: { ids: ['INC-004', 'INC-009'] },
  },
  {
    ask: 'Just the five newest incidents, whatever their status.',
    tool: 'list_incidents',
    args: { status: 'all', limit: 5 },
  },
  {
    ask: 'How many high severity incidents are open, not acknowledged?',
    tool: 'list_incidents',
    args: { status: 'open', severity: ['high'] },
  },
  {
    ask: 'What happened in the project staging this week?',
    tool: 'list_incidents',
    args: { project: 'staging', since: '7d' },
  },
  {
    ask: 'Did Sentry report anything critical or high since 2026-11-01?',
    tool: 'list_incidents',
    args: { source: 'sentry', severity: ['critical', 'high'] },
  },

  // get_incident
  { ask: 'What happened in INC-042?', tool: 'get_incident', args: { incidentId: 'INC-042' } },
  { ask: 'Show me the timeline of INC-007.', tool: 'get_incident', args: { incidentId: 'INC-007' } },
  { ask: 'Who acknowledged INC-012 and when?', tool: 'get_incident', args: { incidentId: 'INC-012' } },
  {
    ask: 'Why did Tocsin put the alert into INC-003 instead of opening a new incident?',
    tool: 'get_incident',
    args: { incidentId: 'INC-003' },
  },
  {
    ask: 'Which signals are still firing in INC-015?',
    tool: 'get_incident',
    args: { incidentId: 'INC-015' },
  },
  { ask: 'What stack trace came with INC-021?', tool: 'get_incident', args: { incidentId: 'INC-021' } },
  {
    ask: 'Which values did Grafana send for INC-030?',
    tool: 'get_incident',
    args: { incidentId: 'INC-030' },
  },
  {
    ask: 'Give me the raw evidence of incident 019b0000-0000-7000-8000-000000000001.',
    tool: 'get_incident',
    args: { incidentId: '019b0000-0000-7000-8000-000000000001' },
  },

  // update_incident
  {
    ask: 'Acknowledge INC-042 for me.',
    tool: 'update_incident',
    args: { incidentId: 'INC-042', action: 'acknowledge' },
  },
  {
    ask: "I'm on INC-008, let the others know.",
    tool: 'update_incident',
    args: { incidentId: 'INC-008', action: 'acknowledge' },
  },
  {
    ask: 'Resolve INC-017, the deploy was rolled back. I confirm.',
    tool: 'update_incident',
    args: { incidentId: 'INC-017', action: 'resolve' },
  },
  {
    ask: 'Close INC-002, yes I am sure.',
    tool: 'update_incident',
    args: { incidentId: 'INC-002', action: 'resolve' },
  },
  {
    ask: 'INC-017 is back, open it again.',
    tool: 'update_incident',
    args: { incidentId: 'INC-017', action: 'reopen' },
  },
  {
    ask: 'Note on INC-005: waiting for the network team.',
    tool: 'update_incident',
    args: { incidentId: 'INC-005', action: 'note' },
  },
  {
    ask: 'Write into the timeline of INC-011 that we scaled to six workers.',
    tool: 'update_incident',
    args: { incidentId: 'INC-011', action: 'note' },
  },
  {
    ask: 'Acknowledge INC-044 and say that Ana is looking.',
    tool: 'update_incident',
    args: { incidentId: 'INC-044', action: 'acknowledge' },
  },

  // draft_postmortem
  { ask: 'Draft a post-mortem for INC-042.', tool: 'draft_postmortem', args: { incidentId: 'INC-042' } },
  {
    ask: 'Write up INC-013 in brief.',
    tool: 'draft_postmortem',
    args: { incidentId: 'INC-013', template: 'brief' },
  },
  {
    ask: 'Do a five whys for INC-019.',
    tool: 'draft_postmortem',
    args: { incidentId: 'INC-019', template: 'five_whys' },
  },
  {
    ask: 'I need a customer-facing report of INC-023.',
    tool: 'draft_postmortem',
    args: { incidentId: 'INC-023', audience: 'customer' },
  },
  {
    ask: 'How long did it take us to acknowledge and resolve INC-031? Put it into a post-mortem.',
    tool: 'draft_postmortem',
    args: { incidentId: 'INC-031' },
  },
  {
    ask: 'Prepare the retrospective of INC-006 with its open questions.',
    tool: 'draft_postmortem',
    args: { incidentId: 'INC-006' },
  },
  {
    ask: 'Short post-mortem of INC-050 for customers.',
    tool: 'draft_postmortem',
    args: { incidentId: 'INC-050', template: 'brief', audience: 'customer' },
  },

  // get_webhook_url
  { ask: "What's the webhook URL for Sentry?", tool: 'get_webhook_url', args: { source: 'sentry' } },
  {
    ask: 'Where does Alertmanager have to send to?',
    tool: 'get_webhook_url',
    args: { source: 'alertmanager' },
  },
  {
    ask: 'How do I connect Grafana? Step by step please.',
    tool: 'get_webhook_url',
    args: { source: 'grafana', format: 'setup' },
  },
  { ask: 'List all webhook addresses of the project.', tool: 'get_webhook_url' },
  {
    ask: 'When did Better Stack last send something?',
    tool: 'get_webhook_url',
    args: { source: 'betterstack' },
  },
  {
    ask: 'Why are the webhooks from Grafana rejected?',
    tool: 'get_webhook_url',
    args: { source: 'grafana' },
  },
  { ask: 'Is webhook ingestion enabled?', tool: 'get_webhook_url' },
  { ask: 'Which monitoring tools are not configured yet?', tool: 'get_webhook_url' },
  {
    ask: 'How can I test the generic webhook?',
    tool: 'get_webhook_url',
    args: { source: 'generic', format: 'setup' },
  },

  // configure_webhook
  {
    ask: 'Create a webhook source for Grafana. Go ahead.',
    tool: 'configure_webhook',
    args: { source: 'grafana' },
  },
  {
    ask: 'Rotate the secret of the Grafana webhook, I approve.',
    tool: 'configure_webhook',
    args: { source: 'grafana', secretAction: 'rotate' },
  },
  {
    ask: 'Rotate the Sentry secret now and keep the old one valid for an hour. Approved.',
    tool: 'configure_webhook',
    args: { source: 'sentry', secretAction: 'rotate', graceMinutes: 60 },
  },
  {
    ask: 'Disable the generic webhook. Yes, really.',
    tool: 'configure_webhook',
    args: { source: 'generic', enabled: false },
  },
  {
    ask: 'Switch the Better Stack source back on, confirmed.',
    tool: 'configure_webhook',
    args: { source: 'betterstack', enabled: true },
  },
  {
    ask: 'Alerts of the generic source without severity should count as high. Please set that.',
    tool: 'configure_webhook',
    args: { source: 'generic', severityDefault: 'high' },
  },
  {
    ask: 'What would change if I rotated the Alertmanager secret? Do not do it.',
    tool: 'configure_webhook',
    args: { source: 'alertmanager', secretAction: 'rotate', dryRun: true },
  },
  {
    ask: 'Add a second Grafana source called Staging, go ahead.',
    tool: 'configure_webhook',
    args: { source: 'Staging', provider: 'grafana' },
  },
  {
    ask: 'Sentry gave me a client secret that I have to enter. Set that up, I approve.',
    tool: 'configure_webhook',
    args: { source: 'sentry', secretAction: 'enter' },
  },
  {
    ask: 'Stop receiving webhooks for the whole project. I am the admin and confirm.',
    tool: 'configure_webhook',
    args: { enabled: false },
  },

  // no tool fits
  { ask: 'Restart the checkout pod.', tool: null },
  { ask: 'Roll back the last deployment.', tool: null },
  { ask: 'Who is on call tonight?', tool: null },
  { ask: 'Page the database team.', tool: null },
  { ask: 'Delete INC-042.', tool: null },
  { ask: 'What is the weather in Berlin?', tool: null },
  { ask: 'Silence the CPU alert in Grafana for two hours.', tool: null },
  { ask: 'Create an API key for my colleague.', tool: null },
  { ask: 'Tail the logs of the payment service.', tool: null },
  { ask: 'Merge INC-003 into INC-002.', tool: null },
  { ask: 'Set the webhook secret of Grafana to hunter2.', tool: null },
  { ask: 'Run a SQL query for all failed orders.', tool: null },
]
