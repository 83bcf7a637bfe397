export { type Aggregate, aggregate } from './aggregate.ts'
export { customerTerms } from './customers.ts'
export { dailyUsage, rolledUpUntil } from './daily.ts'
export { aggregations, type Metric, metricsByCode } from './metric.ts'
