//! Many rows in one statement. Each statement goes to SQLite's own thread and back, which costs
//! more than a row does.

use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::store::{Answer, StoreError};

/// How many rows go at once: a few sizes, so that few texts are prepared.
const SIZES: [usize; 4] = [64, 16, 4, 1];

/// A statement around the rows that are given to it as `values`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

/// Puts the columns of one row into the statement.
pub(super) type Row<'b> = Separated<'b, Sqlite, &'static str>;

/// Runs a writing statement for all rows: how many it has met.
pub(super) async fn write<T>(
    connection: &mut SqliteConnection,
    around: Around,
    rows: &[T],
    bind: impl Fn(&mut Row<'_>, &T),
) -> Answer<u64> {
    let mut met = 0;
    for some in in_sizes(rows) {
        let done = statement(around, some, &bind).build().execute(&mut *connection).await?;
        met += done.rows_affected();
    }
    Ok(met)
}

/// The same for rows that are there: all of them must be met.
pub(super) async fn change<T>(
    connection: &mut SqliteConnection,
    around: Around,
    rows: &[T],
    bind: impl Fn(&mut Row<'_>, &T),
) -> Answer<()> {
    StoreError::expect_rows(rows.len(), write(connection, around, rows, bind).await?)
}

/// Runs a reading statement for all rows that are asked for.
pub(super) async fn read<T, R>(
    connection: &mut SqliteConnection,
    around: Around,
    rows: &[T],
    (bind, read): (impl Fn(&mut Row<'_>, &T), impl Fn(&SqliteRow) -> Answer<R>),
) -> Answer<Vec<R>> {
    let mut found = Vec::with_capacity(rows.len());
    for some in in_sizes(rows) {
        for row in statement(around, some, &bind).build().fetch_all(&mut *connection).await? {
            found.push(read(&row)?);
        }
    }
    Ok(found)
}

fn statement<T>(
    around: Around,
    rows: &[T],
    bind: &impl Fn(&mut Row<'_>, &T),
) -> QueryBuilder<Sqlite> {
    let mut statement = QueryBuilder::new(around.before);
    statement.push_values(rows, |mut row, value| bind(&mut row, value));
    statement.push(around.after);
    statement
}

/// Cuts rows into pieces, the largest first.
fn in_sizes<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|&size| size <= rows.len())?;
        let (some, rest) = rows.split_at(size);
        rows = rest;
        Some(some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_piece_in_its_place() {
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();

            let pieces: Vec<&[usize]> = in_sizes(&rows).collect();

            assert_eq!(pieces.concat(), rows);
            assert!(pieces.iter().all(|piece| SIZES.contains(&piece.len())), "{pieces:?}");
        }
    }
}
