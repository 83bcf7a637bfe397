import { newId } from '../../kit/ids.ts'
import { isAsset, toDecimal } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Finding, type Side, type Verb, type VerdictName, verdicts } from './finding.ts'
import type { Outcome } from './run.ts'

/**
 * Every line beside the attempt that it is about, and every attempt of the period that no line is about. A line belongs to an
 * attempt by what the gateway calls the money, else by our reference, else by what it called the open charge. Of several
 * lines for one attempt (a customer who tried three cards) the one that moved its money speaks for it, or the one that is
 * furthest; other charges that succeeded stand beside it, since they were paid a second time.
 */
const PAIRS = `
  run as (select * from reconciliation where id = $1),
  line as (
    select line.*, coalesce(moved.id, meant.id, known.id) as attempt_id
    from reconciliation_line line cross join run
    left join lateral (
      select id from gateway_attempt
      where gateway = run.gateway and verb = line.type and moved_id = line.gateway_id order by position limit 1
    ) moved on true
    left join lateral (
      select id from gateway_attempt
      where moved.id is null and gateway = run.gateway and verb = line.type
        and id = case when line.reference ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then line.reference::uuid end
    ) meant on true
    left join lateral (
      select id from gateway_attempt
      where moved.id is null and meant.id is null
        and gateway = run.gateway and verb = line.type and gateway_id = line.gateway_id order by position limit 1
    ) known on true
    where line.reconciliation_id = $1
  ),
  ranked as (
    select line.*, row_number() over (
      partition by attempt_id
      order by coalesce(line.gateway_id = attempt.moved_id, false) desc,
        array_position(array['succeeded', 'returned', 'pending', 'failed', 'absent'], line.status), line.gateway_id
    ) as rank
    from line left join gateway_attempt attempt on attempt.id = line.attempt_id
  ),
  pair as (
    select attempt.id, attempt.payment_id, attempt.verb, attempt.status, attempt.amount, attempt.currency, attempt.moved,
      attempt.moved_currency, attempt.moved_id, attempt.gateway_id, attempt.charge_id,
      ranked.type as their_type, ranked.gateway_id as their_id, ranked.reference as their_reference,
      ranked.status as their_status, ranked.amount as their_amount, ranked.currency as their_currency, ranked.asked,
      ranked.rank
    from ranked left join gateway_attempt attempt on attempt.id = ranked.attempt_id
    where ranked.attempt_id is null or ranked.rank = 1 or (ranked.type = 'charge' and ranked.status = 'succeeded')
    union all
    select attempt.id, attempt.payment_id, attempt.verb, attempt.status, attempt.amount, attempt.currency, attempt.moved,
      attempt.moved_currency, attempt.moved_id, attempt.gateway_id, attempt.charge_id,
      null, null, null, null, null, null, false, 1
    from gateway_attempt attempt join run on attempt.gateway = run.gateway
    where attempt.asked_at >= run.from_at and attempt.asked_at < run.until_at
      and not exists (select from line where line.attempt_id = attempt.id)
  )`

/** In which way the two sides of a pair differ, by the names of `verdicts`; null when they agree. */
const VERDICT = `
  case
    when id is null then
      case
        when their_status <> 'succeeded' then null
        -- Stripe charges for invoices under references of its own.
        when exists (
          select from invoice_payment paid
          where paid.gateway = (select gateway from run) and paid.gateway_id = their_id and paid.moved = their_amount
            and paid.moved_currency = their_currency
        ) then null
        when their_reference ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then 'unknown'
        else 'foreign'
      end
    when rank > 1 then 'again'
    when their_type = 'charge' and their_status = 'succeeded' and their_id <> moved_id then 'again'
    when status = 'succeeded' then
      case
        when their_status is null or their_status = 'absent' then 'missing'
        when their_status = 'returned' or (their_status = 'failed' and verb = 'refund') then 'cameBack'
        when their_status <> 'succeeded' then 'status'
        when moved <> their_amount or moved_currency <> their_currency then 'amount'
      end
    when status = 'surplus' then
      case
        when verb <> 'charge' and their_status = 'succeeded' then 'givenUp'
        when moved <> their_amount or moved_currency <> their_currency then 'amount'
      end
    when status in ('returned', 'created') then case when their_status = 'succeeded' then 'status' end
    when status in ('declined', 'not_sent') then
      case when their_status = 'succeeded' then case when verb = 'charge' then 'late' else 'givenUp' end end
    when their_status is null or their_status = 'absent' then case when status <> 'pending' then 'unheard' end
    when their_status = 'pending' then case when status <> 'pending' then 'open' end
    -- A customer whose card was declined may try another one, as long as the charge is open.
    when their_status = 'failed' and verb = 'charge' and status = 'pending' then null
    else 'open'
  end`

/** An attempt that we say was done, and that their list does not confirm. */
export interface Doubt {
  readonly attemptId: string
  readonly verb: Verb
  /** What the gateway calls the money. */
  readonly movedId: string
  readonly chargeId: string | undefined
}

/** The next of them that the gateway has not been asked for. A day's list may lack what was paid the day after. */
export async function doubts(sql: Sql, runId: string, limits: { page: number; all: number }): Promise<Doubt[]> {
  const rows = await sql.query<{ id: string; verb: Verb; moved_id: string; charge_id: string | null }>(
    `with ${PAIRS}
     select id, verb, moved_id, charge_id from pair
     where rank = 1 and not asked and moved_id is not null
       and (status = 'succeeded' or (status = 'surplus' and verb = 'charge'))
       and (their_status is null or their_status in ('pending', 'failed'))
       and (select count(*) from reconciliation_line where reconciliation_id = $1 and reconciliation_line.asked) < $3
     order by id limit $2`,
    [runId, limits.page, limits.all],
  )
  return rows.map(({ id, verb, moved_id, charge_id }) => ({
    attemptId: id,
    verb,
    movedId: moved_id,
    chargeId: charge_id ?? undefined,
  }))
}

/** What one run keeps: what needs a person first. Whoever has more has one cause, and finds it in these. */
export const MAX_FINDINGS = 1_000

interface PairRow {
  verdict: VerdictName
  id: string | null
  payment_id: string | null
  verb: Verb | null
  status: string | null
  amount: string | null
  currency: string | null
  moved: string | null
  moved_currency: string | null
  their_type: Verb | null
  their_id: string | null
  their_status: string | null
  their_amount: string | null
  their_currency: string | null
}

/** Compares both sides, set against set. To be called in one snapshot. */
export async function compare(sql: Sql, runId: string): Promise<Outcome> {
  const [lines] = await sql.query<{ count: string }>(
    'select count(*) from reconciliation_line where reconciliation_id = $1 and not asked',
    [runId],
  )
  const rows = await sql.query<PairRow & { found: string; for_person: string }>(
    `with ${PAIRS}, judged as (select pair.*, ${VERDICT} as verdict from pair)
     select *, count(*) over () as found, count(*) filter (where verdict = any($2)) over () as for_person
     from judged where verdict is not null
     order by verdict = any($2) desc, verdict, id, their_id limit $3`,
    [runId, FOR_PERSON, MAX_FINDINGS],
  )
  const [first] = rows
  return {
    compared: Number(lines?.count ?? 0),
    found: Number(first?.found ?? 0),
    forPerson: Number(first?.for_person ?? 0),
    findings: rows.map(findingOf),
  }
}

const FOR_PERSON = Object.entries(verdicts).flatMap(([name, { forPerson }]) => (forPerson ? [name] : []))

function findingOf(row: PairRow): Finding {
  const { what, done, forPerson, says } = verdicts[row.verdict]
  // Nobody was asked under an attempt that was never sent: there is nothing to look up.
  const looks = done === 'looked_up' && row.id !== null
  return {
    verdict: row.verdict,
    what,
    type: row.verb ?? row.their_type ?? 'charge',
    attempt_id: row.id,
    payment_id: row.payment_id,
    gateway_id: row.their_id,
    ours: row.id === null ? null : side(row.status, row.moved ?? row.amount, row.moved_currency ?? row.currency),
    theirs: row.their_status === null ? null : side(row.their_status, row.their_amount, row.their_currency),
    says,
    done,
    operation_id: looks ? newId() : null,
    for_person: forPerson,
  }
}

const side = (status: string | null, amount: string | null, currency: string | null): Side => ({
  status: status ?? '',
  amount: amount === null || currency === null || !isAsset(currency) ? null : toDecimal(BigInt(amount), currency),
  currency,
})
