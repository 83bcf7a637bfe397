import { createHmac } from 'node:crypto'

/** `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`. */
export function webhookSignature(secret: string, body: string, now: Date): string {
  const t = Math.floor(now.getTime() / 1_000)
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.${body}`).digest('hex')}`
}

/** What the hosted page sends back with the customer, so that a caller knows it came from here. */
export const returnSignature = (key: string, reference: string, id: string): string =>
  createHmac('sha256', key).update(`${reference}|${id}`).digest('hex')
