import { Migration } from '@mikro-orm/migrations'

/** Wallets: who holds one, how much they may move, what was asked of gateways, what came back. Amounts are minor units. */
export class Migration20261121000002_payments extends Migration {
  override up() {
    // One row for each user: its lock puts everything in order that must not happen to one wallet at once.
    this.addSql(`
      create table wallet_holder (
        user_id text primary key,
        time_zone text not null default 'UTC',
        opened_at timestamptz not null
      )`)
    this.addSql(`
      create table kyc_level (
        user_id text not null references wallet_holder,
        starts_at timestamptz not null,
        level text not null check (level in ('BASIC', 'INTERMEDIATE', 'ADVANCED')),
        set_by text not null,
        operation_id uuid not null,
        primary key (user_id, starts_at)
      )`)
    this.addSql(`
      create table kyc_limit (
        level text not null check (level in ('BASIC', 'INTERMEDIATE', 'ADVANCED')),
        currency text not null,
        starts_at timestamptz not null,
        single bigint not null check (single > 0),
        daily bigint not null check (daily >= single),
        monthly bigint not null check (monthly >= daily),
        primary key (level, currency, starts_at)
      )`)
    // Rupees as they were first tabled; the others are the same orders in round figures of their own.
    const figures: [currency: string, minorUnitsOfTenThousandRupees: number][] = [
      ['INR', 1_000_000],
      ['USD', 12_000],
      ['EUR', 11_000],
      ['NGN', 18_000_000],
      ['JPY', 18_000],
      ['KWD', 36_000],
    ]
    const levels: [level: string, single: number, daily: number, monthly: number][] = [
      ['BASIC', 0.5, 1, 10],
      ['INTERMEDIATE', 2.5, 5, 100],
      ['ADVANCED', 10, 50, 500],
    ]
    for (const [currency, unit] of figures)
      for (const [level, single, daily, monthly] of levels)
        this.addSql(
          `insert into kyc_limit (level, currency, starts_at, single, daily, monthly)
           values ('${level}', '${currency}', '-infinity', ${unit * single}, ${unit * daily}, ${unit * monthly})`,
        )
    this.addSql(`
      create table limit_use (
        user_id text not null,
        currency text not null,
        period text not null, -- a day of the user's, 2026-11-20, or a month, 2026-11
        used bigint not null check (used >= 0),
        primary key (user_id, currency, period)
      ) with (fillfactor = 70)`)
    this.addSql(`
      create table payment_method (
        id uuid primary key,
        operation_id uuid not null unique,
        user_id text not null,
        gateway text not null,
        type text not null check (type in ('card', 'upi', 'netbanking', 'wallet', 'bank_transfer')),
        token text not null, -- sealed
        token_digest bytea not null,
        last_four text check (last_four ~ '^[0-9]{4}$'),
        brand text,
        expiry_month smallint check (expiry_month between 1 and 12),
        expiry_year smallint,
        status text not null check (status in ('active', 'removed')),
        added_at timestamptz not null,
        removed_at timestamptz,
        check ((status = 'removed') = (removed_at is not null))
      )`)
    this.addSql(
      `create unique index payment_method_token on payment_method (user_id, gateway, token_digest) where status = 'active'`,
    )
    this.addSql(`
      create table payment (
        id uuid primary key,
        operation_id uuid not null unique,
        user_id text not null,
        type text not null check (type in ('deposit', 'withdrawal', 'refund', 'return')),
        status text not null check (status in
          ('requested', 'pending', 'review', 'completed', 'failed', 'expired', 'canceled', 'returned')),
        currency text not null,
        amount bigint not null check (amount > 0),
        fee bigint not null default 0 check (fee between 0 and amount),
        method text not null,
        payment_method_id uuid references payment_method,
        gateway text, -- where it is being tried, or was done
        description text,
        original_id uuid references payment, -- what a refund or return gives back
        account_id uuid not null,
        hold_id uuid, -- what is set aside for a withdrawal or refund
        -- The limit's day and month that this has used; null when it uses none (any more).
        limit_day text,
        limit_month text,
        refunded bigint not null default 0, -- of a deposit: pending and done
        disputed bigint not null default 0, -- of a deposit: argued about, or lost
        failure_code text,
        failure_message text,
        client_ip text,
        client_device text,
        created_at timestamptz not null,
        expires_at timestamptz,
        completed_at timestamptz,
        check (refunded >= 0 and disputed >= 0),
        check ((limit_day is null) = (limit_month is null)),
        check ((type in ('refund', 'return')) = (original_id is not null)),
        check ((status in ('completed', 'failed', 'expired', 'canceled', 'returned')) = (completed_at is not null))
      )`)
    this.addSql(`create index payment_user on payment (user_id, id)`)
    this.addSql(`create index payment_original on payment (original_id) where original_id is not null`)
    this.addSql(
      `create index payment_expiry on payment (expires_at) where status = 'pending' and expires_at is not null`,
    )
    this.addSql(`create index payment_review on payment (id) where status = 'review'`)
    this.addSql(`create index payment_going_back on payment (id) where type = 'return' and status <> 'completed'`)
    this.addSql(`
      create table gateway_attempt (
        id uuid primary key, -- our reference at the gateway, for ever
        payment_id uuid not null references payment deferrable initially deferred,
        position integer not null check (position >= 0),
        verb text not null check (verb in ('charge', 'refund', 'payout')),
        gateway text not null,
        status text not null check (status in
          ('created', 'sent', 'pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'returned', 'surplus')),
        amount bigint not null check (amount > 0),
        currency text not null,
        charge_id text, -- of a refund: what the gateway calls the money that it gives back
        gateway_id text, -- what the gateway calls it while it is open: pi_…, order_…
        moved_id text, -- what it calls the money that moved: pi_…, pay_…
        moved bigint, -- what it says has moved
        moved_currency text,
        code text,
        message text,
        looks integer not null default 0 check (looks >= 0),
        asked_at timestamptz,
        answered_at timestamptz,
        look_at timestamptz, -- when to ask again how it stands; null when there is nothing to ask
        unique (payment_id, position),
        check ((moved is null) = (moved_currency is null)),
        check (status <> 'succeeded' or moved_id is not null)
      )`)
    this.addSql(`create index gateway_attempt_due on gateway_attempt (look_at) where look_at is not null`)
    this.addSql(
      `create index gateway_attempt_named on gateway_attempt (gateway, gateway_id) where gateway_id is not null`,
    )
    this.addSql(`create index gateway_attempt_moved on gateway_attempt (gateway, moved_id) where moved_id is not null`)
    this.addSql(
      `create index gateway_attempt_refunds on gateway_attempt (gateway, charge_id) where charge_id is not null`,
    )
    this.addSql(`create index gateway_attempt_time on gateway_attempt (gateway, asked_at)`)
    this.addSql(`
      create table dispute (
        id uuid primary key,
        gateway text not null,
        gateway_id text not null,
        payment_id uuid not null references payment,
        status text not null check (status in ('needs_response', 'under_review', 'won', 'lost')),
        currency text not null,
        amount bigint not null check (amount >= 0),
        taken bigint not null check (taken between 0 and amount), -- from the wallet; the rest is our loss for now
        opened_at timestamptz not null,
        closed_at timestamptz,
        unique (gateway, gateway_id),
        check ((status in ('won', 'lost')) = (closed_at is not null))
      )`)
    this.addSql(`create index dispute_open on dispute (opened_at) where closed_at is null`)
    this.addSql(`
      create table webhook (
        id uuid primary key,
        gateway text not null,
        event_id text not null,
        type text not null,
        about json not null,
        raw bytea not null, -- sealed with the keyring: it may quote what must not be read
        status text not null default 'received' check (status in ('received', 'processed', 'parked', 'ignored')),
        note text,
        tries integer not null default 0,
        try_at timestamptz, -- of a parked one
        received_at timestamptz not null,
        finished_at timestamptz,
        unique (gateway, event_id),
        check ((status = 'parked') = (try_at is not null)),
        check ((status in ('processed', 'ignored')) = (finished_at is not null))
      )`)
    this.addSql(`create index webhook_parked on webhook (try_at) where status = 'parked'`)
    this.addSql(`create index webhook_received on webhook (gateway, received_at)`)
    this.addSql(`
      create table fraud_decision (
        id uuid primary key,
        operation_id uuid not null unique,
        user_id text not null,
        payment_id uuid references payment deferrable initially deferred, -- of one that was let through
        type text not null check (type in ('deposit', 'withdrawal')),
        currency text not null,
        amount bigint not null check (amount > 0),
        method text not null, -- a saved one's id, or how it was to be paid
        client_ip text,
        network cidr, -- in which that address is
        device text, -- a digest of what its software says of itself
        hour smallint not null check (hour between 0 and 23), -- of the user's own day
        indicators text[] not null,
        score double precision not null check (score between 0 and 1),
        reasons json not null,
        decision text not null check (decision in ('allow', 'observed', 'review', 'approved', 'rejected')),
        decided_at timestamptz not null,
        reviewed_by text,
        reviewed_at timestamptz,
        note text,
        passes_until timestamptz, -- of an approved one: the user may repeat it until then
        check ((decision in ('approved', 'rejected')) = (reviewed_at is not null)),
        check ((decision = 'approved') = (passes_until is not null)),
        check (payment_id is null or decision in ('allow', 'observed'))
      )`)
    this.addSql(`create index fraud_decision_user on fraud_decision (user_id, id)`)
    this.addSql(`create index fraud_decision_open on fraud_decision (id) where decision = 'review'`)
    this.addSql(
      `create index fraud_decision_pass on fraud_decision (user_id, passes_until) where decision = 'approved'`,
    )
    // What is learned of each user's amounts: count, mean and sum of squared distances of their natural logarithms.
    this.addSql(`
      create table fraud_profile (
        user_id text not null,
        type text not null check (type in ('deposit', 'withdrawal')),
        currency text not null,
        seen double precision not null check (seen >= 1),
        mean double precision not null,
        squares double precision not null check (squares >= 0),
        primary key (user_id, type, currency)
      ) with (fillfactor = 70)`)
    this.addSql(`
      create table audit_event (
        id uuid primary key,
        type text not null,
        category text not null check (category in ('audit', 'security')),
        user_id text,
        body json not null, -- canonical: its keys sorted, as its text was hashed
        audit_hash bytea not null, -- SHA-256 of the body's text
        at timestamptz not null
      )`)
    this.addSql(`create index audit_event_user on audit_event (user_id, id)`)
    this.addSql(`create index audit_event_type on audit_event (category, type, id)`)
    this.addSql(`
      create trigger audit_event_is_immutable before update or delete or truncate on audit_event
      for each statement execute function refuse_change()`)
    this.addSql(`
      create table audit_block (
        number bigint primary key check (number > 0),
        after_id uuid not null, -- exclusive
        through_id uuid not null, -- inclusive
        events bigint not null,
        hash bytea not null,
        previous_hash bytea not null,
        sealed_at timestamptz not null,
        check (through_id > after_id)
      )`)
    this.addSql(`
      create trigger audit_block_is_immutable before update or delete or truncate on audit_block
      for each statement execute function refuse_change()`)
    // How far sealed events have been appended to a file.
    this.addSql(`
      create table audit_file (
        path text primary key,
        after_id uuid not null, -- the last event in it
        bytes bigint not null check (bytes >= 0)
      )`)
    this.addSql(`
      create table reconciliation (
        id uuid primary key,
        operation_id uuid not null unique,
        gateway text not null,
        from_at timestamptz not null,
        until_at timestamptz not null,
        status text not null check (status in ('listing', 'asking', 'done')),
        next_page text, -- where reading their list goes on
        compared integer not null default 0 check (compared >= 0),
        findings json not null default '[]', -- missing, extra and different ones, with what was done about each
        found integer not null default 0 check (found >= 0), -- the findings show the first of them
        for_person integer not null default 0 check (for_person between 0 and found),
        started_at timestamptz not null,
        finished_at timestamptz,
        check (until_at > from_at),
        check ((status = 'done') = (finished_at is not null))
      )`)
    // Their list, while it is compared.
    this.addSql(`
      create table reconciliation_line (
        reconciliation_id uuid not null references reconciliation,
        type text not null check (type in ('charge', 'refund', 'payout')),
        gateway_id text not null,
        reference text,
        status text not null check (status in ('succeeded', 'pending', 'failed', 'returned', 'absent')),
        amount bigint,
        currency text,
        at timestamptz,
        asked boolean not null default false, -- not from the list, but by asking for this one
        primary key (reconciliation_id, type, gateway_id)
      )`)
    this.addSql(`create index reconciliation_gateway on reconciliation (gateway, id)`)
  }
}
