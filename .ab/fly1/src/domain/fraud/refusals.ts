import { refusals } from '../../kit/refusal.ts'

export const fraudRefusals = refusals('fraud', {
  notFound: { status: 404, error: 'ReviewNotFound', says: () => 'There is no such review.' },
  notInReview: {
    status: 409,
    error: 'NotInReview',
    says: (d: { decision: string }) => `This has been decided: ${d.decision}.`,
  },
})
