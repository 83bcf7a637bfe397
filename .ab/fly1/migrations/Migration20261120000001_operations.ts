import { Migration } from '@mikro-orm/migrations'

/** What was asked for, and under which key. */
export class Migration20261120000001_operations extends Migration {
  override up() {
    this.addSql(`
      create table operation (
        id uuid primary key,
        kind text not null,
        status text not null default 'queued' check (status in ('queued', 'processing', 'succeeded', 'failed', 'stuck')),
        job_id text not null,
        submitted_by text,
        request_id text,
        input json not null,
        result json,
        error json,
        attempts integer not null default 0 check (attempts >= 0),
        submitted_at timestamptz not null,
        started_at timestamptz,
        finished_at timestamptz,
        check ((status in ('succeeded', 'failed')) = (finished_at is not null)),
        check ((status = 'succeeded') = (result is not null)),
        check (status not in ('failed', 'stuck') or error is not null)
      ) with (autovacuum_vacuum_scale_factor = 0.05)`) // every row is written twice: dead versions must not pile up
    // The relay walks what is open, oldest first. A finished operation is in none of the partial indexes.
    this.addSql(`create index operation_open on operation (id) where status in ('queued', 'processing')`)
    this.addSql(`create index operation_stuck on operation (id) where status = 'stuck'`)
    this.addSql(`create index operation_submitter on operation (submitted_by, id) where submitted_by is not null`)
    // Apart from the operations, so that no partition of theirs ever cuts the uniqueness of a key.
    this.addSql(`
      create table idempotency_key (
        scope bytea primary key check (octet_length(scope) = 32),
        fingerprint bytea not null,
        operation_id uuid not null,
        created_at timestamptz not null
      )`)
    this.addSql(`
      create table schedule_run (
        schedule text not null,
        period timestamptz not null,
        operation_id uuid not null,
        started_at timestamptz not null,
        primary key (schedule, period)
      )`)
    // Keys that must outlive a rotation of the encryption key, sealed with it.
    this.addSql(`create table sealed_key (name text primary key, value text not null)`)
    // The shape that rate-limiter-flexible expects; the library keeps the rows.
    this.addSql(
      `create unlogged table rate_limit (key varchar(255) primary key, points integer not null default 0, expire bigint)`,
    )
  }
}
