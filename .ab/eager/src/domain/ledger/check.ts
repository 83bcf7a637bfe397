import { assert } from '../../kit/assert.ts'
import type { Sql } from '../../kit/sql.ts'
import { movements, type PurposeRules, purposes } from './movements.ts'
import { verifyBlocks } from './seal.ts'

/** One thing that is wrong in the books. */
export interface Finding {
  readonly check: CheckName
  readonly message: string
  readonly account?: string
  readonly transfer?: string
  readonly block?: string
}

export interface CheckReport {
  readonly check: CheckName
  /** At most MAX_FINDINGS of them. */
  readonly findings: readonly Finding[]
  /** How many there are in all. */
  readonly total: number
  readonly tookMs: number
}

export interface CheckOptions {
  readonly purposes?: Readonly<Record<string, PurposeRules>>
  /** How long something may stay on an account that returns to zero, in milliseconds. */
  readonly maxStayMs?: number
}

/** Per check: enough to see what is wrong, few enough to read. */
export const MAX_FINDINGS = 100

/** Gateways settle within days; what has stayed on a clearing account for longer needs a person. */
const MAX_STAY_MS = 7 * 24 * 3_600_000

/** A check reads every transfer once or twice. At a few million in a second, an hour is far above any sound ledger. */
const STATEMENT_TIMEOUT_MS = 3_600_000

/** For sorting and hashing tens of millions of rows without many passes over the disk; a check runs alone. */
const WORK_MEM = '256MB'

/**
 * One snapshot for all checks, so that they speak of the same moment and wait for nobody. Wants a transaction that has
 * just begun and has not read anything yet.
 */
export async function inSnapshot<Result>(sql: Sql, work: () => Promise<Result>): Promise<Result> {
  await sql.query('set transaction isolation level repeatable read, read only')
  const [session] = await sql.query<{ isolation: string }>(
    `select current_setting('transaction_isolation') as isolation,
       set_config('work_mem', $1, true), set_config('statement_timeout', $2, true)`,
    [WORK_MEM, `${STATEMENT_TIMEOUT_MS}`],
  )
  assert(session?.isolation === 'repeatable read', 'A snapshot wants a transaction around it')
  return await work()
}

/** What is wrong in the books: nothing, in a sound ledger. To be called inside `inSnapshot`. */
export async function checkLedger(sql: Sql, now: Date, options: CheckOptions = {}): Promise<Finding[]> {
  return (await examineLedger(sql, now, options)).flatMap(({ findings }) => findings)
}

/** The same, check by check, with counts and times. */
export async function examineLedger(sql: Sql, now: Date, options: CheckOptions = {}): Promise<CheckReport[]> {
  const reports: CheckReport[] = []
  for (const check of checkNames) {
    const startedAt = performance.now()
    const { findings, total } = check === 'blocks' ? await examineBlocks(sql) : await examine(sql, check, now, options)
    reports.push({ check, findings, total, tookMs: Math.round(performance.now() - startedAt) })
  }
  return reports
}

/** What each check makes sure of. */
export const checks = {
  balances: 'every balance is what its transfers add up to',
  assets: 'the balances of every asset add up to zero',
  holds: 'what is held is what open holds add up to',
  entries: 'running balances and entry numbers go on without a break, up to the balance of the account',
  stays: 'what comes into an account that returns to zero leaves it in time',
  movements: 'every transfer is a permitted movement between two accounts of its asset',
  limits: 'no account is below its floor, and closed ones are empty',
  blocks: 'sealed blocks hold what was sealed',
} as const

export type CheckName = keyof typeof checks

const checkNames = Object.keys(checks) as CheckName[]

interface FindingRow {
  account: string | null
  transfer: string | null
  message: string
  total: string
}

async function examine(sql: Sql, check: Exclude<CheckName, 'blocks'>, now: Date, options: CheckOptions) {
  const { text, parameters } = statements[check](now, options)
  const rows = await sql.query<FindingRow>(
    `select finding.*, count(*) over () as total from (${text}) as finding (account, transfer, message)
     order by account, transfer limit ${MAX_FINDINGS}`,
    parameters,
  )
  const findings = rows.map(
    ({ account, transfer, message }): Finding => ({
      check,
      message,
      ...(account === null ? {} : { account }),
      ...(transfer === null ? {} : { transfer }),
    }),
  )
  return { findings, total: Number(rows[0]?.total ?? 0) }
}

async function examineBlocks(sql: Sql) {
  const broken = await verifyBlocks(sql, MAX_FINDINGS)
  const findings = broken.blocks.map(
    ({ number, message }): Finding => ({ check: 'blocks', block: `${number}`, message }),
  )
  return { findings, total: broken.total }
}

interface Statement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** Each answers with account, transfer and message of what is wrong, in one pass over the tables. */
const statements: Record<Exclude<CheckName, 'blocks'>, (now: Date, options: CheckOptions) => Statement> = {
  balances: () => ({
    text: `
      select account.id, null::uuid, format('the balance is %s, but the transfers add up to %s',
        account.balance + coalesce(delta.amount, 0), coalesce(moved.amount, 0))
      from account
      left join (select account_id, sum(amount) as amount from account_delta group by account_id) delta
        on delta.account_id = account.id
      left join (
        select account_id, sum(amount) as amount
        from (
          select debit_id as account_id, -amount as amount from transfer
          union all
          select credit_id, amount from transfer
        ) side group by account_id
      ) moved on moved.account_id = account.id
      where account.balance + coalesce(delta.amount, 0) <> coalesce(moved.amount, 0)`,
    parameters: [],
  }),

  assets: () => ({
    text: `
      select null::uuid, null::uuid, format('all balances of %s add up to %s', account.asset,
        sum(account.balance) + coalesce(sum(delta.amount), 0))
      from account
      left join (select account_id, sum(amount) as amount from account_delta group by account_id) delta
        on delta.account_id = account.id
      group by account.asset
      having sum(account.balance) + coalesce(sum(delta.amount), 0) <> 0`,
    parameters: [],
  }),

  holds: () => ({
    text: `
      select account.id, null::uuid,
        format('%s is held, but the open holds add up to %s', account.held, coalesce(open.amount, 0))
      from account
      left join (select account_id, sum(amount) as amount from hold where status = 'held' group by account_id) open
        on open.account_id = account.id
      where account.held <> coalesce(open.amount, 0)`,
    parameters: [],
  }),

  // On our own accounts nothing is numbered, since nobody waits for the number before: there the count must be right.
  entries: () => ({
    text: `
      select account.id, step.transfer,
        case
          when step.entry is null then format('%s entries and a balance of %s, but no transfers', account.entries, account.balance)
          when step.entry <> step.entry_before + 1 then format('entry %s follows entry %s', step.entry, step.entry_before)
          when step.balance <> step.balance_before + step.change
            then format('entry %s takes the balance from %s to %s by %s', step.entry, step.balance_before, step.balance, step.change)
          else format('the last entry is %s with a balance of %s, but the account has %s entries and a balance of %s',
            step.entry, step.balance, account.entries, account.balance)
        end
      from account
      left join (
        select account_id, transfer, entry, balance, change,
          lag(entry, 1, 0::bigint) over numbered as entry_before,
          lag(balance, 1, 0::bigint) over numbered as balance_before,
          lead(entry) over numbered is null as last
        from (
          select debit_id as account_id, id as transfer, debit_entry as entry, debit_balance as balance, -amount as change
          from transfer where debit_entry is not null
          union all
          select credit_id, id, credit_entry, credit_balance, amount from transfer where credit_entry is not null
        ) side
        window numbered as (partition by account_id order by entry)
      ) step on step.account_id = account.id
      where account.floor is not null
        and (
          (step.entry is null and (account.entries <> 0 or account.balance <> 0))
          or step.entry <> step.entry_before + 1
          or step.balance <> step.balance_before + step.change
          or (step.last and (step.entry <> account.entries or step.balance <> account.balance))
        )
      union all
      select account.id, null::uuid, format('%s entries are counted, but there are %s transfers',
        account.entries + coalesce(delta.entries, 0), coalesce(seen.entries, 0))
      from account
      left join (select account_id, sum(entries) as entries from account_delta group by account_id) delta
        on delta.account_id = account.id
      left join (
        select account_id, count(*) as entries
        from (
          select debit_id as account_id from transfer where debit_entry is null
          union all
          select credit_id from transfer where credit_entry is null
        ) side group by account_id
      ) seen on seen.account_id = account.id
      where account.floor is null and account.entries + coalesce(delta.entries, 0) <> coalesce(seen.entries, 0)`,
    parameters: [],
  }),

  // First in, first out: when the balance is more than came in lately, some of it has been there for longer.
  stays: (now, options) => ({
    text: `
      select account.id, null::uuid, format('%s of %s has been there since before %s',
        abs(standing.balance) - coalesce(recent.amount, 0), standing.balance, $2::timestamptz)
      from account
      cross join lateral (
        select account.balance + coalesce((select sum(amount) from account_delta where account_id = account.id), 0) as balance
      ) standing
      left join (
        select account_id, direction, sum(amount) as amount
        from (
          select debit_id as account_id, -1 as direction, amount from transfer where posted_at > $2
          union all
          select credit_id, 1, amount from transfer where posted_at > $2
        ) side group by account_id, direction
      ) recent on recent.account_id = account.id and recent.direction = sign(standing.balance)
      where account.purpose = any($1::text[]) and abs(standing.balance) > coalesce(recent.amount, 0)`,
    parameters: [
      Object.entries<PurposeRules>(options.purposes ?? purposes)
        .filter(([, rules]) => rules.returnsToZero)
        .map(([purpose]) => purpose),
      new Date(now.getTime() - (options.maxStayMs ?? MAX_STAY_MS)),
    ],
  }),

  movements: () => ({
    text: `
      select null::uuid, transfer.id,
        case
          when permitted.movement is null then format('there is no movement %s', transfer.movement)
          when debit.id is null then format('its debit account %s is not there', transfer.debit_id)
          when credit.id is null then format('its credit account %s is not there', transfer.credit_id)
          when permitted.debit <> debit.purpose or permitted.credit <> credit.purpose
            then format('%s moved from %s to %s', transfer.movement, debit.purpose, credit.purpose)
          when transfer.asset <> debit.asset or transfer.asset <> credit.asset
            then format('%s moved from %s to %s', transfer.asset, debit.asset, credit.asset)
          else 'a side is numbered on a platform account, or is not on another'
        end
      from transfer
      left join account debit on debit.id = transfer.debit_id
      left join account credit on credit.id = transfer.credit_id
      left join unnest($1::text[], $2::text[], $3::text[]) as permitted (movement, debit, credit)
        on permitted.movement = transfer.movement
      where permitted.movement is null or debit.id is null or credit.id is null
        or permitted.debit <> debit.purpose or permitted.credit <> credit.purpose
        or transfer.asset <> debit.asset or transfer.asset <> credit.asset
        or (transfer.debit_entry is null) <> (debit.floor is null)
        or (transfer.credit_entry is null) <> (credit.floor is null)`,
    parameters: [
      Object.keys(movements),
      Object.values(movements).map(({ debit }) => debit),
      Object.values(movements).map(({ credit }) => credit),
    ],
  }),

  limits: () => ({
    text: `
      select id, null::uuid,
        case
          when closed then format('closed with a balance of %s, %s held', balance, held)
          else format('a balance of %s, %s held, is below its floor of %s', balance, held, floor)
        end
      from account where balance - held < floor or (closed and (balance <> 0 or held <> 0))`,
    parameters: [],
  }),
}
