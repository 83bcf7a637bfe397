import type { Router } from '../route.ts'
import { customerRoutes } from './customers.ts'
import { hostedRoutes } from './hosted.ts'
import { invoiceRoutes } from './invoices.ts'
import type { BillingRouteParts } from './parts.ts'
import { invoicePaymentRoutes } from './pay.ts'
import { planRoutes } from './plans.ts'
import { usageRoutes } from './usage.ts'

/** Usage and invoices. */
export function billingRoutes(router: Router, parts: BillingRouteParts): void {
  usageRoutes(router, parts)
  invoiceRoutes(router, parts)
  customerRoutes(router, parts)
  invoicePaymentRoutes(router, parts)
  hostedRoutes(router, parts)
  planRoutes(router, parts)
}
