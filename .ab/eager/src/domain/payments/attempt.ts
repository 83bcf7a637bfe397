import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { namedId } from '../../kit/ids.ts'
import { type LifeCycle, move } from '../../kit/states.ts'
import type { Currency, GatewayName } from './names.ts'

export const attemptStatuses = [
  'created',
  'sent',
  'pending',
  'unknown',
  'succeeded',
  'declined',
  'not_sent',
  'returned',
  'surplus',
] as const
export type AttemptStatus = (typeof attemptStatuses)[number]

/**
 * One question to one gateway. `sent` is written before the question leaves, so that after a crash nobody takes it for
 * one that was never asked. `surplus`: its money came although the payment had ended, and goes back.
 */
export const attemptCycle: LifeCycle<AttemptStatus> = {
  created: ['sent'],
  sent: ['sent', 'pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'surplus'],
  pending: ['pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'returned', 'surplus'],
  unknown: ['pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'returned', 'surplus'],
  succeeded: ['returned'],
  // A gateway that said no, or had not heard of it, may say yes late: that money must not be overlooked.
  declined: ['surplus', 'succeeded'],
  // Asked again from the start, once nobody could be reached.
  not_sent: ['created', 'surplus', 'succeeded'],
  returned: [],
  surplus: [],
}

export const Attempt = defineEntity({
  name: 'Attempt',
  tableName: 'gateway_attempt',
  properties: {
    id: p.uuid().primary(),
    paymentId: p.uuid().fieldName('payment_id'),
    position: p.integer(),
    verb: p.text().$type<'charge' | 'refund' | 'payout'>(),
    gateway: p.text().$type<GatewayName>(),
    status: p.text().$type<AttemptStatus>(),
    amount: p.bigint(),
    currency: p.text().$type<Currency>(),
    /** Of a refund: what the gateway calls the money that it gives back. */
    chargeId: p.text().fieldName('charge_id').nullable(),
    gatewayId: p.text().fieldName('gateway_id').nullable(),
    movedId: p.text().fieldName('moved_id').nullable(),
    moved: p.bigint().nullable(),
    movedCurrency: p.text().$type<Currency>().fieldName('moved_currency').nullable(),
    code: p.text().nullable(),
    message: p.text().nullable(),
    looks: p.integer(),
    askedAt: p.datetime().fieldName('asked_at').nullable(),
    answeredAt: p.datetime().fieldName('answered_at').nullable(),
    lookAt: p.datetime().fieldName('look_at').nullable(),
  },
})

export type Attempt = InferEntity<typeof Attempt>

/**
 * The reference of a payment's nth question, the same for whoever computes it. A UUIDv7 with the payment's own time: gateways
 * that have only lists look for it from there on, and where it says no time they would have to read everything.
 */
export function attemptId(paymentId: string, position: number): string {
  const name = namedId(`attempt:${paymentId}:${position}`)
  return `${paymentId.slice(0, TIME_OF_ID)}-7${name.slice(TIME_OF_ID + 2)}`
}

/** Letters of a UUIDv7 that tell its time. */
const TIME_OF_ID = 13

export function moveAttempt(attempt: Attempt, status: AttemptStatus): void {
  attempt.status = move(attemptCycle, attempt.status, status)
}

/**
 * Seconds from one look at an open attempt to the next, by what it waits for. What is unknown is money in doubt: looked
 * at within seconds, then ever more rarely for a week. What waits for the customer is told by a webhook as a rule.
 */
const UNKNOWN_SECONDS = [5, 15, 60, 300, 900, 3_600, 4 * 3_600]
const PENDING_SECONDS = [60, 300, 900, 3_600, 4 * 3_600, 12 * 3_600]

/** The longest pause between two looks: as long as it is open, somebody asks. */
const DAY_SECONDS = 86_400

export function nextLook(attempt: Pick<Attempt, 'status' | 'looks'>, now: Date): Date {
  const pauses = attempt.status === 'pending' ? PENDING_SECONDS : UNKNOWN_SECONDS
  return new Date(now.getTime() + (pauses[attempt.looks] ?? DAY_SECONDS) * 1_000)
}
