import { recordAudit, recordSecurity } from '../../domain/audit/record.ts'
import { decideReview, lockReview } from '../../domain/fraud/decision.ts'
import { REVIEW } from '../../domain/fraud/reads.ts'
import { fraudRefusals } from '../../domain/fraud/refusals.ts'
import { reviewFraud } from '../../jobs/fraud.ts'
import { fromPublicId, publicId } from '../../kit/ids.ts'
import { transact } from '../shapes/transact.ts'

/** Long enough to be told and to come back, short enough that nobody else comes by it. */
const PASSES_FOR_MS = 24 * 3_600_000

/** One operator decides: the row is locked, and a second one is told what was decided. */
export const fraudReview = transact(reviewFraud, {
  async perform({ sql, input, operation, now }) {
    const id = fromPublicId(REVIEW, input.review_id)
    const review = id === undefined ? undefined : await lockReview(sql, id)
    if (review === undefined || review.decision === 'allow' || review.decision === 'observed')
      throw fraudRefusals.notFound()
    if (review.decision !== 'review') throw fraudRefusals.notInReview({ decision: review.decision })

    const approved = input.decision === 'approve'
    const passesUntil = approved ? new Date(now.getTime() + PASSES_FOR_MS) : null
    await decideReview(sql, review.id, {
      decision: approved ? 'approved' : 'rejected',
      by: operation.submittedBy ?? '',
      note: input.note,
      now,
      passesUntil,
    })
    const { userId, indicators, amount, currency } = review
    const ip = input.client?.ip ?? null
    await recordAudit({ sql, now }, { type: 'review_decided', userId, money: { amount, currency }, ip })
    await recordSecurity(
      { sql, now },
      {
        type: approved ? 'review_approved' : 'review_rejected',
        userId,
        indicators,
        ip,
        action: approved ? 'may_be_repeated_for_24_hours' : 'stays_refused',
      },
    )
    return {
      success: true as const,
      id: publicId(REVIEW, review.id),
      decision: approved ? ('approved' as const) : ('rejected' as const),
      passes_until: passesUntil?.toISOString() ?? null,
    }
  },
})
