import type { Keyring } from '../../kit/keyring.ts'
import { ISSUER } from './invoice.ts'

/** 144 bits of the digest: nobody guesses them. */
const LENGTH = 24

const mark = (keyring: Keyring, id: number): string =>
  keyring.digest(`invoice page ${ISSUER} ${id}`).toString('base64url').slice(0, LENGTH)

/** What stands in the link to an invoice's own page: whoever has it may see and pay this invoice, and no other. */
export const pageToken = (keyring: Keyring, id: number): string => `${id}.${mark(keyring, id)}`

const TOKEN = /^([1-9]\d{0,15})\.([\w-]{24})$/

/** The invoice that a link opens; undefined for a link that we did not make. */
export function invoiceOfToken(keyring: Keyring, token: string): number | undefined {
  const [, written = '', given = ''] = TOKEN.exec(token) ?? []
  const id = Number(written)
  if (id === 0) return undefined
  // Digests under a secret key, compared as digests again, tell nothing by their timing.
  return keyring.digest(given).equals(keyring.digest(mark(keyring, id))) ? id : undefined
}

/** The invoice's own page. `publicUrl` is where customers reach us. */
export const pageUrl = (publicUrl: string, keyring: Keyring, id: number): string =>
  `${publicUrl}/invoices/${pageToken(keyring, id)}`
