import { APPROVED, cardEntity } from './instruments.ts'
import { CLOSED_ACCOUNT, vpaOf } from './payouts.ts'
import type { FundAccountRow, TokenRow } from './rows.ts'
import type { World } from './world.ts'

/** Unix seconds: the last one of December 2030 in India. */
const END_OF_2030 = Date.UTC(2030, 11, 31, 18, 29, 59) / 1_000

const CUSTOMER = 'cust_sandbox'
const CONTACT = 'cont_sandbox'

/** Saved methods and destinations that are there from the start, by ids that say how they behave. */
export function settle(world: World): void {
  if (world.customers.get(CUSTOMER) !== undefined) return
  const created_at = world.now()
  world.customers.put({
    id: CUSTOMER,
    entity: 'customer',
    name: 'Gaurav Kumar',
    email: 'gaurav.kumar@example.com',
    contact: '+919000090000',
    gstin: null,
    notes: [],
    created_at,
  })
  for (const [id, number, bankSays] of [
    ['token_sandbox_visa', '4100280000001007', APPROVED],
    ['token_sandbox_declined', '4100280000060003', 'card_declined'],
    ['token_sandbox_insufficient', '4100280000080001', 'insufficient_funds'],
    ['token_sandbox_blocked', '4100280000110006', 'debit_instrument_blocked'],
    ['token_sandbox_technical', '4100280000020007', 'gateway_technical_error'],
    ['token_sandbox_ask', '5500670000001002', 'ask_the_customer'],
    ['token_sandbox_ended', '4718609108204366', APPROVED],
  ] as const)
    world.tokens.put(card({ id, number, bankSays, customer_id: CUSTOMER, created_at }))
  world.tokens.put({
    ...card({ id: 'token_sandbox_upi', number: '', bankSays: APPROVED, customer_id: CUSTOMER, created_at }),
    method: 'upi',
    card: undefined,
    vpa: { username: 'success', handle: 'razorpay', name: null },
  })

  world.contacts.put({
    id: CONTACT,
    entity: 'contact',
    name: 'Gaurav Kumar',
    contact: '+919000090000',
    email: 'gaurav.kumar@example.com',
    type: 'customer',
    reference_id: null,
    batch_id: null,
    active: true,
    notes: [],
    created_at,
  })
  const account: Omit<FundAccountRow, 'id' | 'account_type'> = {
    entity: 'fund_account',
    contact_id: CONTACT,
    batch_id: null,
    active: true,
    created_at,
  }
  const bank = { ifsc: 'RZPB0000001', bank_name: 'Razorpay Sandbox Bank', name: 'Gaurav Kumar', notes: [] as [] }
  for (const one of [
    {
      id: 'fa_sandbox_bank',
      account_type: 'bank_account',
      bank_account: { ...bank, account_number: '765432123456789' },
    },
    {
      id: 'fa_sandbox_closed',
      account_type: 'bank_account',
      bank_account: { ...bank, account_number: CLOSED_ACCOUNT },
    },
    { id: 'fa_sandbox_upi', account_type: 'vpa', vpa: vpaOf('gaurav@razorpay') },
  ] as const)
    world.fundAccounts.put({ ...account, ...one })
}

export const card = (of: {
  id: string
  number: string
  bankSays: string
  customer_id: string
  created_at: number
}): TokenRow => ({
  id: of.id,
  entity: 'token',
  customer_id: of.customer_id,
  method: 'card',
  card: cardEntity(of.number),
  recurring: true,
  status: of.id.endsWith('_ended') ? 'deactivated' : 'active',
  status_reason: null,
  expired_at: END_OF_2030,
  notes: [],
  created_at: of.created_at,
  bankSays: of.bankSays,
})
