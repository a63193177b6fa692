//! Which update goes where: the whole bot on one screen.

use teloxide::dispatching::{HandlerExt as _, UpdateFilterExt as _, UpdateHandler};
use teloxide::dptree::{self, case};
use teloxide::macros::BotCommands;
use teloxide::types::Update;

use crate::dialogue::State;
use crate::handlers::error::HandlerError;
use crate::handlers::{add_text, balance, buttons, merge, modes, other, photos, start, top_up};

/// The commands; they work whatever is asked.
#[derive(BotCommands, Clone, Debug)]
#[command(rename_rule = "snake_case")]
pub enum Command {
    Start(String),
    Balance,
    Help,
    Cancel,
}

/// The tree, top to bottom: buttons, then commands, then the question being answered. What matches
/// nothing is told what is awaited.
pub fn schema() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(Update::filter_my_chat_member().endpoint(other::membership))
        .branch(dptree::filter(is_elsewhere).chain(groups()))
        .branch(
            Update::filter_callback_query()
                .inspect_async(buttons::acknowledge)
                .endpoint(buttons::press),
        )
        .branch(Update::filter_message().branch(commands()).branch(answers()))
        .branch(Update::filter_edited_message().endpoint(other::edited))
        .branch(dptree::endpoint(other::ignore))
}

fn commands() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(
            dptree::entry()
                .filter_command::<Command>()
                .branch(case![Command::Start(payload)].endpoint(start::start))
                .branch(case![Command::Balance].endpoint(balance::balance))
                .branch(case![Command::Help].endpoint(start::help))
                .branch(case![Command::Cancel].endpoint(start::cancel)),
        )
        .branch(
            dptree::filter(|update: Update| modes::is_command(&update))
                .endpoint(other::unknown_command),
        )
}

fn answers() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(case![State::WaitPrompt(draft)].endpoint(modes::prompt))
        .branch(case![State::WaitPhoto(draft)].endpoint(photos::photo))
        .branch(case![State::WaitFace(draft)].endpoint(photos::face))
        .branch(case![State::WaitPhotos(draft)].endpoint(merge::photo))
        .branch(case![State::WaitText(draft)].endpoint(add_text::text))
        .branch(case![State::WaitAmount(before)].endpoint(top_up::amount))
        .branch(dptree::endpoint(other::unexpected))
}

/// Balances are per person: in a group only a command is answered, with the way to the bot.
fn groups() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(Update::filter_message().filter_command::<Command>().endpoint(other::group))
        .branch(dptree::endpoint(other::ignore))
}

fn is_elsewhere(update: Update) -> bool {
    update.chat().is_some_and(|chat| !chat.is_private())
}

#[cfg(test)]
mod tests {
    use teloxide::dptree::di::DependencyMap;

    use super::*;

    #[test]
    fn the_tree_holds_together() {
        // Building it panics on branches that nothing can reach.
        let tree = schema();

        assert!(!tree.sig().to_string_is_empty());
        let _: DependencyMap = dptree::deps![];
    }
}
