import { clearingAccounts, openFindings } from '../domain/reconciliation/reads.ts'
import { tokensInUse } from '../domain/tokens/reads.ts'
import { inboxState } from '../domain/webhooks/reads.ts'
import { vault } from '../gateways/vault.ts'
import { voiceService } from '../gateways/voice.ts'
import { firstIdAt } from '../kit/ids.ts'
import type { Sql } from '../kit/sql.ts'
import type { Questions } from '../platform/metric-questions.ts'
import type { Foundation } from './foundation.ts'

/** What metrics and health ask the stores. */
export function questions(
  reads: Sql,
  { clock, queues, queueNames, gateways }: Foundation,
  intakeWaiting: () => number,
) {
  const startedAt = firstIdAt(new Date())
  return {
    tokensInUse: () => tokensInUse(reads, clock.now()),
    async depths() {
      const depths = await Promise.all(queueNames.map(async (name) => [name, await queues.depths(name)] as const))
      return Object.fromEntries(depths)
    },
    async ledgerCheck() {
      const [row] = await reads.query<{ checked_at: Date; findings: number }>(
        `select checked_at, json_array_length(findings) as findings from ledger_check order by id desc limit 1`,
      )
      return row && { checkedAt: row.checked_at, findings: row.findings }
    },
    async relayWatch() {
      const [row] = await reads.query<{ watched_at: Date; left_behind: number; overdue: number }>(
        'select watched_at, left_behind, overdue from relay_watch',
      )
      return row && { watchedAt: row.watched_at, leftBehind: row.left_behind, overdue: row.overdue }
    },
    async openOperations() {
      const rows = await reads.query<{ status: string; count: string; oldest: Date | null }>(
        `select 'open' as status, count(*), min(submitted_at) as oldest from operation where status in ('queued', 'processing')
         union all
         select 'stuck', count(*), min(submitted_at) from operation where status = 'stuck'`,
      )
      return rows.map(({ status, count, oldest }) => ({
        status,
        count: Number(count),
        oldestSeconds: oldest === null ? 0 : (clock.now().getTime() - oldest.getTime()) / 1_000,
      }))
    },
    intakeWaiting,
    database: () => reads.query('select 1'),
    circuits: () =>
      [...gateways].map(([gateway, { circuit }]) => ({ gateway, state: circuit.state, openings: circuit.openings })),
    async paymentsInReview() {
      const [row] = await reads.query<{ count: string }>(`select count(*) from payment where status = 'review'`)
      return Number(row?.count ?? 0)
    },
    parkedWebhooks: () => inboxState(reads),
    async clearing() {
      const now = clock.now().getTime()
      const accounts = await clearingAccounts(reads)
      return accounts.map(({ oldest, ...account }) => ({
        ...account,
        oldestSeconds: oldest === null ? undefined : (now - oldest.getTime()) / 1_000,
      }))
    },
    reconciliations: () => openFindings(reads),
    async securityEvents() {
      const rows = await reads.query<{ type: string; count: string }>(
        `select type, count(*) from audit_event where category = 'security' and id >= $1 group by type`,
        [startedAt],
      )
      return rows.map(({ type, count }) => ({ type, count: Number(count) }))
    },
  } satisfies Questions
}

/** Whether each of the others can be reached. */
export function dependencies({
  config,
  queues,
  voiceUrl,
  gateways,
}: Foundation): Readonly<Record<string, () => Promise<boolean>>> {
  const voice = voiceService({ url: voiceUrl, timeoutMs: config.voice.timeoutMs })
  const records = config.vault && vault(config.vault)
  return {
    queue: () => queues.reachable(),
    voice_service: () => voice.reachable(),
    ...Object.fromEntries([...gateways].map(([name, gateway]) => [name, () => gateway.reachable()])),
    ...(records === undefined ? {} : { vault: () => records.reachable() }),
  }
}
