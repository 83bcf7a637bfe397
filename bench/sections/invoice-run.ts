import { platformAccount } from '../../src/domain/ledger/platform-accounts.ts'
import { monthStart, nextMonth, plusMonths } from '../../src/kit/months.ts'
import { cpuSeconds } from '../cpu.ts'
import { atLeast, type Measure, median, type Verdict } from '../findings.ts'
import type { InvoiceRunOrder, InvoiceRunReport } from '../invoice-run.ts'
import { ask } from '../processes.ts'
import type { BenchDatabase, Stage } from '../stage.ts'
import type { Section } from './section.ts'

/** Events of each customer in a month. */
const EVENTS = 10

const FIRST_MONTH = '2026-01'

/** From so many on a run is long beside what starts with its worker, and growth can be told. */
const COMPARED = 100_000

/** At most three times as long. Measured ratios have two decimals, so it is rounded up. */
const A_THIRD = 0.34

interface Round {
  readonly seconds: number
  readonly cpu: number
  readonly postgres: number
}

export const invoiceRun: Section = {
  name: 'invoice-run',
  doc: 'A month billed to every customer by one worker, beside one SQL statement written by hand for the same rows',
  async run(stage) {
    const sizes = stage.options.customers.toSorted((a, b) => a - b)
    const measures: Measure[] = []
    const verdicts: Verdict[] = []
    const ours: { size: number; perSecond: number; peakMb: number }[] = []
    for (const size of sizes) {
      // What is compared has rounds; the larger ones show that time and memory do not grow, and have one.
      const { run, statement, peakMb, slopeMb } = await compare(
        stage,
        size,
        size === sizes[0] ? stage.options.rounds : 1,
      )
      ours.push({ size, perSecond: size / run.seconds, peakMb })
      const condition = `${counted(size)} customers, ${EVENTS} events each`
      const growth = size < COMPARED ? '' : `, ${slopeMb.toFixed(1)} MB more for each 100,000`
      const memory = `; at most ${Math.round(peakMb)} MB${growth}`
      measures.push(
        measureOf('invoice run', condition + memory, size, run),
        measureOf('one SQL statement by hand', condition, size, statement),
      )
      verdicts.push(
        atLeast(A_THIRD, {
          id: `invoice-run.${size}`,
          what: `a month billed to ${counted(size)} customers`,
          against: 'one SQL statement by hand for the same invoices, lines, transfers and balances',
          brief: `invoice run of ${counted(size)} beside SQL`,
          measured: statement.seconds / run.seconds,
        }),
      )
    }
    const [small, large] = [ours[0], ours.at(-1)]
    if (small !== undefined && large !== undefined && small.size >= COMPARED && large !== small)
      verdicts.push(
        atLeast(0.8, {
          id: 'invoice-run.linear',
          what: `customers billed per second, ${counted(large.size)} of them`,
          against: `${counted(small.size)} of them`,
          brief: `invoice run, ${large.size / small.size} times as many`,
          measured: large.perSecond / small.perSecond,
        }),
        atLeast(0.8, {
          id: 'invoice-run.memory',
          what: `memory of the worker with ${counted(small.size)} customers`,
          against: `with ${counted(large.size)}`,
          brief: `invoice run, memory of ${large.size / small.size} times as many`,
          measured: small.peakMb / large.peakMb,
        }),
      )
    return { measures, verdicts }
  },
}

/** Both bill the same months of the same customers, each in a database of its own, in turns. */
async function compare(stage: Stage, size: number, rounds: number) {
  const [ours, theirs] = await Promise.all([stage.database(), stage.database()])
  const months = Array.from({ length: rounds }, (_, index) => plusMonths(FIRST_MONTH, index))
  stage.say(`  ${counted(size)} customers and their events are written, twice`)
  for (const database of [ours, theirs]) await seedCustomers(database, size, months)
  const runs: (Round & Pick<InvoiceRunReport, 'peakMb' | 'slopeMb'>)[] = []
  const statements: Round[] = []
  for (const month of months) {
    const before = postgresSeconds(stage)
    const order: InvoiceRunOrder = { period: monthStart(nextMonth(month), 'UTC').toISOString() }
    const report = await ask<InvoiceRunReport>('invoice-run.ts', order, { DATABASE_URL: ours.url })
    if (report.invoices !== size) throw new Error(`${report.invoices} invoices of ${size} customers`)
    runs.push({
      ...{ seconds: report.seconds, cpu: report.cpuSeconds, peakMb: report.peakMb, slopeMb: report.slopeMb },
      postgres: postgresSeconds(stage) - before,
    })
    statements.push(await byHand(stage, theirs, month))
    stage.say(
      `  ${month}: the run ${report.seconds.toFixed(1)} s, ${Math.round(report.peakMb)} MB; the statement ${statements.at(-1)?.seconds.toFixed(1)} s`,
    )
  }
  await sameBooks(ours, theirs)
  await Promise.all([ours.drop(), theirs.drop()])
  return {
    run: medianOf(runs),
    statement: medianOf(statements),
    peakMb: Math.max(...runs.map((round) => round.peakMb)),
    slopeMb: median(runs.map((round) => round.slopeMb)),
  }
}

/** Events stand in the order in which they happened, as they come: those of one customer far from each other. */
async function seedCustomers({ client }: BenchDatabase, size: number, months: readonly string[]): Promise<void> {
  // What is lost when the machine fails can be written again.
  await client.query('set synchronous_commit = off')
  await client.query(
    `insert into billing_customer (id, plan, currency, starts_on, created_at)
     select 'user_' || lpad(n::text, 8, '0'), 'pro', 'USD', '2025-01-01', now() from generate_series(1, $1::int) n`,
    [size],
  )
  // Millions of rows are written before their indexes, which takes a fraction of the time.
  const { rows: indexes } = await client.query<{ indexname: string; indexdef: string }>(
    `select indexname, indexdef from pg_indexes where tablename = 'usage_event'`,
  )
  for (const { indexname } of indexes) await client.query(`drop index ${indexname}`)
  for (const month of months)
    await client.query(
      `insert into usage_event (customer_id, at, metric, quantity, event_id, received_at)
       select customer.id, ($1 || '-01')::timestamptz + n * interval '2 days 7 hours', 'api_calls', 5000 + number % 1000,
         $1 || '.' || n, now()
       from billing_customer customer, generate_series(1, $2::int) n order by n, customer.id`,
      [month, EVENTS],
    )
  for (const { indexdef } of indexes) await client.query(indexdef)
  await client.query('vacuum (analyze)')
  await client.query('checkpoint')
}

async function byHand(stage: Stage, { client }: BenchDatabase, month: string): Promise<Round> {
  const before = postgresSeconds(stage)
  const startedAt = performance.now()
  await client.query('set synchronous_commit = on')
  await client.query(BY_HAND, [
    `${month}-01`,
    `${nextMonth(month)}-01`,
    month,
    platformAccount('receivable', 'USD').id,
    platformAccount('billing_revenue', 'USD').id,
  ])
  return { seconds: (performance.now() - startedAt) / 1_000, cpu: 0, postgres: postgresSeconds(stage) - before }
}

/** Pro: a fee of 29.99, 50,000 calls included, and 0.001 for each beyond them. Nothing else is thought of. Ids grow, as ours do. */
const BY_HAND = `
  with used as (
    select customer_id, trim_scale(sum(quantity)) as quantity from usage_event
    where at >= $1::timestamptz and at < $2::timestamptz and billed_month is null group by customer_id
  ), billed as materialized (
    select id as customer_id, quantity, round(greatest(quantity - 50000, 0) * 0.001, 2) * 100 as overage,
           row_number() over (order by id) + coalesce((select last from invoice_counter where issuer = 'default'), 0) as sequence,
           'INV-' || $3 || '-' || lpad(number::text, greatest(6, length(number::text)), '0') || '-' || to_char(now(), 'YYYYMMDD') as number,
           nextval('invoice_id_seq') as id
    from billing_customer left join used on customer_id = id
  ), operation_id as materialized (
    select gen_random_uuid() as id
  ), counted as (
    insert into invoice_counter (issuer, last) select 'default', max(sequence) from billed
    on conflict (issuer) do update set last = excluded.last
  ), invoices as (
    insert into invoice (id, operation_id, issuer, customer_id, origin, month, status, sequence, number, currency, subtotal,
      total, created_at, issued_at, due_at, sent_at)
    select billed.id, operation_id.id, 'default', customer_id, 'usage', $3, 'open', sequence,
      number, 'USD', 2999 + overage, 2999 + overage, now(), now(), now() + interval '30 days', now()
    from billed, operation_id
  ), lines as (
    insert into invoice_line (invoice_id, position, metric, month, description, quantity, unit_price, amount)
    select id, 0, null, $3, 'Pro', 1, 29.99, 2999 from billed
    union all
    select id, 1, 'api_calls', $3, 'API calls: ' || quantity || ' used, 50000 included', greatest(quantity - 50000, 0), 0.001,
      overage from billed
  ), transfers as (
    insert into transfer (id, movement, operation_id, position, debit_id, credit_id, asset, amount, memo, posted_at)
    select (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(sequence), 12, '0'))::uuid,
      'invoice.issue', operation_id.id, sequence, $4::uuid, $5::uuid, 'USD', 2999 + overage, number, now()
    from billed, operation_id
  )
  insert into account_delta (id, account_id, amount, entries)
  select gen_random_uuid(), account_id, sign * sum(2999 + overage), count(*)
  from billed, (values ($4::uuid, -1), ($5::uuid, 1)) side (account_id, sign) group by account_id, sign`

/** What was compared did the same: sums of hashes, since chunks may be numbered in another order. */
async function sameBooks(ours: BenchDatabase, theirs: BenchDatabase): Promise<void> {
  const [run, statement] = await Promise.all(
    [ours, theirs].map(async ({ client }) => {
      const { rows } = await client.query(SAME)
      return JSON.stringify(rows)
    }),
  )
  if (run !== statement) throw new Error(`The run made ${run}, the statement ${statement}`)
}

const SAME = `
  select
    (select json_build_array(count(*), count(distinct sequence), max(sequence), count(distinct number), sum(hashtext(concat_ws('|',
       customer_id, month, origin, status, currency, subtotal, discount, tax, total, brought, carried, due)))) from invoice) as invoices,
    (select json_build_array(count(*), sum(hashtext(concat_ws('|', customer_id, position, metric, line.month, line.description,
       quantity, unit_price::float, amount, line.discount))))
     from invoice_line line join invoice on invoice.id = invoice_id) as lines,
    (select json_build_array(count(*), sum(hashtext(concat_ws('|', movement, debit_id, credit_id, asset, amount, customer_id))))
     from transfer join invoice on number = memo) as transfers,
    (select json_agg(balance order by account_id) from (
       select account_id, sum(amount) as amount, sum(entries) as entries from account_delta group by account_id) balance) as balances`

const medianOf = (rounds: readonly Round[]): Round => ({
  seconds: median(rounds.map(({ seconds }) => seconds)),
  cpu: median(rounds.map(({ cpu }) => cpu)),
  postgres: median(rounds.map(({ postgres }) => postgres)),
})

const measureOf = (what: string, condition: string, size: number, round: Round): Measure => ({
  what,
  condition,
  perSecond: Math.round(size / round.seconds),
  cpuMicros: {
    ...(round.cpu === 0 ? {} : { node: Math.round((round.cpu / size) * 1e6) }),
    postgres: Math.round((round.postgres / size) * 1e6),
  },
})

const postgresSeconds = ({ postmaster }: Stage): number => (postmaster === undefined ? 0 : cpuSeconds(postmaster))

const counted = (size: number): string => size.toLocaleString('en')
