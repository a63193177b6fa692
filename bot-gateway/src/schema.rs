//! Which update goes where: the whole bot on one screen.

use teloxide::dispatching::{
    HandlerExt as _, MessageFilterExt as _, UpdateFilterExt as _, UpdateHandler,
};
use teloxide::dptree::{self, case};
use teloxide::macros::BotCommands;
use teloxide::types::{BotCommand, Message, Update};

use crate::dialogue::State;
use crate::handlers::error::HandlerError;
use crate::handlers::{
    add_text, balance, buttons, email, history, merge, modes, operators, other, photos, promo,
    referrals, stars, start, support, top_up,
};
use crate::text;

/// The commands; they work whatever is asked.
#[derive(BotCommands, Clone, Debug)]
#[command(rename_rule = "snake_case")]
pub enum Command {
    Start(String),
    Balance,
    History,
    Promo(String),
    Invite,
    Help,
    Cancel,
    Terms,
    #[command(rename = "paysupport")]
    PaySupport,
    /// Operators only, and so not offered.
    #[command(hide)]
    RefundStars(String),
}

/// What operators can ask for besides; to anybody else these are no commands.
#[derive(BotCommands, Clone, Debug)]
#[command(rename_rule = "snake_case")]
pub enum OperatorCommand {
    Admin,
    User(String),
    Ledger(String),
    Adjust(String),
    Grant(String),
    Refund(String),
    PromoNew(String),
    PromoStop(String),
    PromoList,
    Stats(String),
    StatsFile(String),
}

/// The commands as Telegram's clients offer them.
pub fn offered() -> Vec<BotCommand> {
    vec![
        BotCommand::new("start", text::menu::COMMAND_START),
        BotCommand::new("balance", text::menu::COMMAND_BALANCE),
        BotCommand::new("history", text::history::COMMAND),
        BotCommand::new("promo", text::promo::COMMAND),
        BotCommand::new("invite", text::referrals::COMMAND),
        BotCommand::new("help", text::menu::COMMAND_HELP),
        BotCommand::new("cancel", text::menu::COMMAND_CANCEL),
        BotCommand::new("terms", text::stars::COMMAND_TERMS),
        BotCommand::new("paysupport", text::stars::COMMAND_PAY_SUPPORT),
    ]
}

/// The tree, top to bottom: payments, wherever they come from; then buttons, then commands, then
/// the question being answered. What matches nothing is told what is awaited.
pub fn schema() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(Update::filter_my_chat_member().endpoint(other::membership))
        .branch(payments())
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

fn payments() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(Update::filter_pre_checkout_query().endpoint(stars::pre_checkout))
        .branch(
            Update::filter_message()
                .branch(Message::filter_successful_payment().endpoint(stars::paid))
                .branch(dptree::filter_map(stars::refund_in).endpoint(stars::refunded)),
        )
}

fn commands() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .branch(
            dptree::entry()
                .filter_command::<Command>()
                .branch(case![Command::Start(payload)].endpoint(start::start))
                .branch(case![Command::Balance].endpoint(balance::balance))
                .branch(case![Command::History].endpoint(history::open))
                .branch(case![Command::Promo(code)].endpoint(promo::command))
                .branch(case![Command::Invite].endpoint(referrals::invite))
                .branch(case![Command::Help].endpoint(start::help))
                .branch(case![Command::Cancel].endpoint(start::cancel))
                .branch(case![Command::Terms].endpoint(support::terms))
                .branch(case![Command::PaySupport].endpoint(support::pay_support))
                .branch(case![Command::RefundStars(arguments)].endpoint(support::refund_stars)),
        )
        .branch(dptree::filter(operators::is_operator).chain(operators_commands()))
        .branch(
            dptree::filter(|update: Update| modes::is_command(&update))
                .endpoint(other::unknown_command),
        )
}

fn operators_commands() -> UpdateHandler<HandlerError> {
    dptree::entry()
        .filter_command::<OperatorCommand>()
        .branch(case![OperatorCommand::Admin].endpoint(operators::help))
        .branch(case![OperatorCommand::User(arguments)].endpoint(operators::user))
        .branch(case![OperatorCommand::Ledger(arguments)].endpoint(operators::ledger))
        .branch(case![OperatorCommand::Adjust(arguments)].endpoint(operators::adjust))
        .branch(case![OperatorCommand::Grant(arguments)].endpoint(operators::grant))
        .branch(case![OperatorCommand::Refund(arguments)].endpoint(operators::refund))
        .branch(case![OperatorCommand::PromoNew(arguments)].endpoint(operators::promo_new))
        .branch(case![OperatorCommand::PromoStop(arguments)].endpoint(operators::promo_stop))
        .branch(case![OperatorCommand::PromoList].endpoint(operators::promo_list))
        .branch(case![OperatorCommand::Stats(arguments)].endpoint(operators::stats))
        .branch(case![OperatorCommand::StatsFile(arguments)].endpoint(operators::stats_file))
}

fn answers() -> UpdateHandler<HandlerError> {
    dptree::map(State::answered)
        .branch(case![State::WaitPrompt(draft)].endpoint(modes::prompt))
        .branch(case![State::WaitPhoto(draft)].endpoint(photos::photo))
        .branch(case![State::WaitFace(draft)].endpoint(photos::face))
        .branch(case![State::WaitPhotos(draft)].endpoint(merge::photo))
        .branch(case![State::WaitText(draft)].endpoint(add_text::text))
        .branch(case![State::WaitStyle(draft)].endpoint(add_text::describe))
        .branch(case![State::WaitAmount(before)].endpoint(top_up::amount))
        .branch(case![State::WaitPromoCode(before)].endpoint(promo::answer))
        .branch(case![State::WaitEmail(question)].endpoint(email::answer))
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
    use std::sync::Arc;

    use proto::client::{Billing, Media, Payments, channel};
    use teloxide::types::{ChatId, Me};

    use crate::app::App;
    use crate::operators::Operators;
    use crate::store::Store;
    use crate::talk::Talk;
    use crate::telegram::Telegram;

    use super::*;

    #[test]
    fn every_command_is_offered() {
        use teloxide::utils::command::BotCommands as _;

        let bare = |name: &str| name.trim_start_matches('/').to_owned();
        let known: Vec<_> =
            Command::bot_commands().iter().map(|known| bare(&known.command)).collect();

        assert_eq!(offered().iter().map(|one| bare(&one.command)).collect::<Vec<_>>(), known);
        assert!(offered().iter().all(|one| !one.description.is_empty()));
    }

    #[tokio::test]
    async fn every_handler_gets_what_it_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("bot.db").display());
        let nowhere = || channel("http://127.0.0.1:1").unwrap();
        let app = App::new(
            Telegram::new("1:a".into(), "http://127.0.0.1:1".parse().unwrap()).unwrap(),
            Store::open(&url).await.unwrap(),
            (Billing::new(nowhere()), Payments::new(nowhere()), Media::new(nowhere())),
            Operators::new(nowhere()).unwrap(),
        );
        let talk = Talk::new(Arc::new(app), ChatId(1), 1, false);
        let update: Update = serde_json::from_str(r#"{"update_id": 1}"#).unwrap();
        let me: Me = serde_json::from_value(serde_json::json!({
            "id": 1, "is_bot": true, "first_name": "Б", "username": "b_bot",
            "can_join_groups": false, "can_read_all_group_messages": false,
            "supports_inline_queries": false, "can_connect_to_business": false,
            "has_main_web_app": false,
        }))
        .unwrap();

        // Panics where a handler asks for what there is not.
        let deps = dptree::deps![update, me, talk, State::default()];
        dptree::type_check(schema().sig(), &deps, &[]);
    }
}
