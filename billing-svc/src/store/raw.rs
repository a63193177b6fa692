//! Rows as they are stored, whatever they say, and the statements that read them for proof.
//!
//! The statements are the same on both engines. Those that end in a span of users are asked with
//! its first and last user; where the span is open, rows without an account are met too.

use uuid::Uuid;

use super::verify::{Chained, Columns, Stored};

type Reading<T> = Result<T, sqlx::Error>;

/// Reads accounts from a user on, up to another, so many.
pub const ACCOUNTS: &str = "\
    select user_id, balance_kopecks, reversed_kopecks, held_kopecks, free_operations,
           held_free_operations, last_entry_number, last_event_number, redemptions_until
    from accounts
    where user_id between $1 and $2
    order by user_id
    limit $3";

/// Reads where accounts from a user on stand and how far they are chained, so many.
pub const CHAIN_STANDINGS: &str = "\
    select a.user_id, a.last_entry_number, coalesce(h.number, 0)
    from accounts a
    left join chain_heads h on h.user_id = a.user_id
    where a.user_id > $1
    order by a.user_id
    limit $2";

macro_rules! entry_columns {
    () => {
        "e.user_id, e.number, e.unit, e.from_account, e.to_account, e.amount, e.cause, \
         e.operation_id, e.top_up_id, e.actor, e.created_at, e.balance_after_kopecks, \
         e.free_operations_after"
    };
}

macro_rules! operation_columns {
    () => {
        "o.user_id, o.id, o.number, o.operation_type, o.model, o.state, o.source, \
         o.price_kopecks, o.list_price_kopecks, o.promo_code, o.idempotency_key, o.created_at, \
         o.expires_at, o.ended_at, o.refund_reason, o.refund_actor, o.refunded_in_parts_kopecks"
    };
}

macro_rules! top_up_columns {
    () => {
        "t.user_id, t.id, t.provider, t.state, t.paid_minor_units, t.paid_currency, \
         t.credited_kopecks, t.idempotency_key, t.provider_payment_id, t.bonus_kopecks, \
         t.refunded_minor_units, t.reversed_kopecks, t.reversed_bonus_kopecks, t.ended_at"
    };
}

macro_rules! intervention_columns {
    () => {
        "i.user_id, i.kind, i.idempotency_key, i.amount, i.operation_id, i.actor, i.reason, \
         i.entry_number, i.created_at"
    };
}

macro_rules! redemption_columns {
    () => {
        "r.user_id, r.code, r.idempotency_key, r.kind, r.value, r.effect_until, r.redeemed_at, \
         r.used_at, r.entry_number, r.top_up_id"
    };
}

macro_rules! of_span {
    ($columns:expr, $from:literal, $user:literal, $order:literal) => {
        concat!(
            "select ",
            $columns,
            " from ",
            $from,
            " where ",
            $user,
            " between $1 and $2 order by ",
            $order
        )
    };
}

pub const ENTRIES: &str =
    of_span!(entry_columns!(), "entries e", "e.user_id", "e.user_id, e.number");

pub const OPERATIONS: &str =
    of_span!(operation_columns!(), "operation_records o", "o.user_id", "o.user_id");

/// With the claim of the payment that a top-up names, if there is one: claims have no index by
/// user, because a payment is looked for over all of them.
pub const TOP_UPS: &str = of_span!(
    concat!(top_up_columns!(), ", c.user_id, c.top_up_id"),
    "top_ups t
     left join payment_claims c
         on c.provider = t.provider
        and c.payment_id = t.provider_payment_id",
    "t.user_id",
    "t.user_id"
);

pub const INTERVENTIONS: &str =
    of_span!(intervention_columns!(), "interventions i", "i.user_id", "i.user_id, i.entry_number");

pub const REDEMPTIONS: &str =
    of_span!(redemption_columns!(), "redemptions r", "r.user_id", "r.user_id, r.code");

pub const REVERSALS: &str = of_span!(
    "v.user_id, v.provider, v.refund_id, v.top_up_id, v.refunded_minor_units, \
     v.refunded_currency, v.reversed_kopecks, v.reversed_bonus_kopecks",
    "reversals v",
    "v.user_id",
    "v.user_id"
);

pub const EVENTS: &str = of_span!(
    "e.user_id, e.consumer, e.number, e.operation_id, e.top_up_id",
    "events e",
    "e.user_id",
    "e.user_id, e.consumer, e.number"
);

pub const HOLDS: &str =
    of_span!("h.user_id, h.operation_id, h.expires_at", "holds h", "h.user_id", "h.user_id");

pub const CHAIN_HEADS: &str =
    of_span!("h.user_id, h.number, h.hash", "chain_heads h", "h.user_id", "h.user_id");

/// Reads claims after one of them, with the top-up that they name, so many. In the order of their
/// key, which does not begin with a user.
pub const CLAIMS: &str = "\
    select c.user_id, c.provider, c.payment_id, c.top_up_id, t.state, t.provider_payment_id,
           t.provider
    from payment_claims c
    left join top_ups t
        on t.user_id = c.user_id
       and t.id = c.top_up_id
    where (c.provider, c.payment_id) > ($1, $2)
    order by c.provider, c.payment_id
    limit $3";

/// Reads how often each code says that it was redeemed. No limit: codes are few.
pub const CODES: &str = "select 0, p.code, p.redemptions from promo_codes p order by p.code";

/// Counts how often each code was redeemed, over all users; no index, so it is asked seldom.
pub const CODES_REDEEMED: &str =
    "select 0, r.code, count(*) from redemptions r group by r.code order by r.code";

/// The wanted entries, as a table `w` for the statement that follows.
macro_rules! chained {
    ($columns:expr, $from_w:literal) => {
        const SQLITE: &'static str = concat!(
            "with w (user_id, above, upto) as (select $1, $2, $3) select ",
            $columns,
            " from w ",
            $from_w
        );
        const POSTGRES: &'static str = concat!(
            "with w (user_id, above, upto) as (
                 select * from unnest($1::bigint[], $2::bigint[], $3::bigint[])
             ) select ",
            $columns,
            " from w ",
            $from_w
        );
    };
}

/// A row of `accounts`.
#[derive(Clone, Debug)]
pub struct RawAccount {
    pub user: i64,
    pub balance: i64,
    pub reversed: i64,
    pub held: i64,
    pub free_operations: i64,
    pub held_free_operations: i64,
    pub last_entry: i64,
    pub last_event: i64,
    pub redemptions_until: i64,
}

impl Stored for RawAccount {
    const TABLE: &'static str = "accounts";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            balance: columns.number(1)?,
            reversed: columns.number(2)?,
            held: columns.number(3)?,
            free_operations: columns.number(4)?,
            held_free_operations: columns.number(5)?,
            last_entry: columns.number(6)?,
            last_event: columns.number(7)?,
            redemptions_until: columns.number(8)?,
        })
    }
}

/// A row of `entries`.
#[derive(Clone, Debug)]
pub struct RawEntry {
    pub user: i64,
    pub number: i64,
    pub unit: String,
    pub from: String,
    pub to: String,
    pub amount: i64,
    pub cause: String,
    pub operation: Option<Uuid>,
    pub top_up: Option<Uuid>,
    pub actor: Option<String>,
    pub created_at: i64,
    pub balance_after: i64,
    pub free_operations_after: i64,
}

impl Stored for RawEntry {
    const TABLE: &'static str = "entries";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            number: columns.number(1)?,
            unit: columns.text(2)?,
            from: columns.text(3)?,
            to: columns.text(4)?,
            amount: columns.number(5)?,
            cause: columns.text(6)?,
            operation: columns.maybe_id(7)?,
            top_up: columns.maybe_id(8)?,
            actor: columns.maybe_text(9)?,
            created_at: columns.number(10)?,
            balance_after: columns.number(11)?,
            free_operations_after: columns.number(12)?,
        })
    }
}

impl Chained for RawEntry {
    chained!(
        entry_columns!(),
        "join entries e on e.user_id = w.user_id and e.number > w.above and e.number <= w.upto
         order by e.user_id, e.number"
    );
}

/// A row of `operation_records`.
#[derive(Clone, Debug)]
pub struct RawOperation {
    pub user: i64,
    pub id: Uuid,
    pub number: i64,
    pub operation_type: String,
    pub model: String,
    pub state: String,
    pub source: String,
    pub price: i64,
    pub list_price: i64,
    pub promo_code: Option<String>,
    pub key: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub ended_at: Option<i64>,
    pub refund_reason: Option<String>,
    pub refund_actor: Option<String>,
    pub refunded_in_parts: i64,
}

impl Stored for RawOperation {
    const TABLE: &'static str = "operation_records";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            id: columns.id(1)?,
            number: columns.number(2)?,
            operation_type: columns.text(3)?,
            model: columns.text(4)?,
            state: columns.text(5)?,
            source: columns.text(6)?,
            price: columns.number(7)?,
            list_price: columns.number(8)?,
            promo_code: columns.maybe_text(9)?,
            key: columns.text(10)?,
            created_at: columns.number(11)?,
            expires_at: columns.number(12)?,
            ended_at: columns.maybe_number(13)?,
            refund_reason: columns.maybe_text(14)?,
            refund_actor: columns.maybe_text(15)?,
            refunded_in_parts: columns.number(16)?,
        })
    }
}

impl Chained for RawOperation {
    chained!(
        operation_columns!(),
        "join operation_records o
             on o.user_id = w.user_id and o.number > w.above and o.number <= w.upto
         order by o.user_id"
    );
}

/// A row of `top_ups`, with whose claim on its payment there is.
#[derive(Clone, Debug)]
pub struct RawTopUp {
    pub user: i64,
    pub id: Uuid,
    pub provider: String,
    pub state: String,
    pub paid_minor_units: i64,
    pub paid_currency: String,
    pub credited: i64,
    pub key: String,
    pub payment: Option<String>,
    pub bonus: i64,
    pub refunded_minor_units: i64,
    pub reversed: i64,
    pub reversed_bonus: i64,
    pub ended_at: Option<i64>,
    pub claimed_by: Option<(i64, Uuid)>,
}

impl Stored for RawTopUp {
    const TABLE: &'static str = "top_ups";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            id: columns.id(1)?,
            provider: columns.text(2)?,
            state: columns.text(3)?,
            paid_minor_units: columns.number(4)?,
            paid_currency: columns.text(5)?,
            credited: columns.number(6)?,
            key: columns.text(7)?,
            payment: columns.maybe_text(8)?,
            bonus: columns.number(9)?,
            refunded_minor_units: columns.number(10)?,
            reversed: columns.number(11)?,
            reversed_bonus: columns.number(12)?,
            ended_at: columns.maybe_number(13)?,
            claimed_by: columns.maybe_number(14)?.zip(columns.maybe_id(15)?),
        })
    }
}

impl Chained for RawTopUp {
    chained!(
        concat!(top_up_columns!(), ", null, t.id"),
        "join entries e
             on e.user_id = w.user_id and e.number > w.above and e.number <= w.upto
            and e.cause = 'top_up'
         join top_ups t on t.user_id = e.user_id and t.id = e.top_up_id
         order by t.user_id"
    );
}

/// A row of `interventions`.
#[derive(Clone, Debug)]
pub struct RawIntervention {
    pub user: i64,
    pub kind: String,
    pub key: String,
    pub amount: i64,
    pub operation: Option<Uuid>,
    pub actor: String,
    pub reason: String,
    pub entry_number: i64,
    pub created_at: i64,
}

impl Stored for RawIntervention {
    const TABLE: &'static str = "interventions";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            kind: columns.text(1)?,
            key: columns.text(2)?,
            amount: columns.number(3)?,
            operation: columns.maybe_id(4)?,
            actor: columns.text(5)?,
            reason: columns.text(6)?,
            entry_number: columns.number(7)?,
            created_at: columns.number(8)?,
        })
    }
}

impl Chained for RawIntervention {
    chained!(
        intervention_columns!(),
        "join interventions i
             on i.user_id = w.user_id and i.entry_number > w.above and i.entry_number <= w.upto
         order by i.user_id, i.entry_number"
    );
}

/// A row of `redemptions`.
#[derive(Clone, Debug)]
pub struct RawRedemption {
    pub user: i64,
    pub code: String,
    pub key: String,
    pub kind: String,
    pub value: i64,
    pub effect_until: i64,
    pub redeemed_at: i64,
    pub used_at: Option<i64>,
    pub entry_number: Option<i64>,
    pub top_up: Option<Uuid>,
}

impl Stored for RawRedemption {
    const TABLE: &'static str = "redemptions";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            code: columns.text(1)?,
            key: columns.text(2)?,
            kind: columns.text(3)?,
            value: columns.number(4)?,
            effect_until: columns.number(5)?,
            redeemed_at: columns.number(6)?,
            used_at: columns.maybe_number(7)?,
            entry_number: columns.maybe_number(8)?,
            top_up: columns.maybe_id(9)?,
        })
    }
}

impl Chained for RawRedemption {
    chained!(
        redemption_columns!(),
        "join redemptions r
             on r.user_id = w.user_id and r.entry_number > w.above and r.entry_number <= w.upto
         order by r.user_id, r.entry_number"
    );
}

/// A row of `reversals`.
#[derive(Clone, Debug)]
pub struct RawReversal {
    pub user: i64,
    pub provider: String,
    pub refund: String,
    pub top_up: Uuid,
    pub refunded_minor_units: i64,
    pub refunded_currency: String,
    pub reversed: i64,
    pub reversed_bonus: i64,
}

impl Stored for RawReversal {
    const TABLE: &'static str = "reversals";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            provider: columns.text(1)?,
            refund: columns.text(2)?,
            top_up: columns.id(3)?,
            refunded_minor_units: columns.number(4)?,
            refunded_currency: columns.text(5)?,
            reversed: columns.number(6)?,
            reversed_bonus: columns.number(7)?,
        })
    }
}

/// A row of `holds`.
#[derive(Clone, Copy, Debug)]
pub struct RawHold {
    pub user: i64,
    pub operation: Uuid,
    pub expires_at: i64,
}

impl Stored for RawHold {
    const TABLE: &'static str = "holds";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            operation: columns.id(1)?,
            expires_at: columns.number(2)?,
        })
    }
}

/// A row of `events`.
#[derive(Clone, Debug)]
pub struct RawEvent {
    pub user: i64,
    pub consumer: String,
    pub number: i64,
    pub operation: Option<Uuid>,
    pub top_up: Option<Uuid>,
}

impl Stored for RawEvent {
    const TABLE: &'static str = "events";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            consumer: columns.text(1)?,
            number: columns.number(2)?,
            operation: columns.maybe_id(3)?,
            top_up: columns.maybe_id(4)?,
        })
    }
}

/// A row of `chain_heads`.
#[derive(Clone, Debug)]
pub struct RawHead {
    pub user: i64,
    pub number: i64,
    pub hash: Vec<u8>,
}

impl Stored for RawHead {
    const TABLE: &'static str = "chain_heads";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self { user: columns.number(0)?, number: columns.number(1)?, hash: columns.bytes(2)? })
    }
}

impl Chained for RawHead {
    chained!(
        "h.user_id, h.number, h.hash",
        "join chain_heads h on h.user_id = w.user_id order by h.user_id"
    );
}

/// How far an account's entries go, and how far they are chained.
#[derive(Clone, Copy, Debug)]
pub struct ChainStanding {
    pub user: i64,
    pub last_entry: i64,
    pub chained: i64,
}

impl Stored for ChainStanding {
    const TABLE: &'static str = "accounts";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            last_entry: columns.number(1)?,
            chained: columns.number(2)?,
        })
    }
}

/// A row of `payment_claims`, with what the top-up that it names says.
#[derive(Clone, Debug)]
pub struct RawClaim {
    pub user: i64,
    pub provider: String,
    pub payment: String,
    pub top_up: Uuid,
    pub top_up_state: Option<String>,
    pub top_up_payment: Option<String>,
    pub top_up_provider: Option<String>,
}

impl Stored for RawClaim {
    const TABLE: &'static str = "payment_claims";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self {
            user: columns.number(0)?,
            provider: columns.text(1)?,
            payment: columns.text(2)?,
            top_up: columns.id(3)?,
            top_up_state: columns.maybe_text(4)?,
            top_up_payment: columns.maybe_text(5)?,
            top_up_provider: columns.maybe_text(6)?,
        })
    }
}

/// A promo code and a count of it.
#[derive(Clone, Debug)]
pub struct RawCodeCount {
    pub code: String,
    pub count: i64,
}

impl Stored for RawCodeCount {
    const TABLE: &'static str = "promo_codes";

    fn read(columns: &impl Columns) -> Reading<Self> {
        Ok(Self { code: columns.text(1)?, count: columns.number(2)? })
    }
}
