/** Words that are no names, for telling names in prose. Not complete, and it need not be: an unknown one is flagged. */

/** Capitals that any report may use. */
export const CAPITALS = words(`
  I UTC GMT API HTTP HTTPS CPU RAM DNS TLS SSL SQL URL UI ID OK TCP UDP IP VPN CDN SLA SLO SRE P50 P95 P99 JSON YAML CI CD
  Tocsin Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August
  September October November December Owner Due Answer Hypothesis TODO TBD Yes No
`)

/** Begin a sentence before a verb or a name. */
export const OPENERS = words(`
  on in at by after before during since until while because as if from with without for to of under over between
  later next however therefore thus so but and or also still yet instead meanwhile finally afterwards once only even
  the a an no not our my your his her its their thanks see
  why how when where did does do was were has had is are can could may
  it this that these those they we he she you who what which nobody somebody everybody everyone anyone something nothing
  everything there all both each some many most several few one none another others here then
  alerts alert monitoring monitors monitor signals signal sources source services service customers customer users user
  people engineers engineer team teams operators support traffic requests request errors error latency load checks check
  responses response retries timeouts deployment deployments release releases rollback rollout change changes fix
  recovery recoveries detection acknowledgement resolution response impact severity duration incident outage problem
  cause causes factor factors hypothesis hypotheses evidence records record note notes firing firings sender senders
  event events system systems database databases server servers action actions work help communication
  none more less same first second third last
`)

/** Joined by a dash, and no name. */
export const JOINED = words(`
  follow-up follow-ups post-mortem post-mortems on-call root-cause long-term short-term real-time end-to-end roll-back
  roll-out co-firing well-known high-level low-level by-hand re-opened re-open re-deployed non-critical up-to-date
  third-party read-only step-by-step so-called self-healing fail-over time-out time-outs back-end front-end day-to-day
  critical-severity high-severity medium-severity low-severity
  and/or he/she either/or his/her i.e e.g etc
`)

/** Stand before "service", "monitor" and the like without naming one. */
export const KINDS = words(`
  the a an this that these those its their our your each every any no some all one other another same affected named
  which what whose and or of in by for to from with external internal central main whole single customer-facing failing
  sentry on-call first second last new old monitoring monitored web second-line response incident support product
  more responsible own
`)

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
