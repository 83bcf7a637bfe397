import { Migration } from '@mikro-orm/migrations'

/** The books: accounts, transfers between them, holds on them. Amounts are minor units. */
export class Migration20261120000002_ledger extends Migration {
  override up() {
    this.addSql(`
      create table account (
        id uuid primary key,
        owner text not null,
        purpose text not null,
        asset text not null,
        balance bigint not null default 0,
        held bigint not null default 0 check (held >= 0),
        floor bigint, -- null: a platform account, without a floor and never locked by posting
        entries bigint not null default 0, -- how many transfers it has seen: numbers them without a gap
        closed boolean not null default false,
        opened_at timestamptz not null,
        unique (owner, purpose, asset),
        check (floor is null or balance - held >= floor),
        check (floor is not null or held = 0),
        check (not closed or (balance = 0 and held = 0))
      ) with (fillfactor = 70)`) // room for the next version of a row on its own page, so that no index has to know of it
    // No foreign keys to accounts: checking them locks both accounts' rows for every single transfer, ours among them,
    // which was measured to double the time of a write. Instead only the books write here, accounts are never deleted,
    // and the ledger check looks for transfers without accounts.
    this.addSql(`
      create table transfer (
        id uuid primary key,
        movement text not null,
        operation_id uuid not null,
        position integer not null, -- which transfer of its operation: one operation can never be posted twice
        debit_id uuid not null,
        credit_id uuid not null,
        asset text not null,
        amount bigint not null check (amount > 0),
        -- The running balance and entry number on each side; null on a platform account.
        debit_balance bigint,
        debit_entry bigint,
        credit_balance bigint,
        credit_entry bigint,
        memo text,
        posted_at timestamptz not null,
        check (debit_id <> credit_id),
        check ((debit_balance is null) = (debit_entry is null)),
        check ((credit_balance is null) = (credit_entry is null)),
        unique (operation_id, position)
      )`)
    this.addSql(`create unique index transfer_debit on transfer (debit_id, debit_entry) where debit_entry is not null`)
    this.addSql(
      `create unique index transfer_credit on transfer (credit_id, credit_entry) where credit_entry is not null`,
    )
    this.addSql(`
      create function refuse_change() returns trigger language plpgsql as $$
      begin
        raise exception 'Rows of % are never %d', tg_table_name, lower(tg_op)
          using errcode = 'restrict_violation', hint = 'Post a correcting transfer instead.';
      end $$`)
    this.addSql(`
      create trigger account_stays before delete or truncate on account
      for each statement execute function refuse_change()`)
    this.addSql(`
      create trigger transfer_is_immutable before update or delete or truncate on transfer
      for each statement execute function refuse_change()`)
    this.addSql(`
      create table hold (
        id uuid primary key,
        account_id uuid not null references account,
        operation_id uuid not null,
        amount bigint not null check (amount > 0),
        captured bigint not null default 0 check (captured between 0 and amount),
        status text not null default 'held' check (status in ('held', 'captured', 'released', 'expired')),
        placed_at timestamptz not null,
        expires_at timestamptz,
        ended_at timestamptz,
        check ((status = 'held') = (ended_at is null)),
        check (status = 'captured' or captured = 0)
      )`)
    this.addSql(`create index hold_open on hold (account_id) where status = 'held'`)
    this.addSql(`create index hold_expiry on hold (expires_at) where status = 'held' and expires_at is not null`)
    // What platform accounts have moved since the last roll-up: one row for each batch and account, so that nobody waits.
    this.addSql(`
      create table account_delta (
        id uuid primary key,
        account_id uuid not null,
        amount bigint not null,
        entries bigint not null check (entries > 0)
      ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000)`) // filled and emptied all day
    this.addSql(`
      create table ledger_block (
        number bigint primary key check (number > 0),
        after_id uuid not null, -- exclusive
        through_id uuid not null, -- inclusive
        transfers bigint not null,
        hash bytea not null,
        previous_hash bytea not null,
        sealed_at timestamptz not null,
        check (through_id > after_id)
      )`)
    this.addSql(`
      create trigger ledger_block_is_immutable before update or delete or truncate on ledger_block
      for each statement execute function refuse_change()`)
    this.addSql(`
      create table ledger_check (
        id uuid primary key,
        checked_at timestamptz not null,
        took_ms integer not null,
        findings json not null -- a list; empty when the books are in order
      )`)
  }
}
