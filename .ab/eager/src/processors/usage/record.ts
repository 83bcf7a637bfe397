import { FIRST_PLAN } from '../../domain/pricing/plans.ts'
import type { UsageEvent } from '../../domain/usage/event.ts'
import { type Recorded, recordUsage as record, type ToRecord } from '../../domain/usage/record.ts'
import type { InputOf, ResultOf } from '../../jobs/kind.ts'
import type { OpenOperation } from '../../jobs/operation.ts'
import { recordUsage } from '../../jobs/usage.ts'
import { assert } from '../../kit/assert.ts'
import { Decimal } from '../../kit/decimal.ts'
import { decide } from '../shapes/decide.ts'

type Input = InputOf<typeof recordUsage>
type Outcomes = ReadonlyMap<string, ResultOf<typeof recordUsage>>

/**
 * Many requests' events are written by one statement; no account is involved. Writing is also deciding: whether an event
 * is a duplicate shows only then.
 */
export const usageRecord = decide<typeof recordUsage, Outcomes>(recordUsage, {
  async subjects(sql, inputs, { operations, services: { clock, invoicing } }) {
    const requests = operations.map((operation, index) => eventsOf(operation, inputs[index] as Input))
    const outcomes = await record(sql, requests.flat(), {
      plan: FIRST_PLAN,
      currency: invoicing.currency,
      zone: invoicing.timeZone,
      now: clock.now(),
    })
    let next = 0
    return new Map(
      requests.map((events, index) => {
        const own = outcomes.slice(next, next + events.length)
        next += events.length
        return [(operations[index] as OpenOperation).id, told(events, own)]
      }),
    )
  },

  accounts: () => [],

  decide({ operation, subjects }) {
    const outcome = subjects.get(operation.id)
    assert(outcome !== undefined, `Nothing became of the events of operation ${operation.id}`)
    return outcome
  },
})

/** The events of a request. One without an id gets that of its operation and place, so that a job may run twice. */
function eventsOf({ id, submittedAt }: OpenOperation, input: Input): ToRecord[] {
  const { events = [{ ...input, metric: input.metric ?? '' }] } = input
  return events.map((event, index) => {
    const customerId = event.user_id ?? input.user_id
    assert(customerId !== undefined, 'The door lets no event in without a user')
    return {
      receivedAt: submittedAt,
      event: {
        customerId,
        id: event.event_id ?? `${id}.${index}`,
        metric: event.metric,
        quantity: event.quantity ?? Decimal.one,
        value: event.value,
        at: event.timestamp === undefined ? submittedAt : new Date(event.timestamp),
      } satisfies UsageEvent,
    }
  })
}

function told(events: readonly ToRecord[], outcomes: readonly Recorded[]): ResultOf<typeof recordUsage> {
  const count = (outcome: Recorded['outcome']) => outcomes.filter((one) => one.outcome === outcome).length
  const refused = count('refused')
  return {
    success: refused === 0,
    recorded: count('recorded'),
    duplicates: count('duplicate'),
    refused,
    events: outcomes.map((one, index) => ({
      index,
      event_id: (events[index] as ToRecord).event.id,
      outcome: one.outcome,
      ...(one.outcome === 'recorded' && one.lateFor !== undefined ? { late_for: one.lateFor } : {}),
      ...(one.outcome === 'refused' ? { reason: one.reason, message: one.message } : {}),
    })),
  }
}
