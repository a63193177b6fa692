//! A wire between a service and its PostgreSQL that can be told to fail, or fails at random.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::app::{App, Replica, Terms};
use crate::model::Dice;

/// What sqlx sends to commit.
const COMMIT: &[u8] = b"COMMIT\0";

/// What may happen to it.
#[derive(Debug)]
pub(crate) struct Switches {
    /// The database does it, and nobody hears of that.
    pub(crate) lose_next_commit: AtomicBool,
    /// The connection of the next COMMIT carries nothing more, and does not end either.
    pub(crate) fall_silent_at_next_commit: AtomicBool,
    /// Fails at random while it is on.
    pub(crate) is_bad: AtomicBool,
    /// How many COMMITs were not answered, and how many of these were not even asked.
    pub(crate) lost: AtomicU64,
    pub(crate) cut: AtomicU64,
    dice: Mutex<Dice>,
}

/// What becomes of one piece of what a service says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Carried,
    Delayed(u64),
    /// Carried to the database, whose answer is thrown away.
    Unanswered,
    /// Carried to the database, and the connection is cut at once.
    CutAfter,
    CutBefore,
    Silent,
}

impl Switches {
    fn fate(&self, said: &[u8]) -> Fate {
        let is_commit = said.windows(COMMIT.len()).any(|part| part == COMMIT);
        if is_commit && self.fall_silent_at_next_commit.swap(false, Ordering::SeqCst) {
            return Fate::Silent;
        }
        if is_commit && self.lose_next_commit.swap(false, Ordering::SeqCst) {
            return Fate::Unanswered;
        }
        if !self.is_bad.load(Ordering::SeqCst) {
            return Fate::Carried;
        }
        let mut dice = self.dice.lock().unwrap();
        let fate = match (is_commit, dice.roll(100)) {
            (true, 0..10) => Fate::Unanswered,
            (true, 10..20) => Fate::CutAfter,
            (true, 20..30) => Fate::CutBefore,
            (true, 30..50) => Fate::Delayed(u64::try_from(dice.roll(30)).unwrap()),
            (false, 0) => Fate::CutBefore,
            _ => Fate::Carried,
        };
        match fate {
            Fate::Unanswered | Fate::CutAfter => self.lost.fetch_add(1, Ordering::SeqCst),
            Fate::CutBefore => self.cut.fetch_add(1, Ordering::SeqCst),
            Fate::Carried | Fate::Delayed(_) | Fate::Silent => 0,
        };
        fate
    }
}

/// Stands between a service and its database.
pub(crate) struct Wire {
    address: SocketAddr,
    pub(crate) switches: Arc<Switches>,
}

impl Wire {
    async fn to(database: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let switches = Arc::new(Switches {
            lose_next_commit: AtomicBool::new(false),
            fall_silent_at_next_commit: AtomicBool::new(false),
            is_bad: AtomicBool::new(false),
            lost: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            dice: Mutex::new(Dice::new(7)),
        });
        let shared = Arc::clone(&switches);
        tokio::spawn(async move {
            while let Ok((service, _)) = listener.accept().await {
                let database = TcpStream::connect(database).await.unwrap();
                tokio::spawn(carry(service, database, Arc::clone(&shared)));
            }
        });
        Self { address, switches }
    }
}

/// Carries bytes both ways until either side ends, or the wire fails.
async fn carry(mut service: TcpStream, mut database: TcpStream, switches: Arc<Switches>) {
    let (mut out, mut back) = ([0; 16 * 1024], [0; 16 * 1024]);
    let mut is_lost = false;
    loop {
        tokio::select! {
            read = service.read(&mut out) => {
                let Ok(count @ 1..) = read else { return };
                let fate = switches.fate(&out[..count]);
                match fate {
                    Fate::Carried | Fate::CutAfter => {}
                    Fate::Unanswered => is_lost = true,
                    Fate::Delayed(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
                    Fate::CutBefore => return,
                    Fate::Silent => return std::future::pending().await,
                }
                if database.write_all(&out[..count]).await.is_err() || fate == Fate::CutAfter {
                    return;
                }
            }
            read = database.read(&mut back) => {
                let Ok(count @ 1..) = read else { return };
                if is_lost || service.write_all(&back[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// A replica that reaches its database through a wire.
pub(crate) async fn behind_a_wire(app: &App, terms: Terms) -> (Wire, Replica) {
    let mut url = url::Url::parse(&app.database.url).unwrap();
    let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let database = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
    let wire_to_database = Wire::to(database).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(wire_to_database.address.port())).unwrap();
    url.set_query(Some("sslmode=disable"));
    let replica = Replica::start(url.as_str(), terms, app.clock.clone()).await;
    (wire_to_database, replica)
}
