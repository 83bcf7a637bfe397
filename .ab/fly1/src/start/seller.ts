import type { Seller } from '../domain/billing/face.ts'
import type { Config } from '../platform/config.ts'

/** Who sends invoices, as configured. */
export const sellerOf = ({ company }: Config): Seller => ({
  name: company.name ?? 'Bursar',
  address: company.address ?? null,
  email: company.email ?? null,
  phone: company.phone ?? null,
})
