import { SignJWT } from 'jose'
import {
  cancelInvoice,
  composeInvoice,
  createInvoice,
  creditInvoice,
  finalizeInvoice,
  setCustomer,
  writeOffInvoice,
} from '../../src/jobs/billing.ts'
import { payInvoice } from '../../src/jobs/invoice-payments.ts'
import { startSchedule } from '../../src/jobs/schedules.ts'
import { recordUsage } from '../../src/jobs/usage.ts'
import { developmentSecrets } from '../../src/platform/config/variables.ts'
import type { Wish } from '../records.ts'
import type { Customer } from './billing-world.ts'
import type { Asking } from './wallets-wishes.ts'

const BILLING = '/api/v1/billing'

const post = (kind: string, path: string, body: unknown, { authorization }: Asking): Wish => ({
  kind,
  method: 'POST',
  path,
  body,
  authorization,
})

export const customer = (
  { id, plan, currency, country, discount, startsOn }: Customer,
  { authorization }: Asking,
): Wish => ({
  kind: setCustomer.name,
  method: 'PUT',
  path: `${BILLING}/customers/${id}`,
  body: { plan, currency, country, discount_percent: Number(discount) / 100, starts_on: startsOn },
  authorization,
})

/** What was used, as its user says it. */
export interface Event {
  readonly user_id: string
  readonly metric: string
  readonly event_id?: string
  readonly quantity?: number
  readonly value?: string
  readonly timestamp: string
}

export const usage = (events: readonly Event[], asking: Asking): Wish => {
  const [only] = events
  const body = events.length === 1 && only !== undefined ? only : { user_id: only?.user_id, events }
  return post(recordUsage.name, `${BILLING}/usage`, body, asking)
}

export interface Item {
  readonly description: string
  readonly quantity?: string
  readonly unit_price: string
}

export interface Composed {
  readonly customer_id: string
  readonly items: readonly Item[]
  readonly due_date?: string
  readonly draft?: true
}

export const compose = (body: Composed, asking: Asking): Wish =>
  post(composeInvoice.name, `${BILLING}/invoices`, body, asking)

export const finalize = (id: number, asking: Asking): Wish =>
  post(finalizeInvoice.name, `${BILLING}/invoice/${id}/finalize`, {}, asking)

export const month = (user: string, of: string, asking: Asking): Wish =>
  post(createInvoice.name, `${BILLING}/invoice/${of}/create?user_id=${user}`, {}, asking)

export const startMonth = (period: string, asking: Asking): Wish =>
  post(startSchedule.name, '/api/v1/schedules/invoice-month/start', { period }, asking)

export const pay = (id: number, method: string, asking: Asking): Wish =>
  post(payInvoice.name, `${BILLING}/invoice/${id}/pay`, { payment_method_id: method }, asking)

export const cancel = (id: number, asking: Asking): Wish =>
  post(cancelInvoice.name, `${BILLING}/invoice/${id}/cancel`, {}, asking)

export const credit = (id: number, amount: string | undefined, asking: Asking): Wish =>
  post(
    creditInvoice.name,
    `${BILLING}/invoice/${id}/credit`,
    { ...(amount === undefined ? {} : { amount }), reason: 'It was down' },
    asking,
  )

export const writeOff = (id: number, asking: Asking): Wish =>
  post(writeOffInvoice.name, `${BILLING}/invoice/${id}/write-off`, { reason: 'They are gone' }, asking)

/** Somebody with this role, for as long as any run lasts. */
export const asking = async (role: 'service' | 'operator' | 'admin'): Promise<Asking> => ({
  authorization: `Bearer ${await new SignJWT({ roles: [role] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(`chaos billing ${role}`)
    .setExpirationTime('4h')
    .sign(new TextEncoder().encode(developmentSecrets.JWT_SECRET_KEY))}`,
})
