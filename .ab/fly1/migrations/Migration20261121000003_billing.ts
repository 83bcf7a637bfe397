import { Migration } from '@mikro-orm/migrations'

/** Usage, prices and invoices. Amounts are minor units; prices and quantities are decimals of their own. */
export class Migration20261121000003_billing extends Migration {
  override up() {
    this.addSql(`
      create table usage_metric (
        code text primary key,
        aggregation text not null check (aggregation in ('count', 'sum', 'max', 'unique', 'latest')),
        unit text not null,
        description text not null
      )`)
    this.addSql(`
      create table plan (
        code text primary key,
        name text not null,
        cycle text not null check (cycle in ('none', 'monthly', 'annual')),
        features text not null
      )`)
    this.addSql(`
      create table plan_price (
        plan text not null references plan,
        metric text references usage_metric, -- null: the plan's own fee for a cycle
        currency text not null,
        starts_on date not null, -- a change has a start: periods before it keep their price
        model text not null check (model in ('flat', 'per_unit', 'graduated', 'volume', 'package')),
        terms json not null, -- by the model: unit_amount, free_units, tiers, package_size; decimals as text
        unique nulls not distinct (plan, metric, currency, starts_on),
        check ((metric is null) = (model = 'flat'))
      )`)
    this.addSql(`
      insert into usage_metric (code, aggregation, unit, description) values
        ('api_calls', 'sum', 'call', 'API calls'),
        ('agent_runs', 'count', 'run', 'Agent runs'),
        ('active_users', 'unique', 'user', 'Active users'),
        ('storage_gb', 'max', 'GB', 'Storage at its highest'),
        ('seats', 'latest', 'seat', 'Seats at the end')`)
    this.addSql(`
      insert into plan (code, name, cycle, features) values
        ('free', 'Free', 'none', '1,000 API calls a month'),
        ('pro', 'Pro', 'monthly', '50,000 API calls a month'),
        ('enterprise', 'Enterprise', 'annual', 'Unlimited API calls')`)
    // In every currency that a customer may have. Only API calls are charged for until somebody prices the rest.
    this.addSql(`
      with listed (currency, free_overage, pro_fee, pro_overage, enterprise_fee) as (values
        ('USD', '0.002', '29.99', '0.001', '4990'),
        ('EUR', '0.002', '29.99', '0.001', '4990'),
        ('INR', '0.15', '2499', '0.08', '415000'),
        ('NGN', '3', '45000', '1.5', '7490000'),
        ('JPY', '0.3', '4500', '0.15', '750000'),
        ('KWD', '0.0006', '9.25', '0.0003', '1535')
      )
      insert into plan_price (plan, metric, currency, starts_on, model, terms)
      select plan, metric, currency, date '2000-01-01', model, terms from listed cross join lateral (values
        ('free', 'api_calls', 'per_unit', json_build_object('free_units', '1000', 'unit_amount', free_overage)),
        ('pro', null, 'flat', json_build_object('amount', pro_fee)),
        ('pro', 'api_calls', 'per_unit', json_build_object('free_units', '50000', 'unit_amount', pro_overage)),
        ('enterprise', null, 'flat', json_build_object('amount', enterprise_fee)),
        ('enterprise', 'api_calls', 'per_unit', json_build_object('unit_amount', '0'))
      ) priced (plan, metric, model, terms)`)
    this.addSql(`
      create table billing_customer (
        id text primary key, -- the user's id
        number bigint generated always as identity unique, -- the user's part of invoice numbers
        plan text not null references plan,
        currency text not null,
        name text,
        email text, -- sealed
        address text, -- sealed
        country text check (country ~ '^[A-Z]{2}$'),
        tax_id text,
        discount_percent numeric(5, 2) not null default 0 check (discount_percent between 0 and 100),
        starts_on date not null, -- usage before it is refused
        ends_on date, -- the last day
        brought bigint not null default 0 check (brought >= 0), -- owed, too little to be collected by itself: the next invoice asks for it
        stripe_id text, -- what Stripe calls them: cus_…
        credit bigint not null default 0 check (credit >= 0), -- before tax, of adjustments: the next invoice takes it off
        created_at timestamptz not null
      )`)
    this.addSql(`create index billing_customer_end on billing_customer (ends_on) where ends_on is not null`)
    // Usage that comes for a closed month is late: written with the month that takes it in (src/domain/usage/close.ts).
    this.addSql(`
      create table closed_month (
        month text not null check (month ~ '^[0-9]{4}-[0-9]{2}$'),
        customer_id text not null, -- '': everybody
        closed_at timestamptz not null,
        primary key (month, customer_id)
      )`)
    this.addSql(`
      create table usage_event (
        customer_id text not null,
        at timestamptz not null,
        metric text not null,
        quantity numeric(24, 6) not null,
        value text, -- what is counted once by unique metrics
        event_id text not null,
        billed_month text, -- of a late one, whose month was closed when it came: the month that takes it in, 2026-11
        received_at timestamptz not null,
        written_at timestamptz not null default clock_timestamp() -- by the database's clock: what days are summed anew
      )`)
    // One pass over one customer's month, in one index and nothing else; the identity of an event beside it.
    this.addSql(
      `create index usage_event_month on usage_event (customer_id, at) include (metric, quantity, billed_month)`,
    )
    this.addSql(`create unique index usage_event_identity on usage_event (customer_id, event_id)`)
    // Rows lie in the order in which they were written: a few bytes for each 128 pages find those of an hour.
    this.addSql(`create index usage_event_written on usage_event using brin (written_at) with (autosummarize = on)`)
    // What was used by day (src/domain/usage/roll-up.ts): the days, those to be summed anew, and how far it is.
    this.addSql(`
      create table usage_day (
        customer_id text not null,
        day date not null, -- the issuer's
        metric text not null,
        events bigint not null check (events > 0),
        quantity numeric not null, -- below 0 where corrections came on another day
        primary key (customer_id, day, metric)
      )`)
    this.addSql(`
      create table usage_day_stale (
        day date not null,
        customer_id text not null,
        primary key (day, customer_id)
      )`)
    this.addSql(`
      create table usage_roll_up (
        one boolean primary key default true check (one),
        gathered_until timestamptz not null, -- days of events written before it are in usage_day_stale, or summed
        as_of timestamptz -- null: never
      )`)
    this.addSql(`insert into usage_roll_up (gathered_until) values ('2000-01-01T00:00:00Z')`)
    this.addSql(
      `create index usage_event_late on usage_event (customer_id, billed_month) where billed_month is not null`,
    )
    this.addSql(`
      create table tax_rate (
        country text not null check (country ~ '^[A-Z]{2}$'),
        starts_on date not null,
        percent numeric(6, 3) not null check (percent between 0 and 100),
        name text not null, -- VAT, GST, …
        inclusive boolean not null, -- prices hold the tax already
        reverse_charge boolean not null, -- customers there with a tax id, abroad, account for it themselves
        primary key (country, starts_on)
      )`)
    this.addSql(`
      create table invoice_counter (
        issuer text primary key,
        last bigint not null default 0 check (last >= 0)
      )`)
    // No foreign keys from invoices to customers and from lines to invoices: each row of a month for everybody would be looked
    // up one by one, which was measured to take longer than everything else. Both are written by one function each
    // (src/domain/billing/issue.ts), customers are never deleted, and of invoices only drafts are, with their lines.
    this.addSql(`
      create table invoice (
        id bigint generated by default as identity primary key,
        operation_id uuid not null,
        issuer text not null,
        customer_id text not null,
        type text not null default 'invoice' check (type in ('invoice', 'credit_note')),
        origin text not null check (origin in ('usage', 'manual', 'credit')),
        month text check (month ~ '^[0-9]{4}-[0-9]{2}$'), -- of usage
        run_id uuid, -- of the run that made it
        description text,
        status text not null check (status in ('draft', 'finalizing', 'open', 'paid', 'uncollectible', 'void')),
        sequence bigint, -- gapless per issuer, in the order of finalisation
        number text unique,
        currency text not null,
        subtotal bigint not null check (subtotal >= 0), -- of its lines
        discount_percent numeric(5, 2) not null default 0 check (discount_percent between 0 and 100),
        discount bigint not null default 0 check (discount between 0 and subtotal),
        tax bigint not null default 0 check (tax >= 0),
        tax_name text,
        tax_percent numeric(6, 3) not null default 0,
        tax_inclusive boolean not null default false,
        reverse_charge boolean not null default false,
        total bigint not null check (total >= 0),
        brought bigint not null default 0 check (brought >= 0), -- owed from invoices that were too small, asked for here
        carried bigint not null default 0 check (carried between 0 and total), -- too little: the next invoice asks for it
        amount_paid bigint not null default 0 check (amount_paid between 0 and total + brought),
        credited bigint not null default 0 check (credited between 0 and total), -- by credit notes
        refunded bigint not null default 0 check (refunded between 0 and credited), -- of it, to the wallet: it was paid
        due bigint not null generated always as
          (case when status = 'void' or type = 'credit_note' then 0 else total + brought - carried - amount_paid - credited + refunded end) stored
          check (due >= 0),
        credit_change bigint not null default 0, -- of the customer's credit: more by it, or less
        credits_id bigint references invoice, -- of a credit note: the invoice that it corrects
        reason text, -- of a credit note, a write-off
        gateway text,
        gateway_id text, -- what the gateway calls it: in_…
        gateway_look_at timestamptz, -- when it is looked up there, should no webhook come
        gateway_copies integer not null default 0, -- made there and withdrawn: the next one has a name of its own
        gateway_amount bigint, -- what can be paid there; null: nothing (yet, or any more)
        payment_url text,
        dunning_step integer not null default 0,
        dunning_at timestamptz, -- when it is collected next
        last_failure text,
        sent_at timestamptz, -- handed over to be sent, by whoever issues it
        mail_at timestamptz, -- when its letter is asked for again, should that be lost
        mailed_at timestamptz, -- taken by the mail server
        mail_note text, -- why no letter was sent, and none will be
        created_at timestamptz not null,
        issued_at timestamptz,
        due_at timestamptz,
        overdue boolean not null default false,
        paid_at timestamptz,
        closed_at timestamptz,
        unique (issuer, sequence),
        check ((status in ('draft', 'finalizing')) = (sequence is null)),
        check ((sequence is null) = (number is null)),
        check ((sequence is null) = (issued_at is null)),
        check ((status = 'paid') = (paid_at is not null)),
        check (status <> 'paid' or due = 0),
        check ((type = 'credit_note') = (credits_id is not null))
      )`)
    // Each customer's month once, whoever starts it; a run finds those of a span of customers side by side.
    this.addSql(
      `create unique index invoice_month on invoice (issuer, month, customer_id) where origin = 'usage' and status <> 'void'`, // a void one may be made again
    )
    this.addSql(`create index invoice_customer on invoice (customer_id, id)`)
    this.addSql(`create index invoice_due on invoice (due_at) where status = 'open' and not overdue`)
    this.addSql(`create index invoice_dunning on invoice (dunning_at) where dunning_at is not null`)
    this.addSql(`create index invoice_credits on invoice (credits_id) where credits_id is not null`)
    this.addSql(`create index invoice_gateway on invoice (gateway, gateway_id) where gateway_id is not null`)
    this.addSql(`create index invoice_copy on invoice (gateway_look_at) where gateway_amount is not null`)
    this.addSql(
      `create index invoice_mail on invoice (id) where sent_at is not null and mailed_at is null and mail_note is null`,
    )
    this.addSql(`
      create table invoice_line (
        invoice_id bigint not null,
        position integer not null check (position >= 0),
        metric text,
        month text, -- of the usage; before the invoice's own for late events, whose lines are adjustments
        description text not null,
        quantity numeric not null, -- a month of events may add up to more digits than one has
        unit_price numeric(24, 9), -- null where tiers make it several
        amount bigint not null, -- below 0 where late usage makes a month cheaper
        discount bigint not null default 0, -- its share of the invoice's
        primary key (invoice_id, position)
      )`)
    // Copies at Stripe that cannot be paid any more, so that news of one is understood when the invoice has another.
    this.addSql(`
      create table invoice_copy_closed (
        gateway text not null,
        gateway_id text not null,
        invoice_id bigint not null references invoice on delete cascade,
        primary key (gateway, gateway_id)
      )`)
    this.addSql(`
      create table invoice_payment (
        id uuid primary key,
        invoice_id bigint not null references invoice,
        operation_id uuid not null,
        gateway text not null,
        gateway_id text, -- what the gateway calls the money that moved: pi_…
        status text not null check
          (status in ('created', 'sent', 'pending', 'unknown', 'succeeded', 'declined', 'not_sent', 'review', 'accepted')),
        amount bigint not null check (amount > 0), -- what was asked for
        source text, -- sealed: the saved method; null: paid on the gateway's own page
        moved bigint, -- what the gateway says it moved
        moved_currency text,
        code text,
        message text,
        looks integer not null default 0,
        created_at timestamptz not null,
        asked_at timestamptz,
        answered_at timestamptz,
        look_at timestamptz
      )`)
    this.addSql(`create unique index invoice_payment_operation on invoice_payment (operation_id)`)
    this.addSql(
      `create index invoice_payment_moved on invoice_payment (gateway, gateway_id) where gateway_id is not null`,
    )
    this.addSql(`create index invoice_payment_look on invoice_payment (look_at) where look_at is not null`)
    this.addSql(`create index invoice_payment_review on invoice_payment (id) where status = 'review'`)
    // Two people at one pay button: one question at a time.
    this.addSql(
      `create unique index invoice_payment_open on invoice_payment (invoice_id) where status in ('created', 'sent', 'pending', 'unknown')`,
    )
    this.addSql(`
      create table run (
        id uuid primary key, -- the operation that planned it
        kind text not null,
        subject text not null, -- the issuer
        period text not null,
        status text not null check (status in ('planning', 'running', 'closed')),
        total bigint not null default 0, -- subjects to look at
        done bigint not null default 0,
        failed bigint not null default 0,
        made bigint not null default 0, -- what came of them: invoices
        started_at timestamptz not null,
        finished_at timestamptz,
        unique (kind, subject, period),
        check (done + failed <= total)
      )`)
    this.addSql(`
      create table run_chunk (
        run_id uuid not null references run,
        position integer not null,
        operation_id uuid not null unique,
        after_id text, -- exclusive
        through_id text not null, -- inclusive
        items integer not null,
        made integer not null default 0,
        done_at timestamptz,
        primary key (run_id, position)
      )`)
    // What the last watch over the relay and the schedules has found: one row, for the metrics.
    this.addSql(`
      create table relay_watch (
        one boolean primary key default true check (one),
        watched_at timestamptz not null,
        left_behind integer not null,
        overdue integer not null,
        oldest_seconds double precision not null,
        stuck integer not null
      )`)
    // Of schedules that begin with the period after it (src/schedules/table.ts).
    this.addSql(`create table schedule_first_look (schedule text primary key, looked_at timestamptz not null)`)
  }
}
