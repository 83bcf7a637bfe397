import { refusals } from '../../kit/refusal.ts'

/** The no of a metric. */
export const metricRefusals = refusals('metric', {
  countedOtherwise: {
    status: 409,
    error: 'CountedOtherwise',
    says: (d: { metric: string; aggregation: string }) =>
      `${d.metric} is declared as ${d.aggregation}, and its events mean that for ever. Declare another metric.`,
  },
})
