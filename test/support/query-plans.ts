import Sqlite from 'better-sqlite3'

/** Notes every SQL text that connections to SQLite prepare while it runs: once per connection. */
export async function preparedBy(run: () => Promise<void>): Promise<Set<string>> {
  const seen = new Set<string>()
  const { prepare } = Sqlite.prototype
  Sqlite.prototype.prepare = function (this: Sqlite.Database, text: string) {
    seen.add(text)
    return prepare.call(this, text)
  } as typeof prepare
  await run().finally(() => {
    Sqlite.prototype.prepare = prepare
  })
  return seen
}

/** The tables that some of these statements walk through from end to end, and how many statements there were. */
export function explain(url: string, texts: ReadonlySet<string>): { scans: string[]; explained: number } {
  const database = new Sqlite(url.replace('sqlite:', ''), { readonly: true })
  const tables = database
    .prepare<[], string>(
      "select name from sqlite_schema where type = 'table' and name not like '%migration%'",
    )
    .pluck()
    .all()
  const scans: string[] = []
  let explained = 0
  for (const text of texts) {
    if (!/^(select|update|delete|with)/.test(text.trim()) || /sqlite_|pragma/.test(text)) continue
    explained += 1
    const plan = database
      .prepare(`explain query plan ${text}`)
      .all(Array<unknown>(text.split('?').length - 1).fill(/json_each/.test(text) ? '[]' : null)) as {
      detail: string
    }[]
    for (const { detail } of plan) {
      // Lists of parameters and the results of subqueries are walked, never a table.
      const name = detail.match(/^SCAN (\w+)/)?.[1]
      const table = name && (text.match(new RegExp(`"?(\\w+)"? as "?${name}\\b`))?.[1] ?? name)
      if (table && tables.includes(table)) scans.push(`${detail}: ${text}`)
    }
  }
  database.close()
  return { scans, explained }
}
