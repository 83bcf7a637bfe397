import type { EntityManager, EventSubscriber, FlushEventArgs, TransactionEventArgs } from '@mikro-orm/core'
import { isFinal, Payment } from '../domain/payments/payment.ts'
import type { Metrics } from '../platform/metrics.ts'

type Ended = Parameters<Metrics['paymentEnded']>[0]

/**
 * Counts payments that have ended, whichever of the many ways brought the news: seen when they are written, counted when
 * that was committed.
 */
export function paymentEndings(metrics: Pick<Metrics, 'paymentEnded'>): EventSubscriber {
  const written = new WeakMap<EntityManager, Ended[]>()
  return {
    async afterFlush({ em, uow }: FlushEventArgs) {
      for (const { meta, entity, payload } of uow.getChangeSets()) {
        if (meta.className !== Payment.meta.className || payload.status === undefined) continue
        const { type, gateway, status: outcome, createdAt, completedAt } = entity as Payment
        if (!isFinal(outcome)) continue
        const seconds = ((completedAt ?? createdAt).getTime() - createdAt.getTime()) / 1_000
        written.set(em as EntityManager, [
          ...(written.get(em as EntityManager) ?? []),
          { type, gateway, outcome, seconds },
        ])
      }
    },
    async afterTransactionCommit({ em }: TransactionEventArgs) {
      for (const one of written.get(em as EntityManager) ?? []) metrics.paymentEnded(one)
      written.delete(em as EntityManager)
    },
  }
}
