//! `dialogues`: what we wait an answer to. Written by [`Store::strike_off`].

use sqlx::Row as _;

use crate::dialogue::{self, State};

use super::{Store, StoreError};

impl Store {
    /// The state of a chat: `Some(None)` where one is stored that this version cannot read.
    pub async fn state(&self, chat_id: i64) -> Result<Option<Option<State>>, StoreError> {
        let row = sqlx::query("select version, state from dialogues where chat_id = $1")
            .bind(chat_id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| {
            let text: String = row.try_get("state")?;
            Ok(dialogue::decode(row.try_get("version")?, &text))
        })
        .transpose()
    }
}
