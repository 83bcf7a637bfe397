import { requeueStuck } from '../../jobs/relay.ts'
import { retryOperations } from '../../jobs/upkeep.ts'
import { refusals } from '../../kit/refusal.ts'
import { transact } from '../shapes/transact.ts'

export const operationRefusals = refusals('operation', {
  notStuck: {
    status: 409,
    error: 'OperationNotStuck',
    says: () => 'Only a stuck operation can be retried; ask for its state with GET /api/v1/operations/{id}',
  },
})

export const operationRetry = transact(retryOperations, {
  async perform({ sql, input, dispatch }) {
    const jobs = await requeueStuck(sql, input.operation_ids)
    const requeued = jobs.flatMap(({ data }) => data.operations)
    if (requeued.length === 0) throw operationRefusals.notStuck()
    dispatch(jobs)
    return { requeued }
  },
})
