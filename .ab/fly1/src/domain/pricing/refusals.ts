import { refusals } from '../../kit/refusal.ts'

/** The no of a plan. */
export const planRefusals = refusals('plan', {
  cycleInUse: {
    status: 409,
    error: 'CycleInUse',
    says: (d: { plan: string; cycle: string }) =>
      `${d.plan} is ${d.cycle} for the customers who are on it. Make another plan and move them.`,
  },
})

/** Every no of prices. */
export const priceRefusals = refusals('price', {
  noPlan: {
    status: 404,
    error: 'PlanNotFound',
    says: (d: { plan: string }) => `There is no plan ${d.plan}: make it with PUT /api/v1/billing/plans/${d.plan}.`,
  },
  noMetric: {
    status: 404,
    error: 'MetricNotFound',
    says: (d: { metric: string }) =>
      `There is no metric ${d.metric}: declare it with PUT /api/v1/billing/metrics/${d.metric}.`,
  },
  begun: {
    status: 409,
    error: 'MonthHasBegun',
    says: (d: { month: string; first: string }) =>
      `${d.month} has begun and keeps its price. A new one can start on ${d.first} at the earliest.`,
  },
})
