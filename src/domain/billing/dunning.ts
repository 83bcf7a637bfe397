import type { Sql } from '../../kit/sql.ts'
import type { InvoiceView } from './reads.ts'

/**
 * Days after the first try to collect that each further one is made. After the last it stays overdue, for a person to write
 * to its customer or to write it off.
 */
export const DUNNING_DAYS = [2, 7, 14, 21] as const

const DAY_MS = 86_400_000

/** When it is collected next, after `step` tries beyond the first; undefined when that was the last. */
export function nextDunning(step: number, now: Date): Date | undefined {
  const day = DUNNING_DAYS[step]
  if (day === undefined) return undefined
  const before = step === 0 ? 0 : (DUNNING_DAYS[step - 1] ?? 0)
  return new Date(now.getTime() + (day - before) * DAY_MS)
}

/**
 * Writes down that collecting failed, and when it is tried again: never where the same instrument will never do. Answers with
 * that time. The invoice must be locked.
 */
export async function collectionFailed(
  { sql, now }: { readonly sql: Sql; readonly now: Date },
  invoice: InvoiceView,
  why: { readonly hard: boolean; readonly message: string },
): Promise<Date | undefined> {
  if (invoice.status !== 'open') return undefined
  const next = why.hard ? undefined : nextDunning(invoice.dunningStep, now)
  await sql.query(
    `update invoice set last_failure = $2, dunning_at = $3::timestamptz, dunning_step = dunning_step + case when $3::timestamptz is null then 0 else 1 end
     where id = $1`,
    [invoice.id, why.message, next ?? null],
  )
  return next
}

/**
 * Goes on collecting what is overdue when a person has decided about a payment that had stopped it, and money is missing
 * still. The invoice must be locked.
 */
export async function resumeDunning(
  desk: { readonly sql: Sql; readonly now: Date },
  invoice: InvoiceView,
): Promise<void> {
  if (!invoice.overdue || invoice.dunningAt !== null) return
  await collectionFailed(desk, invoice, { hard: false, message: invoice.lastFailure ?? '' })
}

/** Before the same invoice is asked for again, should this time be lost: hours. */
const AGAIN_HOURS = 12

/** Open invoices whose turn has come, with the next one put off: whoever collects says when that really is. */
export async function takeDunning(sql: Sql, { now, limit }: { now: Date; limit: number }): Promise<number[]> {
  const rows = await sql.query<{ id: string }>(
    `with due as (
       select id from invoice where dunning_at <= $1 order by dunning_at limit $2 for no key update skip locked
     )
     update invoice set dunning_at = $1::timestamptz + make_interval(hours => ${AGAIN_HOURS})
     from due where invoice.id = due.id and status = 'open' returning invoice.id`,
    [now, limit],
  )
  return rows.map(({ id }) => Number(id))
}

/** Marks open invoices whose last day is over: from now on they are collected. Answers how many. */
export async function markOverdue(
  sql: Sql,
  { before, now, limit }: { before: Date; now: Date; limit: number },
): Promise<number> {
  const rows = await sql.query(
    `with late as (
       select id from invoice where status = 'open' and not overdue and due_at < $1 order by due_at limit $2
       for no key update skip locked
     )
     update invoice set overdue = true, dunning_at = coalesce(dunning_at, $3)
     from late where invoice.id = late.id and status = 'open' returning 1`,
    [before, limit, now],
  )
  return rows.length
}
