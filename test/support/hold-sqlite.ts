import Sqlite from 'better-sqlite3'

/** Holds the write lock of a database file as another process would. Answers how to give it back. */
export function holdSqlite(path: string): () => void {
  const db = new Sqlite(path, { timeout: 5_000 })
  db.exec('begin immediate')
  return () => {
    if (!db.open) return
    db.exec('rollback')
    db.close()
  }
}
