//! What must be true of every account after every test, proved from the tables alone.

use std::collections::HashMap;

use billing_svc::config::VerifyOptions;
use billing_svc::report::{self, Verdict};

use crate::database::{Look, TestDatabase};

/// Lets `billing-svc verify` look too, beside whoever serves the database.
pub(crate) async fn verify(database: &TestDatabase) {
    let mut said = Vec::new();
    let verdict = report::verify(&database.url, &VerifyOptions::default(), &mut said).await;
    assert_eq!(verdict.unwrap(), Verdict::Clean, "{}", String::from_utf8(said).unwrap());
}

/// Checks every account: its entries sum to what it has, its open operations to what it holds,
/// each operation's and top-up's entries net to what its state says, and numbers have no gaps.
pub(crate) async fn check(look: &Look) {
    numbers_have_no_gaps(look).await;
    entries_sum_to_the_accounts(look).await;
    running_balances_are_right(look).await;
    open_operations_sum_to_what_is_held(look).await;
    operations_net_to_their_state(look).await;
    top_ups_net_to_their_state(look).await;
    persons_and_promo_codes_have_their_entries(look).await;
}

async fn numbers_have_no_gaps(look: &Look) {
    let gaps = look
        .numbers(
            "select a.user_id, a.last_entry_number, count(e.number),
                    coalesce(min(e.number), 1), coalesce(max(e.number), 0)
             from accounts a left join entries e on e.user_id = a.user_id
             group by a.user_id, a.last_entry_number",
        )
        .await;
    for row in gaps {
        let [user, last, count, min, max] = row[..] else { panic!("{row:?}") };
        assert_eq!((count, min, max), (last, 1, last), "entry numbers of user {user}");
    }
    let events = look
        .numbers(
            "select a.user_id, a.last_event_number, count(e.number), coalesce(max(e.number), 0)
             from accounts a
             left join events e on e.user_id = a.user_id and e.consumer = 'bot'
             group by a.user_id, a.last_event_number",
        )
        .await;
    for row in events {
        let [user, last, count, max] = row[..] else { panic!("{row:?}") };
        assert_eq!((count, max), (last, last), "event numbers of user {user}");
    }
}

async fn entries_sum_to_the_accounts(look: &Look) {
    let accounts = look
        .numbers(
            "select user_id, balance_kopecks, held_kopecks, free_operations, held_free_operations
             from accounts",
        )
        .await;
    let entries = look
        .texts(
            "select cast(user_id as text), unit, from_account, to_account, cast(amount as text)
             from entries",
        )
        .await;
    // Only what reversals took back may be missing from a balance.
    let reversals = look
        .numbers(
            "select a.user_id, a.reversed_kopecks,
                    cast(coalesce(sum(e.amount), 0) as bigint)
             from accounts a
             left join entries e on e.user_id = a.user_id and e.cause = 'reversal'
             group by a.user_id, a.reversed_kopecks",
        )
        .await;
    let reversals: HashMap<i64, i64> = reversals
        .iter()
        .map(|row| {
            assert_eq!(row[1], row[2], "what reversals took back of user {}", row[0]);
            (row[0], row[1])
        })
        .collect();
    let mut sums: HashMap<(i64, String, String), i64> = HashMap::new();
    for row in entries {
        let user: i64 = row[0].parse().unwrap();
        let amount: i64 = row[4].parse().unwrap();
        *sums.entry((user, row[1].clone(), row[2].clone())).or_default() -= amount;
        *sums.entry((user, row[1].clone(), row[3].clone())).or_default() += amount;
    }
    for row in accounts {
        let [user, balance, held, free, held_free] = row[..] else { panic!("{row:?}") };
        let sum = |unit: &str, account: &str| {
            sums.get(&(user, unit.to_owned(), account.to_owned())).copied().unwrap_or_default()
        };
        assert_eq!(sum("kopecks", "balance"), balance, "balance of user {user}");
        assert_eq!(sum("kopecks", "held"), held, "held by user {user}");
        assert_eq!(sum("free_operations", "available"), free, "free operations of user {user}");
        assert_eq!(sum("free_operations", "held"), held_free, "held free ones of user {user}");
        let reversed = reversals.get(&user).copied().unwrap_or_default();
        assert!(free >= 0 && balance + reversed >= 0, "user {user} is below zero");
    }
}

async fn running_balances_are_right(look: &Look) {
    let entries = look
        .texts(
            "select cast(user_id as text), unit, from_account, to_account, cast(amount as text),
                    cast(balance_after_kopecks as text), cast(free_operations_after as text)
             from entries order by user_id, number",
        )
        .await;
    let mut running: HashMap<String, (i64, i64)> = HashMap::new();
    for row in entries {
        let [user, unit, from, to, amount, balance_after, free_after] = &row[..] else {
            panic!("{row:?}")
        };
        let amount: i64 = amount.parse().unwrap();
        let (balance, free) = running.entry(user.clone()).or_default();
        let (purse, name) =
            if unit == "kopecks" { (balance, "balance") } else { (free, "available") };
        *purse += if to == name { amount } else { 0 };
        *purse -= if from == name { amount } else { 0 };
        let after = (balance_after.parse().unwrap(), free_after.parse().unwrap());
        assert_eq!(running[user], after, "after an entry of user {user}");
    }
}

async fn open_operations_sum_to_what_is_held(look: &Look) {
    let differing = look
        .numbers(
            "select a.user_id
             from accounts a
             left join operation_records o on o.user_id = a.user_id and o.state = 'reserved'
             group by a.user_id, a.held_kopecks, a.held_free_operations
             having a.held_kopecks <>
                        coalesce(sum(case when o.source = 'balance' then o.price_kopecks end), 0)
                 or a.held_free_operations <>
                        coalesce(sum(case when o.source <> 'balance' then 1 end), 0)",
        )
        .await;
    assert!(differing.is_empty(), "open operations and what is held differ: {differing:?}");
    let differing = look
        .numbers(
            "select o.user_id
             from operation_records o
             left join holds h on h.user_id = o.user_id and h.operation_id = o.id
                              and h.expires_at = o.expires_at
             where (o.state = 'reserved') <> (h.user_id is not null)
             union all
             select h.user_id
             from holds h
             left join operation_records o on o.user_id = h.user_id and o.id = h.operation_id
                                          and o.expires_at = h.expires_at
             where o.user_id is null",
        )
        .await;
    assert!(differing.is_empty(), "open operations and their holds differ: {differing:?}");
}

/// Where the entries of one operation have moved what it took.
struct Net {
    state: String,
    taken: i64,
    refunded_in_parts: i64,
    places: HashMap<String, i64>,
}

async fn operations_net_to_their_state(look: &Look) {
    let rows = look
        .texts(
            "select o.state, o.source, cast(o.price_kopecks as text), e.unit, e.from_account,
                    e.to_account, cast(e.amount as text), cast(o.user_id as text),
                    cast(o.number as text), cast(o.refunded_in_parts_kopecks as text)
             from operation_records o
             join entries e on e.user_id = o.user_id and e.operation_id = o.id",
        )
        .await;
    let mut nets: HashMap<(String, String), Net> = HashMap::new();
    for row in rows {
        let [state, source, price, unit, from, to, amount, user, number, parts] = &row[..] else {
            panic!("{row:?}")
        };
        let (expected_unit, taken) = match source.as_str() {
            "balance" => ("kopecks", price.parse().unwrap()),
            _ => ("free_operations", 1),
        };
        assert_eq!(unit, expected_unit, "an operation moves one unit only");
        let amount: i64 = amount.parse().unwrap();
        let net = nets.entry((user.clone(), number.clone())).or_insert_with(|| Net {
            state: state.clone(),
            taken,
            refunded_in_parts: parts.parse().unwrap(),
            places: HashMap::new(),
        });
        *net.places.entry(from.clone()).or_default() -= amount;
        *net.places.entry(to.clone()).or_default() += amount;
    }
    for ((user, number), Net { state, taken, refunded_in_parts, places }) in &nets {
        let net = |names: &[&str]| {
            names.iter().map(|name| places.get(*name).copied().unwrap_or_default()).sum::<i64>()
        };
        let purse = net(&["balance", "available", "granted"]);
        let found = (purse, net(&["held"]), net(&["revenue", "used"]));
        let earned = taken - refunded_in_parts;
        let expected = match state.as_str() {
            "reserved" => (-taken, *taken, 0),
            "committed" => (-earned, 0, earned),
            "refunded" | "expired" => (0, 0, 0),
            other => panic!("state {other}"),
        };
        assert_eq!(found, expected, "{state} operation {number} of user {user}");
    }
    let without = look
        .numbers(
            "select count(*) from operation_records o
             where not exists (select 1 from entries e
                               where e.user_id = o.user_id and e.operation_id = o.id)",
        )
        .await;
    assert_eq!(without, [[0]], "every operation has entries");
}

async fn top_ups_net_to_their_state(look: &Look) {
    let wrong = look
        .numbers(
            "select t.user_id
             from top_ups t
             left join entries e on e.user_id = t.user_id and e.top_up_id = t.id
             group by t.user_id, t.id, t.state, t.credited_kopecks, t.bonus_kopecks,
                      t.reversed_kopecks, t.reversed_bonus_kopecks
             having coalesce(sum(case when e.from_account like 'clearing:%' then e.amount
                                      when e.to_account like 'clearing:%' then -e.amount end), 0)
                        <> case when t.state = 'settled' then t.credited_kopecks else 0 end
                           - t.reversed_kopecks
                 or coalesce(sum(case when e.from_account = 'promo' then e.amount
                                      when e.to_account = 'promo' then -e.amount end), 0)
                        <> t.bonus_kopecks - t.reversed_bonus_kopecks",
        )
        .await;
    assert!(wrong.is_empty(), "top-ups and their entries differ: {wrong:?}");
    let wrong = look
        .numbers(
            "select t.user_id
             from top_ups t
             left join reversals v on v.user_id = t.user_id and v.top_up_id = t.id
             group by t.user_id, t.id, t.refunded_minor_units, t.reversed_kopecks,
                      t.reversed_bonus_kopecks
             having coalesce(sum(v.refunded_minor_units), 0) <> t.refunded_minor_units
                 or coalesce(sum(v.reversed_kopecks), 0) <> t.reversed_kopecks
                 or coalesce(sum(v.reversed_bonus_kopecks), 0) <> t.reversed_bonus_kopecks",
        )
        .await;
    assert!(wrong.is_empty(), "top-ups and their reversals differ: {wrong:?}");
    let unclaimed = look
        .numbers(
            "select count(*) from top_ups t
             where t.state = 'settled'
               and not exists (select 1 from payment_claims c
                               where c.provider = t.provider
                                 and c.payment_id = t.provider_payment_id
                                 and c.user_id = t.user_id
                                 and c.top_up_id = t.id)",
        )
        .await;
    assert_eq!(unclaimed, [[0]], "every settled top-up has claimed its payment");
}

async fn persons_and_promo_codes_have_their_entries(look: &Look) {
    let without = look
        .numbers(
            "select count(*) from interventions i
             where not exists (select 1 from entries e
                               where e.user_id = i.user_id
                                 and e.number = i.entry_number
                                 and e.actor = i.actor
                                 and e.amount = abs(i.amount)
                                 and e.cause in ('adjustment', 'grant', 'refund'))",
        )
        .await;
    assert_eq!(without, [[0]], "what a person did has its entry");
    let miscounted = look
        .texts(
            "select p.code
             from promo_codes p
             left join redemptions r on r.code = p.code
             group by p.code, p.redemptions
             having count(r.user_id) <> p.redemptions",
        )
        .await;
    assert!(miscounted.is_empty(), "promo codes count their redemptions: {miscounted:?}");
    let without = look
        .numbers(
            "select count(*) from redemptions r
             where r.kind = 'free_operations'
               and not exists (select 1 from entries e
                               where e.user_id = r.user_id
                                 and e.number = r.entry_number
                                 and e.amount = r.value
                                 and e.cause = 'promo_code')",
        )
        .await;
    assert_eq!(without, [[0]], "free operations of a promo code have their entry");
}
