import { refusals } from '../kit/refusal.ts'

export const accessRefusals = refusals('access', {
  unauthenticated: {
    status: 401,
    error: 'Unauthenticated',
    says: (d: { problem: string }) => `${d.problem}. Send a valid token in the header «Authorization: Bearer <token>»`,
  },
  forbidden: {
    status: 403,
    error: 'Forbidden',
    says: (d: { problem: string }) => d.problem,
  },
})
