import { declareMetric as declare } from '../../domain/usage/metric.ts'
import { declareMetric } from '../../jobs/pricing.ts'
import { transact } from '../shapes/transact.ts'

export const metricDeclare = transact(declareMetric, {
  async perform({ sql, input: { metric: code, aggregation, unit, description } }) {
    await declare(sql, { code, aggregation, unit, description })
    return { success: true as const, metric: code, aggregation }
  },
})
