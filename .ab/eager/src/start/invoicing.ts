import { type InvoicingTerms, ISSUER } from '../domain/billing/invoice.ts'
import type { Gateways } from '../gateways/registry.ts'
import type { Config } from '../platform/config.ts'

/** What the configured issuer bills by. Stripe collects, where it is configured: what it does not take is carried. */
export const invoicingTerms = ({ invoices, publicUrl }: Config, gateways: Gateways): InvoicingTerms => ({
  issuer: ISSUER,
  timeZone: invoices.timeZone,
  currency: invoices.currency,
  dueDays: invoices.dueDays,
  prefix: invoices.prefix,
  autoSend: invoices.autoSend,
  country: invoices.country,
  minimums: gateways.get('stripe')?.capabilities.minimumCharge ?? {},
  publicUrl,
})
