import type { Asset } from '../../kit/money.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Price, PriceModel, PriceTerms } from './price.ts'

/** The plan of users who were never set up as customers. */
export const FIRST_PLAN = 'free'

export const cycles = ['none', 'monthly', 'annual'] as const
export type Cycle = (typeof cycles)[number]

/** What somebody pays by. */
export interface Plan {
  readonly code: string
  readonly name: string
  /** How often its fee is due. */
  readonly cycle: Cycle
  readonly features: string
  /** Of every metric, currency and day. */
  readonly prices: readonly Price[]
}

/** Every plan there is with its prices, by its code. There are few. */
export async function plansByCode(sql: Sql): Promise<ReadonlyMap<string, Plan>> {
  const plans = await sql.query<Omit<Plan, 'prices'>>('select code, name, cycle, features from plan order by code')
  const prices = await sql.query<PriceRow>(
    `select plan_price.plan, metric, currency, starts_on::text, model, terms,
       case when metric is null then plan.name else description end as label
     from plan_price join plan on plan.code = plan_price.plan left join usage_metric on usage_metric.code = metric
     order by metric nulls first, currency, starts_on`,
  )
  const byPlan = Map.groupBy(prices, ({ plan }) => plan)
  return new Map(plans.map((plan) => [plan.code, { ...plan, prices: (byPlan.get(plan.code) ?? []).map(priceOfRow) }]))
}

interface PriceRow {
  plan: string
  metric: string | null
  label: string
  currency: Asset
  starts_on: string
  model: PriceModel
  terms: unknown
}

/** Terms are written only through `plan.price`, whose schema is the model's. */
const priceOfRow = ({ metric, label, currency, starts_on, model, terms }: PriceRow): Price => ({
  ...({ model, terms } as PriceTerms),
  metric,
  label,
  currency,
  startsOn: starts_on,
})
