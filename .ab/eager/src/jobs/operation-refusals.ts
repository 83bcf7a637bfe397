import { refusals } from '../kit/refusal.ts'

export const operationRefusals = refusals('operation', {
  notFound: {
    status: 404,
    error: 'OperationNotFound',
    says: () => 'There is no such operation, or it is not yours to see',
  },
  notStuck: {
    status: 409,
    error: 'OperationNotStuck',
    says: () => 'Only a stuck operation can be retried; ask for its state with GET /api/v1/operations/{id}',
  },
})
