import type { KindName } from '../jobs/catalogue.ts'

/** Something that is asked for by the clock. */
export interface Schedule {
  readonly name: string
  readonly kind: KindName
  readonly cron: string
  readonly timezone: string
  /** Its days begin where the issuer's do: `inZone` says where that is. */
  readonly ofIssuer?: true
  /**
   * After downtime: `all` runs every missed period in order (work that belongs to its period), `last` only the newest
   * (upkeep that makes up for all that was missed).
   */
  readonly catchUp: 'all' | 'last'
  /**
   * Of one that never ran: begins with the first period after somebody first looked, and not with the newest one. What is
   * before the installation is an operator's to start.
   */
  readonly first?: 'next'
  readonly says: string
}

export const schedules = [
  {
    name: 'expire-tokens',
    kind: 'token.sweep',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Tokens whose hour is over give their remainder back',
  },
  {
    name: 'follow-payments',
    kind: 'payment.follow',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Open payments are looked up at their gateways, and those whose customers never came back expire',
  },
  {
    name: 'unpark-webhooks',
    kind: 'webhook.unpark',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Webhooks about something that was not known when they came are tried again',
  },
  {
    name: 'reconcile-gateways',
    kind: 'reconciliation.plan',
    cron: '41 1 * * *',
    timezone: 'UTC',
    catchUp: 'all',
    says: 'The day before is compared with each gateway’s own list',
  },
  {
    name: 'invoice-month',
    kind: 'invoice.run',
    cron: '0 0 1 * *',
    timezone: 'UTC',
    ofIssuer: true,
    catchUp: 'all',
    first: 'next',
    says: 'The month that is over is billed to every customer',
  },
  {
    name: 'mark-overdue',
    kind: 'invoice.overdue',
    cron: '0 0 * * *',
    timezone: 'UTC',
    ofIssuer: true,
    catchUp: 'last',
    says: 'Open invoices whose last day is over are overdue',
  },
  {
    name: 'dun-invoices',
    kind: 'invoice.dun',
    cron: '17 * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Invoices that are overdue are collected, and again 2, 7, 14 and 21 days later',
  },
  {
    name: 'follow-invoices',
    kind: 'invoice.follow',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Payments of invoices in doubt are looked up, what Stripe must not collect any more is withdrawn, letters are sent',
  },
  {
    name: 'roll-up-usage',
    kind: 'usage.rollup',
    cron: '37 * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Days in which usage was recorded since the last time are summed by customer and metric',
  },
  {
    name: 'watch-relay',
    kind: 'relay.watch',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Operations that nobody brings to their end and schedules that are overdue are counted for the alarm',
  },
  {
    name: 'tidy-ledger',
    kind: 'ledger.tidy',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Platform balances are rolled up, holds that ran out are released',
  },
  {
    name: 'seal-ledger',
    kind: 'ledger.seal',
    cron: '*/10 * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Transfers are sealed into blocks',
  },
  {
    name: 'seal-audit',
    kind: 'audit.seal',
    cron: '* * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Audit and security events are sealed into blocks, and appended to the audit log’s file',
  },
  {
    name: 'check-ledger',
    kind: 'ledger.check',
    cron: '7 * * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'The books are checked and the metric is set',
  },
  {
    name: 'prune-operations',
    kind: 'operation.prune',
    cron: '23 3 * * *',
    timezone: 'UTC',
    catchUp: 'last',
    says: 'Operations and keys beyond their retention are forgotten',
  },
] as const satisfies readonly Schedule[]

/** The schedules with the issuer's zone in its place. */
export const inZone = (all: readonly Schedule[], zone: string): Schedule[] =>
  all.map((schedule) => (schedule.ofIssuer === true ? { ...schedule, timezone: zone } : schedule))
