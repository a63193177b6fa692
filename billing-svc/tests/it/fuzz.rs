//! Broken messages through the door of every call, and broken price lists: whatever the bytes say,
//! the service answers as its contract says, nothing panics, and the books add up afterwards.
//!
//! The messages are valid ones with bytes flipped, cut, doubled, swapped and renumbered, from a
//! seed; `TEST_ROUNDS` says how many times 20,000, `PROPERTY_SEED` which ones.

use billing_svc::domain::{Kopecks, Timestamp};
use billing_svc::price_file;
use futures_util::StreamExt as _;
use futures_util::stream;
use prost::Message as _;
use proto::billing::v1 as wire;
use tonic::{Code, Status};

use crate::app::{ANNA, open_top_up, reserve, roubles};
use crate::bad_input::messages_of_all_rows;
use crate::books;
use crate::database::{Engine, TestDatabase};
use crate::model::Dice;
use crate::process::{Process, migrate};
use crate::raw::RawCaller;
use crate::rounds::number_from_environment;

const INPUTS_A_ROUND: usize = 20_000;
const AT_ONCE: usize = 64;
const SEED: u64 = 77;

/// A price list with everything that one may hold.
const PRICES: &str = r#"
[[price]]
operation_type = "generate"
price = "10"
free_operations_allowed = true

[[price]]
operation_type = "generate"
model = "flux/dev"
price = "15.50"
valid_from = 2026-12-01T00:00:00+03:00
free_operations_allowed = false
"#;

/// A call and what it is sent.
type Sent = (String, Vec<u8>);

/// Good messages, so that what is mutated gets past the first check.
fn seeds(operation_id: &str, top_up_id: &str) -> Vec<Sent> {
    let (operation_id, top_up_id) = (operation_id.to_owned(), top_up_id.to_owned());
    let refund = wire::RefundRequest {
        user_id: ANNA,
        operation_id: operation_id.clone(),
        reason: "because".into(),
        actor: "olga".into(),
        amount_kopecks: Some(1),
        idempotency_key: "test:2".into(),
    };
    let commit = wire::CommitRequest { user_id: ANNA, operation_id, cost_micro_usd: Some(39_000) };
    let bonus = wire::TopUpBonus { percent: 10, bonus_max_kopecks: 5, until: None };
    let settle = wire::SettleTopUpRequest {
        user_id: ANNA,
        top_up_id: top_up_id.clone(),
        provider_payment_id: "p-1".into(),
        paid: roubles(10_000),
    };
    let reverse = wire::ReverseTopUpRequest {
        user_id: ANNA,
        top_up_id,
        provider_refund_id: "r-1".into(),
        refunded: roubles(3_333),
    };
    let offer = wire::CreatePromoCodeRequest {
        code: "SPRING".into(),
        effect: Some(wire::PromoEffect {
            effect: Some(wire::promo_effect::Effect::TopUpBonus(bonus)),
        }),
        redemptions_max: 3,
        actor: "olga".into(),
        reason: "spring".into(),
        ..wire::CreatePromoCodeRequest::default()
    };
    let items = vec![reserve(ANNA, "test:3"), reserve(ANNA, "test:4")];
    let redeem = wire::RedeemPromoCodeRequest {
        user_id: ANNA,
        code: "spring".into(),
        idempotency_key: "test:5".into(),
    };
    let reserves = wire::BatchReserveRequest { items, all_or_nothing: false };
    let commits = wire::BatchCommitRequest { items: vec![commit.clone()], all_or_nothing: true };
    let refunds = wire::BatchRefundRequest { items: vec![refund.clone()], all_or_nothing: false };
    let billing = |rpc: &str, bytes| (format!("BillingService/{rpc}"), bytes);
    vec![
        billing("Reserve", reserve(ANNA, "test:1").encode_to_vec()),
        billing("Commit", commit.encode_to_vec()),
        billing("Refund", refund.encode_to_vec()),
        billing("BatchReserve", reserves.encode_to_vec()),
        billing("BatchCommit", commits.encode_to_vec()),
        billing("BatchRefund", refunds.encode_to_vec()),
        billing("OpenTopUp", open_top_up(ANNA, 10_000, "test:1").encode_to_vec()),
        billing("SettleTopUp", settle.encode_to_vec()),
        billing("ReverseTopUp", reverse.encode_to_vec()),
        billing("RedeemPromoCode", redeem.encode_to_vec()),
        ("AdminService/CreatePromoCode".to_owned(), offer.encode_to_vec()),
    ]
}

/// A message with a few things wrong.
fn mutated(dice: &mut Dice, corpus: &[Sent]) -> Sent {
    let (rpc, mut bytes) = dice.pick(corpus);
    let (other_rpc, other) = dice.pick(corpus);
    bytes.truncate(4_096);
    mutate(dice, &mut bytes, &other);
    // Now and then to a call that it was not meant for.
    if dice.one_in(8) { (other_rpc, bytes) } else { (rpc, bytes) }
}

fn mutate(dice: &mut Dice, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=dice.roll(4) * dice.roll(2) {
        let at = dice.roll(bytes.len() + 1);
        match dice.roll(7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, dice.pick(&[0, 1, 0x7f, 0x80, 0xff])),
            2 => bytes.extend_from_within(at..),
            3 => {
                let from = dice.roll(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            // Most bytes near the beginning are tags and lengths.
            4 => flip(bytes, at / 8, 8 << dice.roll(5)),
            5 => flip(bytes, at, 1 << dice.roll(8)),
            _ => {
                let texts = ["\0", "ж", "\u{10ffff}", "-1", "\"", "1e9", "\n"];
                let text: Vec<u8> = dice.pick(&texts).bytes().collect();
                bytes.splice(at..at, text);
            }
        }
    }
}

fn flip(bytes: &mut [u8], at: usize, bits: usize) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= u8::try_from(bits % 256).unwrap();
    }
}

/// Whether the contract allows such an answer to bytes that are wrong in any way.
fn is_allowed(status: &Status) -> bool {
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::ResourceExhausted => proto::reason::of(status).is_some(),
        // What is no message at all is refused below the service.
        Code::Internal => status.message().contains("decode Protobuf"),
        Code::OutOfRange => true,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn campaign_fuzz_no_bytes_break_a_decoder() {
    let database = TestDatabase::create(Engine::Sqlite).await;
    migrate(&database).await;
    let process = Process::start(&database).await;
    let register = wire::RegisterUserRequest { user_id: ANNA, profile: None };
    process.billing.register_user(register).await.unwrap();
    let operation = process.billing.reserve(reserve(ANNA, "test:1")).await.unwrap();
    let top_up = process.billing.open_top_up(open_top_up(ANNA, 10_000, "test:1")).await.unwrap();
    let ids = (operation.operation.unwrap().operation_id, top_up.top_up.unwrap().top_up_id);
    let good = seeds(&ids.0, &ids.1);
    // Good ones as often as all the bad ones together.
    let mut corpus = messages_of_all_rows();
    // A stream that is taken stays open; its request is one name, which the tables have.
    corpus.retain(|(rpc, _)| !rpc.ends_with("/WatchEvents"));
    let size = corpus.len();
    corpus.extend(good.into_iter().cycle().take(size));

    let seed = number_from_environment("PROPERTY_SEED", SEED);
    let mut dice = Dice::new(seed);
    let rounds = usize::try_from(number_from_environment("TEST_ROUNDS", 1)).unwrap();
    let caller = RawCaller::new(&process.url);
    let inputs = (0..rounds * INPUTS_A_ROUND).map(|_| {
        let (rpc, bytes) = mutated(&mut dice, &corpus);
        let (path, caller) = (format!("/medialab.billing.v1.{rpc}"), caller.clone());
        async move {
            let answer = caller.call(&path, bytes.clone()).await;
            (path, bytes, answer)
        }
    });
    let (mut taken, mut understood) = (0, 0);
    let mut answers = stream::iter(inputs).buffer_unordered(AT_ONCE);
    while let Some((path, bytes, answer)) = answers.next().await {
        match answer {
            Ok(_) => taken += 1,
            Err(status) => {
                assert!(is_allowed(&status), "{path} of {bytes:02x?}, seed {seed}: {status:?}");
                understood += u32::from(status.code() != Code::Internal);
            }
        }
    }
    drop(answers);
    let inputs = rounds * INPUTS_A_ROUND;
    println!("{inputs} inputs, {taken} of them taken, {understood} read and refused");

    let look = database.look().await;
    books::check(&look).await;
    look.close().await;
    books::verify(&database).await;
    let log = process.kill().await;
    let panics: Vec<_> = log.iter().filter(|line| line.contains("panicked")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
    database.drop().await;
}

#[test]
fn campaign_fuzz_no_bytes_break_the_reader_of_the_price_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let seed = number_from_environment("PROPERTY_SEED", SEED);
    let mut dice = Dice::new(seed);
    let (price, now) = (Kopecks::new(1_000).unwrap(), Timestamp::from_micros(0));
    let mut read = 0;

    let rounds = usize::try_from(number_from_environment("TEST_ROUNDS", 1)).unwrap();
    for _ in 0..rounds * INPUTS_A_ROUND / 20 {
        let mut bytes = PRICES.as_bytes().to_vec();
        mutate(&mut dice, &mut bytes, PRICES.as_bytes());
        std::fs::write(&path, &bytes).unwrap();
        match price_file::prices(Some(&path), price, now) {
            Ok(_) => read += 1,
            // What stops the start is one line that names the setting.
            Err(error) => {
                let said = error.to_string();
                let is_one_line = said.starts_with("PRICES_FILE: ") && !said.contains('\n');
                let text = String::from_utf8_lossy(&bytes);
                assert!(is_one_line, "seed {seed}: {said} of {text}");
            }
        }
    }

    assert!(read > 0, "some changes do not matter");
}
