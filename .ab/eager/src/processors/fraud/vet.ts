import { isIP } from 'node:net'
import { recordSecurity } from '../../domain/audit/record.ts'
import { keepDecision, learn } from '../../domain/fraud/decision.ts'
import { type Attempted, type FraudType, factsOf } from '../../domain/fraud/facts.ts'
import { judge } from '../../domain/fraud/rules.ts'
import type { Holder } from '../../domain/payments/holder.ts'
import { limitsOf } from '../../domain/payments/limits.ts'
import type { Currency } from '../../domain/payments/names.ts'
import { paymentRefusals } from '../../domain/payments/refusals.ts'
import type { Amount } from '../../kit/money.ts'
import type { Refusal } from '../../kit/refusal.ts'
import type { Sql } from '../../kit/sql.ts'
import type { Services } from '../context.ts'

export interface Vetting {
  readonly sql: Sql
  readonly now: Date
  readonly operation: { readonly id: string }
}

/** What is asked for, before anything is reserved for it. */
export interface Wanted {
  readonly type: FraudType
  readonly currency: Currency
  readonly amount: Amount
  /** A saved method's id, or how it is to be paid. */
  readonly method: string
  readonly client: { readonly ip: string | null; readonly device: string | null } | undefined
}

/** Let through: keeps the decision with the payment that came of it. */
export type Keep = (payment: { readonly id: string }) => Promise<void>

/**
 * Looks at a request of a user who must be locked. A suspicious one is kept for an operator's review, and the refusal is
 * to be returned, not thrown, so that it stays kept. The same request again meets the review that is open.
 */
export async function vet(
  { sql, now, operation }: Vetting,
  holder: Holder,
  wanted: Wanted,
  { fraudRules }: Pick<Services, 'fraudRules'>,
): Promise<Refusal | Keep> {
  const { userId } = holder
  const { type, currency, amount, method, client } = wanted
  const { single } = await limitsOf(sql, userId, currency, now)
  const asked: Attempted = {
    operationId: operation.id,
    userId,
    type,
    currency,
    amount,
    limit: single,
    method,
    ip: client?.ip != null && isIP(client.ip) !== 0 ? client.ip : null,
    device: client?.device ?? null,
    timeZone: holder.timeZone,
    now,
  }
  const facts = await factsOf(sql, asked)
  const verdict = judge(facts, asked)
  const indicators = verdict.reasons.map(({ indicator }) => indicator)
  const suspicious = verdict.suspicious && !facts.passes

  if (suspicious && fraudRules === 'on') {
    if (!facts.waiting) await keepDecision(sql, asked, verdict, { decision: 'review' })
    await recordSecurity(
      { sql, now },
      { type: 'suspicious_activity', userId, indicators, ip: asked.ip, action: 'additional_verification_required' },
    )
    return paymentRefusals.suspicious({ indicators })
  }

  return async ({ id: paymentId }) => {
    await keepDecision(sql, asked, verdict, {
      decision: suspicious ? 'observed' : 'allow',
      paymentId,
      approved: verdict.suspicious && facts.passes,
    })
    if (!suspicious) return learn(sql, asked, facts.profile)
    await recordSecurity(
      { sql, now },
      { type: 'suspicious_activity', userId, indicators, ip: asked.ip, action: 'observed' },
    )
  }
}
