import { lockCustomer, openCustomer, sealOf } from '../../domain/billing/customer.ts'
import { customerRefusals } from '../../domain/billing/refusals.ts'
import { FIRST_PLAN, plansByCode } from '../../domain/pricing/plans.ts'
import { setCustomer } from '../../jobs/billing.ts'
import { assert } from '../../kit/assert.ts'
import { dayOf } from '../../kit/months.ts'
import { transact } from '../shapes/transact.ts'

/** What is left out stays as it is; null takes it away. */
export const customerSet = transact(setCustomer, {
  async perform({ sql, input, now }, { invoicing, keyring }) {
    const { user_id: id } = input
    if (input.plan !== undefined && !(await plansByCode(sql)).has(input.plan))
      throw customerRefusals.noPlan({ plan: input.plan })
    await openCustomer(sql, {
      ...{ id, plan: input.plan ?? FIRST_PLAN, currency: input.currency ?? invoicing.currency, now },
      startsOn: input.starts_on ?? dayOf(now, invoicing.timeZone),
    })
    const customer = await lockCustomer(sql, id)
    assert(customer, `Customer ${id} was not opened`)
    const { currency = customer.currency, plan = customer.plan, starts_on: startsOn = customer.startsOn } = input
    // What is carried is in the old currency.
    if (currency !== customer.currency && customer.brought + customer.credit > 0n)
      throw customerRefusals.currencyInUse({ currency: customer.currency })
    const endsOn = input.ends_on === undefined ? customer.endsOn : input.ends_on
    if (endsOn !== null && endsOn < startsOn) throw customerRefusals.endsBeforeStart()

    const given: [string, unknown][] = [
      ['name', input.name],
      ['email', input.email === undefined ? undefined : sealOf(keyring, id, 'email', input.email)],
      ['address', input.address === undefined ? undefined : sealOf(keyring, id, 'address', input.address)],
      ['country', input.country],
      ['tax_id', input.tax_id],
      ['discount_percent', input.discount_percent],
      ['plan', plan],
      ['currency', currency],
      ['starts_on', startsOn],
      ['ends_on', endsOn],
    ]
    const set = given.filter(([, value]) => value !== undefined)
    await sql.query(
      `update billing_customer set ${set.map(([name], index) => `${name} = $${index + 2}`).join(', ')} where id = $1`,
      [id, ...set.map(([, value]) => value)],
    )
    return { success: true as const, user_id: id, plan, currency }
  },
})
