import { operationRefusals } from '../../jobs/operation-refusals.ts'
import { requeueStuck } from '../../jobs/relay.ts'
import { retryOperations } from '../../jobs/upkeep.ts'
import { transact } from '../shapes/transact.ts'

export const operationRetry = transact(retryOperations, {
  async perform({ sql, input, dispatch }) {
    const jobs = await requeueStuck(sql, input.operation_ids)
    const requeued = jobs.flatMap(({ data }) => data.operations)
    if (requeued.length === 0) throw operationRefusals.notStuck()
    dispatch(jobs)
    return { requeued }
  },
})
