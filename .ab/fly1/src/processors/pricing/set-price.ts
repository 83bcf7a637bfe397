import { setPrice as set } from '../../domain/pricing/declare.ts'
import type { PriceTerms } from '../../domain/pricing/price.ts'
import { setPrice } from '../../jobs/pricing.ts'
import { monthOf } from '../../kit/months.ts'
import { transact } from '../shapes/transact.ts'

export const priceSet = transact(setPrice, {
  async perform({ sql, input, now }, { invoicing }) {
    const { plan, metric = null, currency, starts_on: startsOn } = input
    // The door has checked that the terms are those of the model.
    const { model, terms } = input as unknown as PriceTerms
    const price = { ...({ model, terms } as PriceTerms), metric, currency, startsOn }
    await set(sql, { plan, price, thisMonth: monthOf(now, invoicing.timeZone) })
    return { success: true as const, plan, metric, starts_on: startsOn }
  },
})
