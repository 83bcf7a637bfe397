import { compare, type Doubt, doubts } from '../../domain/reconciliation/compare.ts'
import { keepLines, type Line } from '../../domain/reconciliation/lines.ts'
import { reconciliationRefusals } from '../../domain/reconciliation/refusals.ts'
import { closeRun, type Outcome, openRun, type Run, readOn } from '../../domain/reconciliation/run.ts'
import type { Gateway, Listed } from '../../gateways/port.ts'
import { runReconciliation } from '../../jobs/reconciliation.ts'
import { Fault } from '../../kit/fault.ts'
import { ASK_NEXT, staged } from '../shapes/staged.ts'

/** Lines in memory at once, about: their list is kept in the database, whatever its length. */
const LINES_AT_ONCE = 1_000

/** Asked about one by one in a round, and how many of those at once: gateways limit rates by the second. */
const DOUBTS_AT_ONCE = 40
const SIDE_BY_SIDE = 5

/** More than these are one cause, such as another account’s keys: the rest is reported as missing without being asked for. */
const MAX_DOUBTS = 400

type Read =
  | { readonly lines: readonly Line[]; readonly next: string | undefined }
  | { readonly asked: readonly Line[] }
  | { readonly outcome: Outcome }

/**
 * One round reads some of the gateway's list, or asks for some of what it lacks, and keeps it; the last one compares. A crash
 * costs the round that it was in.
 */
export const reconciliationRun = staged(runReconciliation, {
  async begin({ sql, input, operation, now }, { gateways }) {
    if (!gateways.has(input.gateway)) throw reconciliationRefusals.notConfigured({ gateway: input.gateway })
    return openRun(sql, {
      operationId: operation.id,
      gateway: input.gateway,
      from: new Date(input.from),
      until: new Date(input.until),
      now,
    })
  },

  async call({ begun, input }, services): Promise<Read> {
    const gateway = services.gateways.get(input.gateway)
    if (gateway === undefined) throw new Fault(`${input.gateway} is not configured any more`)
    if (begun.status === 'listing') return someOfTheirList(gateway, begun)
    const doubted = await services.longReads((sql) => doubts(sql, begun.id, { page: DOUBTS_AT_ONCE, all: MAX_DOUBTS }))
    if (doubted.length > 0) return { asked: await askedFor(gateway, doubted) }
    return { outcome: await services.longReads((sql) => compare(sql, begun.id)) }
  },

  async finish({ sql, now, followUp }, { begun, answer }) {
    if ('lines' in answer) {
      await keepLines(sql, begun.id, answer.lines, false)
      await readOn(sql, begun.id, answer.next)
      return ASK_NEXT
    }
    if ('asked' in answer) {
      await keepLines(sql, begun.id, answer.asked, true)
      return ASK_NEXT
    }
    const { compared, found, forPerson, findings } = answer.outcome
    for (const { operation_id: id, attempt_id } of findings)
      if (id !== null) followUp({ id, kind: 'payment.lookup', input: { attempt_id } })
    await closeRun(sql, begun.id, answer.outcome, now)
    return { reconciliation_id: begun.id, compared, found, for_person: forPerson }
  },
})

async function someOfTheirList(gateway: Gateway, { from, until, nextPage }: Run): Promise<Read> {
  const lines: Line[] = []
  let next = nextPage
  do {
    const page = await gateway.list({ from, until, ...(next === undefined ? {} : { cursor: next }) })
    lines.push(...page.items.map(lineOf))
    next = page.next
  } while (next !== undefined && lines.length < LINES_AT_ONCE)
  return { lines, next }
}

const lineOf = ({ type, id, reference, status, amount, currency, at }: Listed): Line => ({
  ...{ type, gatewayId: id, reference, status, amount, currency, at },
})

async function askedFor(gateway: Gateway, doubted: readonly Doubt[]): Promise<Line[]> {
  const left = [...doubted]
  const lines: Line[] = []
  while (left.length > 0)
    lines.push(...(await Promise.all(left.splice(0, SIDE_BY_SIDE).map((doubt) => askFor(gateway, doubt)))))
  return lines
}

/** How the gateway has what its list lacks, as a line of that list. */
async function askFor(gateway: Gateway, { attemptId: reference, verb, movedId, chargeId }: Doubt): Promise<Line> {
  const state = await lookUp()
  const line = { type: verb, gatewayId: movedId, reference, amount: undefined, currency: undefined, at: undefined }
  switch (state.outcome) {
    case 'succeeded':
      return { ...line, status: 'succeeded', amount: state.amount, currency: state.currency }
    case 'returned':
      return { ...line, status: 'returned', amount: state.amount, currency: state.currency }
    case 'pending':
      return { ...line, status: 'pending', amount: state.amount, currency: state.currency }
    case 'declined':
      return { ...line, status: 'failed' }
    case 'absent':
      return { ...line, status: 'absent' }
    case 'not_sent':
    case 'unknown':
      throw new Fault(`${gateway.name} could not be asked for one that its list lacks: ${state.reason}`)
  }

  function lookUp() {
    if (verb === 'charge') return gateway.lookUpCharge({ reference, chargeId: movedId })
    if (verb === 'payout') return gateway.lookUpPayout({ reference, payoutId: movedId })
    return gateway.lookUpRefund({ reference, chargeId: chargeId ?? '', refundId: movedId })
  }
}
