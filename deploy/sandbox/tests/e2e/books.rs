//! What billing's store says, read past the service as an operator would read it.

use std::collections::BTreeMap;

use sqlx::postgres::PgRow;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, PgConnection, Row as _, SqliteConnection,
    ValueRef as _,
};

use crate::world::World;

/// Accounts whose ledger does not add up to what the account says, or has a gap.
const BROKEN_ACCOUNTS: &str = "
select a.user_id, a.balance_kopecks, a.held_kopecks, a.free_operations, a.held_free_operations
from accounts a
where a.balance_kopecks <> (
    select coalesce(sum(case when e.to_account = 'balance' then e.amount else 0 end
                      - case when e.from_account = 'balance' then e.amount else 0 end), 0)
    from entries e where e.user_id = a.user_id and e.unit = 'kopecks')
or a.held_kopecks <> (
    select coalesce(sum(case when e.to_account = 'held' then e.amount else 0 end
                      - case when e.from_account = 'held' then e.amount else 0 end), 0)
    from entries e where e.user_id = a.user_id and e.unit = 'kopecks')
or a.free_operations <> (
    select coalesce(sum(case when e.to_account = 'available' then e.amount else 0 end
                      - case when e.from_account = 'available' then e.amount else 0 end), 0)
    from entries e where e.user_id = a.user_id and e.unit = 'free_operations')
or a.held_kopecks <> (
    select coalesce(sum(o.price_kopecks), 0) from operation_records o
    where o.user_id = a.user_id and o.state = 'reserved' and o.source = 'balance')
or a.held_free_operations <> (
    select count(*) from operation_records o
    where o.user_id = a.user_id and o.state = 'reserved' and o.source <> 'balance')
or a.last_entry_number <> (select count(*) from entries e where e.user_id = a.user_id)
or a.last_entry_number <> (
    select coalesce(max(e.number), 0) from entries e where e.user_id = a.user_id)";

/// Operations whose entries do not net to what their state says was kept.
const BROKEN_OPERATIONS: &str = "
select o.user_id, o.id, o.state
from operation_records o
where (case when o.state = 'committed' then 1 else 0 end)
    * (case when o.source = 'balance' then o.price_kopecks else 1 end)
    - (case when o.state = 'committed' then o.refunded_in_parts_kopecks else 0 end) <> (
    select coalesce(sum(case when e.to_account in ('revenue', 'used') then e.amount else 0 end
                      - case when e.from_account in ('revenue', 'used') then e.amount else 0 end), 0)
    from entries e where e.user_id = o.user_id and e.operation_id = o.id)";

/// Settled top-ups that were credited otherwise than once, less what was reversed, and others that
/// were credited at all.
const BROKEN_TOP_UPS: &str = "
select t.user_id, t.id, t.state
from top_ups t
where (case when t.state = 'settled' then t.credited_kopecks + t.bonus_kopecks else 0 end)
    - t.reversed_kopecks - t.reversed_bonus_kopecks <> (
    select coalesce(sum(case when e.to_account = 'balance' then e.amount else 0 end
                      - case when e.from_account = 'balance' then e.amount else 0 end), 0)
    from entries e where e.user_id = t.user_id and e.top_up_id = t.id)";

/// What the seed's two queries say of a user.
pub(crate) struct SeedRows {
    pub(crate) balance: String,
    pub(crate) free_operations_left: i64,
    pub(crate) operations: usize,
}

type TextRow = BTreeMap<String, String>;

impl World {
    /// Every account, operation and top-up adds up, and nothing is held for work that has ended.
    pub(crate) async fn check_books(&self) {
        for query in [BROKEN_ACCOUNTS, BROKEN_OPERATIONS, BROKEN_TOP_UPS] {
            let broken = self.query(query).await;
            assert!(broken.is_empty(), "these do not add up: {broken:#?}");
        }
    }

    /// Runs the seed's two queries, word for word as operators know them.
    pub(crate) async fn seed_rows(&self, user_id: i64) -> SeedRows {
        let operations = format!(
            "SELECT o.*, u.telegram_id FROM operations o JOIN users u ON o.user_id = u.id
WHERE u.telegram_id = {user_id} ORDER BY o.created_at DESC LIMIT 10;"
        );
        let account = format!(
            "SELECT u.telegram_id, b.balance, u.free_operations_left FROM users u LEFT JOIN balances b ON u.id = b.user_id
WHERE u.telegram_id = {user_id};"
        );
        let account = self.query(&account).await.remove(0);
        SeedRows {
            balance: account["balance"].clone(),
            free_operations_left: account["free_operations_left"].parse().unwrap(),
            operations: self.query(&operations).await.len(),
        }
    }

    /// Reads rows as a person sees them: every column as text.
    async fn query(&self, query: &str) -> Vec<TextRow> {
        let query = AssertSqlSafe(query.to_owned());
        let (url, folder) = self.billing_store();
        if let Some(file) = url.strip_prefix("sqlite://") {
            let options = SqliteConnectOptions::new().filename(folder.join(file)).read_only(true);
            let mut store = SqliteConnection::connect_with(&options).await.unwrap();
            let rows = sqlx::raw_sql(query).fetch_all(&mut store).await.unwrap();
            rows.iter().map(sqlite_text).collect()
        } else {
            let mut store = PgConnection::connect(url).await.unwrap();
            let rows = sqlx::raw_sql(query).fetch_all(&mut store).await.unwrap();
            rows.iter().map(postgres_text).collect()
        }
    }
}

fn sqlite_text(row: &SqliteRow) -> TextRow {
    let columns = row.columns().iter();
    let text = columns.map(|column| {
        let name = column.name();
        let text = row
            .try_get::<String, _>(name)
            .or_else(|_| row.try_get::<i64, _>(name).map(|number| number.to_string()))
            .unwrap_or_default();
        (name.to_owned(), text)
    });
    text.collect()
}

/// An unprepared query is answered in text, as psql shows it.
fn postgres_text(row: &PgRow) -> TextRow {
    let columns = row.columns().iter();
    let text = columns.map(|column| {
        let value = row.try_get_raw(column.name()).unwrap();
        let text = if value.is_null() { "" } else { value.as_str().unwrap() };
        (column.name().to_owned(), text.to_owned())
    });
    text.collect()
}
