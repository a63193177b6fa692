//! The database's answer to COMMIT is lost: the outcome is unknown, and the repeat resolves it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proto::billing::v1 as wire;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;

use crate::app::{ANNA, App, PATIENCE, PRICE, Replica, Terms, reserve};
use crate::database::Engine;

/// What sqlx sends to commit.
const COMMIT: &[u8] = b"COMMIT\0";

/// Stands between a service and its database, and can lose one answer, or go silent.
struct Wire {
    address: SocketAddr,
    lose_next_commit: Arc<AtomicBool>,
    /// The connection of the next COMMIT carries nothing more, and does not end either.
    fall_silent_at_next_commit: Arc<AtomicBool>,
}

impl Wire {
    async fn to(database: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let lose_next_commit = Arc::new(AtomicBool::new(false));
        let fall_silent_at_next_commit = Arc::new(AtomicBool::new(false));
        let switches = (Arc::clone(&lose_next_commit), Arc::clone(&fall_silent_at_next_commit));
        tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                let database = TcpStream::connect(database).await.unwrap();
                tokio::spawn(carry(service, database, switches.clone()));
            }
        });
        Self { address, lose_next_commit, fall_silent_at_next_commit }
    }
}

/// Carries bytes both ways until either side ends, or an armed COMMIT was answered.
async fn carry(
    mut service: TcpStream,
    mut database: TcpStream,
    (armed, silence): (Arc<AtomicBool>, Arc<AtomicBool>),
) {
    let (mut out, mut back) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut is_lost = false;
    loop {
        tokio::select! {
            read = service.read(&mut out) => {
                let Ok(count @ 1..) = read else { return };
                let is_commit = out[..count].windows(COMMIT.len()).any(|part| part == COMMIT);
                if is_commit && silence.swap(false, Ordering::SeqCst) {
                    return std::future::pending().await;
                }
                is_lost = is_lost || (is_commit && armed.swap(false, Ordering::SeqCst));
                if database.write_all(&out[..count]).await.is_err() {
                    return;
                }
            }
            read = database.read(&mut back) => {
                let Ok(count @ 1..) = read else { return };
                // The database has done it; nobody will hear of that.
                if is_lost || service.write_all(&back[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A replica that reaches its database through a wire.
async fn behind_a_wire(app: &App) -> (Wire, Replica) {
    let mut url = url::Url::parse(&app.database.url).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let database = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
    let wire_to_database = Wire::to(database).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(wire_to_database.address.port())).unwrap();
    url.set_query(Some("sslmode=disable"));
    // The only commits are those that the test is about.
    let terms = Terms { free_operations: 0, chain_every: None, ..Terms::default() };
    let replica = Replica::start(url.as_str(), terms, app.clock.clone()).await;
    (wire_to_database, replica)
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_its_repeat_meets_what_was_stored() {
    let app = App::with_money(Engine::Postgres, 5_000).await;
    let (wire_to_database, replica) = behind_a_wire(&app).await;
    let mut once = replica.billing.streaming();

    wire_to_database.lose_next_commit.store(true, Ordering::SeqCst);
    let lost = once.reserve(reserve(ANNA, "test:1")).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);

    let repeat = once.reserve(reserve(ANNA, "test:1")).await.unwrap().into_inner();
    let operation = repeat.operation.unwrap();
    assert_eq!(app.has(ANNA).await, (4_000, PRICE, 0, 0));

    wire_to_database.lose_next_commit.store(true, Ordering::SeqCst);
    let commit = wire::CommitRequest {
        user_id: ANNA,
        operation_id: operation.operation_id,
        cost_micro_usd: None,
    };
    let lost = once.commit(commit.clone()).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);
    // The thin client repeats by itself.
    let committed = replica.billing.commit(commit).await.unwrap().operation.unwrap();
    assert_eq!(committed.state(), wire::OperationState::Committed);
    assert_eq!(app.has(ANNA).await, (4_000, 0, 0, 0));

    let look = app.look().await;
    assert_eq!(look.numbers("select count(*) from entries").await, [[3]]);
    look.close().await;
    replica.stop().await;
    app.finish().await;
}

#[tokio::test]
async fn a_database_that_falls_silent_and_comes_back_is_used_again() {
    let app = App::with_money(Engine::Postgres, 5_000).await;
    let (wire_to_database, replica) = behind_a_wire(&app).await;
    let patient = replica.billing.clone().with_deadline(2 * PATIENCE);
    patient.reserve(reserve(ANNA, "test:1")).await.unwrap();

    // The machine is gone, and nothing says so: the connection neither answers nor ends.
    wire_to_database.fall_silent_at_next_commit.store(true, Ordering::SeqCst);
    let mut once = replica.billing.streaming();
    let unanswered = tokio::time::timeout(2 * PATIENCE, once.reserve(reserve(ANNA, "test:2")));
    let unanswered = unanswered.await.expect("it is given up").unwrap_err();
    assert_eq!(unanswered.code(), Code::Unavailable);

    // Another one has taken its address.
    patient.reserve(reserve(ANNA, "test:2")).await.unwrap();
    assert_eq!(app.has(ANNA).await, (3_000, 2 * PRICE, 0, 0));
    replica.stop().await;
    app.finish().await;
}
