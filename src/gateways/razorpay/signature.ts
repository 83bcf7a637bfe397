import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../../kit/secret.ts'

const SIGNATURE = /^[0-9a-f]{64}$/

/** Is this the HMAC-SHA256 of the text, in hex? Takes as long for a near miss as for a wild guess. */
export function signedBy(secret: Secret, text: string | Buffer, signature: string | undefined): boolean {
  if (signature === undefined || !SIGNATURE.test(signature)) return false
  return timingSafeEqual(createHmac('sha256', secret.asKey()).update(text).digest(), Buffer.from(signature, 'hex'))
}
