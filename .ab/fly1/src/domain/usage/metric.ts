import type { Sql } from '../../kit/sql.ts'
import { metricRefusals } from './refusals.ts'

/**
 * How events become a quantity. `count`: one each, −1 takes one back. `sum`: their quantities, corrections below 0
 * included. `max`: the highest. `latest`: the last. `unique`: different values, counted once while added and not removed.
 */
export const aggregations = ['count', 'sum', 'max', 'unique', 'latest'] as const
export type Aggregation = (typeof aggregations)[number]

/** Something that can be used. */
export interface Metric {
  readonly code: string
  readonly aggregation: Aggregation
  readonly unit: string
  readonly description: string
}

/** Every metric there is, by its code. There are few. */
export async function metricsByCode(sql: Sql): Promise<ReadonlyMap<string, Metric>> {
  const rows = await sql.query<Metric>('select code, aggregation, unit, description from usage_metric order by code')
  return new Map(rows.map((row) => [row.code, row]))
}

/** Declares a metric, or changes its words; refuses to count one otherwise than it was. */
export async function declareMetric(sql: Sql, metric: Metric): Promise<void> {
  const [declared] = await sql.query<{ aggregation: Aggregation }>(
    `insert into usage_metric (code, aggregation, unit, description) values ($1, $2, $3, $4)
     on conflict (code) do update set unit = excluded.unit, description = excluded.description
     returning aggregation`,
    [metric.code, metric.aggregation, metric.unit, metric.description],
  )
  if (declared !== undefined && declared.aggregation !== metric.aggregation)
    throw metricRefusals.countedOtherwise({ metric: metric.code, aggregation: declared.aggregation })
}
