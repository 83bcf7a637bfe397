import { recordUsage } from '../../src/jobs/usage.ts'
import type { Told } from '../records.ts'
import type { Billed } from './billing-audit.ts'
import { type Used, whole } from './billing-reckoning.ts'
import type { Event } from './billing-wishes.ts'
import { SEEDED } from './billing-world.ts'

export type UsageRow = Used

interface Answered {
  readonly index: number
  readonly event_id: string
  readonly outcome: 'recorded' | 'duplicate' | 'refused'
  readonly late_for?: string
}

/** Every event is kept once, as the one request says that was told «recorded»; all others were told so, too. */
export function auditUsage({ usage, operations, finds }: Billed, told: readonly Told[]): void {
  const kept = new Map(usage.map((row) => [`${row.customer} ${row.id}`, row]))
  const recorded = new Set<string>()
  for (const { kind, operationId = '', body } of told) {
    const operation = operations.get(operationId)
    if (kind !== recordUsage.name || operation?.status !== 'succeeded') continue
    const sent = (body as { events?: readonly Event[] }).events ?? [body as Event]
    const answers = (operation.result as { events: readonly Answered[] }).events
    if (answers.length !== sent.length)
      finds('told', `usage.record ${operationId} answered ${answers.length} of ${sent.length} events`)
    for (const { index, event_id: id, outcome, late_for: lateFor } of answers) {
      const event = sent[index]
      if (event === undefined) continue
      const name = `${event.user_id} ${id}`
      const row = kept.get(name)
      const wrong = (sort: 'told' | 'lost' | 'doubled', says: string) =>
        finds(sort, `Event ${name} of usage.record ${operationId} ${says}`)
      if (event.event_id !== undefined && event.event_id !== id) wrong('told', `was called ${event.event_id}`)
      if (outcome === 'refused') {
        if (event.metric !== 'moonbeams') wrong('lost', 'was refused')
        continue
      }
      if (event.metric === 'moonbeams') wrong('told', `was ${outcome}, and nothing like it is counted`)
      if (row === undefined) {
        wrong('lost', `was ${outcome}, and is not there`)
        continue
      }
      if (outcome === 'duplicate') continue
      if (recorded.has(name)) wrong('doubled', 'was recorded before')
      recorded.add(name)
      if (!isSame(row, event)) wrong('told', `is kept as ${JSON.stringify(row)}, and was ${JSON.stringify(event)}`)
      if (row.takenIn !== (lateFor ?? null)) wrong('told', `is taken in by ${row.takenIn}, and was told ${lateFor}`)
    }
  }
  for (const [name, { id }] of kept)
    if (!recorded.has(name) && !id.startsWith(SEEDED))
      finds('doubled', `Nobody was told that event ${name} is recorded`)
}

const isSame = (row: UsageRow, { metric, quantity = 1, value, timestamp }: Event): boolean =>
  row.metric === metric &&
  row.value === (value ?? null) &&
  whole(row.quantity, 6) === whole(String(quantity), 6) &&
  row.at.getTime() === Date.parse(timestamp)
