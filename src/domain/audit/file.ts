import { assert } from '../../kit/assert.ts'
import type { Sql } from '../../kit/sql.ts'
import { BEFORE_ALL } from '../ledger/chain.ts'
import { lineOf, type StoredEvent } from './event.ts'

/** A file that takes lines at its end. */
export interface LineFile {
  readonly path: string
  /**
   * Makes sure that `text` follows what was written before, on disk, and answers how large the file is then. What of it is
   * there already, since somebody was stopped in the middle, is not written again.
   */
  append(written: { readonly bytes: number; readonly lastLine: string }, text: string): Promise<number>
}

/** Lines written in one transaction: some 300 KB. */
const MAX_LINES = 1_000

/** Is there anything sealed that this file does not have? */
export async function isBehind(sql: Sql, path: string): Promise<boolean> {
  const [row] = await sql.query<{ behind: boolean }>(
    `select coalesce((select through_id from audit_block order by number desc limit 1), $2)
       > coalesce((select after_id from audit_file where path = $1), $2) as behind`,
    [path, BEFORE_ALL],
  )
  return row?.behind === true
}

/**
 * Appends the next sealed events to the file, each once and in order: the mark's lock lets one process write at a time,
 * and the mark moves only in the transaction that commits after the lines are on disk. Answers how many lines there were,
 * and whether more are waiting.
 */
export async function writeOut(sql: Sql, file: LineFile): Promise<{ lines: number; more: boolean }> {
  await sql.query('insert into audit_file (path, after_id, bytes) values ($1, $2, 0) on conflict do nothing', [
    file.path,
    BEFORE_ALL,
  ])
  const [mark] = await sql.query<{ after_id: string; bytes: string }>(
    'select after_id, bytes from audit_file where path = $1 for update',
    [file.path],
  )
  assert(mark, 'The mark was made above, and nobody removes one')
  const events = await sql.query<StoredEvent>(
    `select id, category, body, audit_hash from audit_event
     where id > $1 and id <= (select through_id from audit_block order by number desc limit 1)
     order by id limit $2`,
    [mark.after_id, MAX_LINES],
  )
  const last = events.at(-1)
  if (last === undefined) return { lines: 0, more: false }
  const [before] = await sql.query<StoredEvent>(
    'select id, category, body, audit_hash from audit_event where id = $1',
    [mark.after_id],
  )
  const written = { bytes: Number(mark.bytes), lastLine: before === undefined ? '' : textOf(before) }
  const bytes = await file.append(written, events.map(textOf).join(''))
  await sql.query('update audit_file set after_id = $2, bytes = $3 where path = $1', [file.path, last.id, bytes])
  return { lines: events.length, more: events.length === MAX_LINES }
}

const textOf = (event: StoredEvent): string => `${JSON.stringify(lineOf(event))}\n`
