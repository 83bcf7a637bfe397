import { setPlan as set } from '../../domain/pricing/declare.ts'
import { setPlan } from '../../jobs/pricing.ts'
import { transact } from '../shapes/transact.ts'

export const planSet = transact(setPlan, {
  async perform({ sql, input: { plan: code, name, cycle, features } }) {
    await set(sql, { code, name, cycle, features })
    return { success: true as const, plan: code }
  },
})
