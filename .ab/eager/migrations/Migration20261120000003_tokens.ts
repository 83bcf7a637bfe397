import { Migration } from '@mikro-orm/migrations'

/** Payment tokens, and how much each voice has been allowed in its day and month. */
export class Migration20261120000003_tokens extends Migration {
  override up() {
    this.addSql(`
      create table token (
        id uuid primary key, -- a credential: random, UUIDv4
        operation_id uuid not null unique,
        account_id uuid unique references account,
        status text not null check (status in ('requested', 'active', 'declined', 'expired', 'revoked')),
        budget bigint not null check (budget > 0),
        voice_id text not null, -- sealed
        voice_digest bytea not null,
        requested_at timestamptz not null,
        issued_at timestamptz,
        expires_at timestamptz,
        closed_at timestamptz,
        check ((status in ('active', 'expired', 'revoked')) = (account_id is not null)),
        check ((account_id is null) = (issued_at is null)),
        check ((account_id is null) = (expires_at is null)),
        check ((status in ('expired', 'revoked', 'declined')) = (closed_at is not null))
      )`)
    this.addSql(`create index token_active on token (expires_at) where status = 'active'`)
    this.addSql(`
      create table voice_allowance (
        voice_digest bytea not null,
        period text not null, -- a UTC day, 2026-11-20, or a UTC month, 2026-11
        used bigint not null check (used >= 0),
        primary key (voice_digest, period)
      ) with (fillfactor = 70)`)
  }
}
