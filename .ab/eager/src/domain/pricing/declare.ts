import type { Month } from '../../kit/months.ts'
import type { Sql } from '../../kit/sql.ts'
import { type Plan, plansByCode } from './plans.ts'
import { type Price, priceIn } from './price.ts'
import { planRefusals, priceRefusals } from './refusals.ts'

/** Makes a plan, or changes its words; its cycle only while nobody is on it. */
export async function setPlan(sql: Sql, plan: Omit<Plan, 'prices'>): Promise<void> {
  const [known] = await sql.query<{ cycle: string }>('select cycle from plan where code = $1 for update', [plan.code])
  if (known !== undefined && known.cycle !== plan.cycle) {
    const [customer] = await sql.query('select from billing_customer where plan = $1 limit 1', [plan.code])
    if (customer !== undefined) throw planRefusals.cycleInUse({ plan: plan.code, cycle: known.cycle })
  }
  await sql.query(
    `insert into plan (code, name, cycle, features) values ($1, $2, $3, $4)
     on conflict (code) do update set name = excluded.name, cycle = excluded.cycle, features = excluded.features`,
    [plan.code, plan.name, plan.cycle, plan.features],
  )
}

/**
 * Gives a plan a price from a day on, in the place of one that was to start on the same day. What has begun keeps its
 * price; only a month that has none yet may still get one.
 */
export async function setPrice(
  sql: Sql,
  { plan: code, price, thisMonth }: { plan: string; price: Omit<Price, 'label'>; thisMonth: Month },
): Promise<void> {
  // Two prices at once for the same plan: the second sees the first.
  await sql.query('select from plan where code = $1 for update', [code])
  const plan = (await plansByCode(sql)).get(code)
  if (plan === undefined) throw priceRefusals.noPlan({ plan: code })
  const { metric, currency, startsOn, model, terms } = price
  if (metric !== null) {
    const [known] = await sql.query('select from usage_metric where code = $1', [metric])
    if (known === undefined) throw priceRefusals.noMetric({ metric })
  }
  const hasPrice = priceIn(plan.prices, { metric, month: thisMonth, currency }) !== undefined
  const from = `${thisMonth}-01`
  if (hasPrice ? startsOn <= from : startsOn < from) {
    const first = hasPrice ? `${thisMonth}-02` : from
    throw priceRefusals.begun({ month: thisMonth, first })
  }
  await sql.query(
    `insert into plan_price (plan, metric, currency, starts_on, model, terms) values ($1, $2, $3, $4, $5, $6)
     on conflict (plan, metric, currency, starts_on) do update set model = excluded.model, terms = excluded.terms`,
    [code, metric, currency, startsOn, model, JSON.stringify(terms)],
  )
}
