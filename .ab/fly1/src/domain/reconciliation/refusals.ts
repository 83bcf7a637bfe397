import { refusals } from '../../kit/refusal.ts'

export const reconciliationRefusals = refusals('reconciliation', {
  notConfigured: {
    status: 400,
    error: 'GatewayNotConfigured',
    says: (d: { gateway: string }) => `${d.gateway} is not configured here, so there is nothing to compare with.`,
  },
})

/** Of reads only. */
export const reportRefusals = refusals('report', {
  notFound: { status: 404, error: 'ReconciliationNotFound', says: () => 'There is no such reconciliation.' },
})
