//! What is stored at the end, compared with the model: everything of every user.

use std::collections::BTreeMap;

use proto::billing::v1 as wire;

use super::request::{Answer, Request};
use super::send::Caller;
use super::world::{World, time};
use crate::database::Look;

/// The first difference, as the user and what differs.
pub(crate) async fn compare_all(
    world: &mut World,
    caller: &Caller,
    look: &Look,
) -> Result<(), (i64, String)> {
    for user_id in world.user_ids() {
        for request in world.questions(user_id) {
            let expected = caller.comparable(world.call(&request));
            let found = caller.call(&request).await;
            if found != expected {
                let text = format!("{request:?}\n  model:   {expected:?}\n  service: {found:?}");
                return Err((user_id, text));
            }
        }
    }
    compare_entries(world, caller, look).await
}

impl World {
    /// Asks for everything of a user that the contract can show.
    fn questions(&self, user_id: i64) -> Vec<Request> {
        let user = &self.users[&user_id];
        let operations = user.operations.iter().map(|operation| {
            let operation_id = operation.wire.operation_id.clone();
            Request::GetOperation(wire::GetOperationRequest { user_id, operation_id })
        });
        let top_ups = user.top_ups.iter().map(|top_up| {
            let top_up_id = top_up.top_up_id.clone();
            Request::GetTopUp(wire::GetTopUpRequest { user_id, top_up_id })
        });
        let account = Request::GetAccount(wire::GetAccountRequest { user_id });
        let list = wire::ListOperationsRequest { user_id, page_size: 100, ..Default::default() };
        [account, Request::ListOperations(list)]
            .into_iter()
            .chain(operations)
            .chain(top_ups)
            .collect()
    }
}

/// Compares the ledger, as it is stored and as it is shown.
async fn compare_entries(world: &World, caller: &Caller, look: &Look) -> Result<(), (i64, String)> {
    let mut stored: BTreeMap<i64, Vec<wire::Entry>> = BTreeMap::new();
    for (user_id, entry) in entries(look).await {
        stored.entry(user_id).or_default().push(entry);
    }
    for user_id in world.user_ids() {
        let shown = caller.statement(user_id).await;
        for found in [stored.remove(&user_id).unwrap_or_default(), shown] {
            let expected = world.entries(user_id);
            first_difference(expected, &found, caller).map_err(|text| (user_id, text))?;
        }
    }
    stored.pop_first().map_or(Ok(()), |(user_id, _)| Err((user_id, "entries of nobody".into())))
}

fn first_difference(
    expected: &[wire::Entry],
    found: &[wire::Entry],
    caller: &Caller,
) -> Result<(), String> {
    let without_times = |entry: &wire::Entry| {
        let created_at = entry.created_at.filter(|_| caller.compares_times());
        wire::Entry { created_at, ..entry.clone() }
    };
    for (expected, found) in expected.iter().zip(found) {
        if without_times(expected) != without_times(found) {
            return Err(format!("entry\n  model:   {expected:?}\n  service: {found:?}"));
        }
    }
    if found.len() != expected.len() {
        return Err(format!("{} entries, not {}", found.len(), expected.len()));
    }
    Ok(())
}

/// Every entry, by user and number, in the model's words.
pub(crate) async fn entries(look: &Look) -> Vec<(i64, wire::Entry)> {
    let rows = look
        .texts(
            "select cast(e.user_id as text), cast(e.number as text), cast(e.created_at as text),
                    e.unit, e.from_account, e.to_account, cast(e.amount as text), e.cause,
                    coalesce(o.idempotency_key, ''), coalesce(t.idempotency_key, ''),
                    coalesce(e.actor, ''), cast(e.balance_after_kopecks as text),
                    cast(e.free_operations_after as text)
             from entries e
             left join operation_records o on o.user_id = e.user_id and o.id = e.operation_id
             left join top_ups t on t.user_id = e.user_id and t.id = e.top_up_id
             order by e.user_id, e.number",
        )
        .await;
    rows.into_iter().map(entry).collect()
}

fn entry(row: Vec<String>) -> (i64, wire::Entry) {
    let row: [String; 13] = row.try_into().unwrap();
    let [
        user_id,
        number,
        at,
        unit,
        from,
        to,
        amount,
        cause,
        operation,
        top_up,
        actor,
        balance,
        free,
    ] = row;
    let amount: i64 = amount.parse().unwrap();
    let sign = i64::from(to == "balance") - i64::from(from == "balance");
    let unit = if unit == "kopecks" { wire::Unit::Kopecks } else { wire::Unit::FreeOperations };
    let entry = wire::Entry {
        number: number.parse().unwrap(),
        created_at: Some(time(at.parse().unwrap())),
        unit: unit.into(),
        from_account: from,
        to_account: to,
        amount,
        cause,
        operation_id: operation,
        top_up_id: top_up,
        actor,
        balance_change_kopecks: sign * amount,
        balance_after_kopecks: balance.parse().unwrap(),
        free_operations_after: free.parse().unwrap(),
    };
    (user_id.parse().unwrap(), entry)
}

impl Caller {
    /// Asks, and says how the answer differs from the model's, if it does.
    pub(crate) async fn differs(
        &self,
        request: &Request,
        expected: Result<Answer, super::Refusal>,
    ) -> Option<String> {
        let expected = self.comparable(expected);
        let found = self.call(request).await;
        (found != expected)
            .then(|| format!("{request:?}\n  model:   {expected:?}\n  service: {found:?}"))
    }
}
