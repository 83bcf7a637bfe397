import type { ChargeRequest, Declined } from '../port.ts'
import type { Client } from './client.ts'
import { declined } from './declines.ts'
import { Customer, Token } from './objects.ts'
import { Problem } from './problem.ts'

/** Whose saved method is charged. Razorpay wants an address and a telephone number with every recurring payment. */
export interface Payer {
  readonly token: string
  readonly customer: string
  readonly email: string
  readonly contact: string
}

const CUSTOMER_ID = /^cust_\w{1,64}$/

/** Reads what the request leaves out; nothing of this moves money. */
export async function payerOf(
  client: Client,
  { token, customer }: NonNullable<ChargeRequest['source']>,
  email: string | undefined,
): Promise<Payer | Declined | Problem> {
  const owner = customer ?? (await ownerOf(client, token))
  if (owner instanceof Problem) return owner.isAbsence ? unknownToken : owner
  if (owner === undefined || !CUSTOMER_ID.test(owner)) return unknownToken
  const known = await client.sdk('a customer', Customer, (razorpay) => razorpay.customers.fetch(owner))
  if (known instanceof Problem) return known.isAbsence ? unknownToken : known

  const address = email ?? known.email
  if (!address || !known.contact)
    return declined({
      code: 'customer_incomplete',
      message: 'Razorpay charges a saved method only with an e-mail address and a telephone number of its customer',
    })
  return { token, customer: owner, email: address, contact: known.contact }
}

async function ownerOf(client: Client, token: string): Promise<string | undefined | Problem> {
  const known = await client.sdk('a token', Token, (razorpay) => razorpay.tokens.fetch({ id: token }))
  return known instanceof Problem ? known : (known.customer_id ?? undefined)
}

const unknownToken: Declined = declined({
  code: 'token_not_found',
  message: 'Razorpay does not know this saved method',
})
