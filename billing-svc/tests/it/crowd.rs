//! Callers that each work for one user and ask again until they are answered, whatever breaks
//! below them. Each answer has to be what the model says, as if nothing had broken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::billing::v1 as wire;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::app::PATIENCE;
use crate::books;
use crate::database::TestDatabase;
use crate::model::{Caller, Ended, Lane, Request, World, compare_all};

/// What everybody may redeem, so that prices and credits differ.
const CODES: [&str; 3] = ["TEN-OFF", "BONUS", "THREE"];
/// How long one try may take; there is always another.
const TRY: Duration = Duration::from_secs(2);
/// Before the next try, unless the service is somewhere else before.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Crowd {
    world: Mutex<World>,
    current: watch::Sender<Caller>,
    answered: AtomicU64,
    repeated: AtomicU64,
    is_over: AtomicBool,
    working: tokio::sync::Mutex<JoinSet<()>>,
}

impl Crowd {
    /// Registers `users`, gives them money and something to redeem, and lets them work.
    pub(crate) async fn start(
        caller: Caller,
        mut world: World,
        users: i64,
        seed: u64,
    ) -> Arc<Self> {
        let price = world.price_kopecks();
        let mut requests: Vec<_> = CODES.iter().map(|code| offer(code)).collect();
        for user_id in 1..=users {
            requests.push(Request::Register(wire::RegisterUserRequest { user_id, profile: None }));
            requests.push(Request::Adjust(wire::AdjustBalanceRequest {
                user_id,
                amount_kopecks: 20 * price,
                actor: "olga".into(),
                reason: "start".into(),
                idempotency_key: "start".into(),
            }));
        }
        for request in requests {
            let expected = world.call(&request);
            assert_eq!(caller.differs(&request, expected).await, None);
        }
        let crowd = Arc::new(Self {
            world: Mutex::new(world),
            current: watch::Sender::new(caller.within(TRY)),
            answered: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            working: tokio::sync::Mutex::new(JoinSet::new()),
        });
        let mut working = crowd.working.lock().await;
        for user_id in 1..=users {
            let mut lane = Lane::new(user_id, price, seed);
            // Their items may be torn apart, and then answer another order than they were sent in.
            lane.has_loose_batches = false;
            working.spawn(Arc::clone(&crowd).work(lane));
        }
        drop(working);
        crowd
    }

    async fn work(self: Arc<Self>, mut lane: Lane) {
        let codes = CODES.map(str::to_owned);
        while !self.is_over.load(Ordering::SeqCst) {
            let request = lane.next(&codes);
            let expected = self.world.lock().unwrap().call(&request);
            let expected = self.current.borrow().comparable(expected);
            let found = self.until_answered(&request).await;
            assert_eq!(found, expected, "service and model differ in {request:?}");
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn until_answered(&self, request: &Request) -> Ended {
        let mut current = self.current.subscribe();
        let deadline = Instant::now() + 3 * PATIENCE;
        loop {
            let caller = current.borrow_and_update().clone();
            let last = match timeout(2 * TRY, caller.call(request)).await {
                Ok(Ok(answer)) if !answer.is_to_be_repeated() => return Ok(answer),
                Ok(Err(refusal)) if !refusal.is_to_be_repeated() => return Err(refusal),
                last => last,
            };
            self.repeated.fetch_add(1, Ordering::SeqCst);
            assert!(Instant::now() < deadline, "{request:?} is never answered: {last:?}");
            drop(timeout(PAUSE, current.changed()).await);
        }
    }

    /// The service is somewhere else now.
    pub(crate) fn moves_to(&self, url: &str) {
        self.current.send_modify(|caller| *caller = caller.at(url).within(TRY));
    }

    /// Waits until so many more calls were answered.
    pub(crate) async fn goes_on_for(&self, calls: u64) {
        let aim = self.answered.load(Ordering::SeqCst) + calls;
        let deadline = Instant::now() + 6 * PATIENCE;
        while self.answered.load(Ordering::SeqCst) < aim {
            assert!(Instant::now() < deadline, "the work goes on");
            self.check_on_workers().await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Those who saw something wrong have ended early.
    async fn check_on_workers(&self) {
        if let Some(ended) = self.working.lock().await.try_join_next() {
            ended.unwrap();
            panic!("nobody ends before it is over");
        }
    }

    /// Ends the work, and compares what is stored with what everybody was told; answers how many
    /// calls were answered, and how often one had to be asked again.
    pub(crate) async fn end(&self, database: &TestDatabase) -> (u64, u64) {
        self.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.working.lock().await.join_next().await {
            ended.unwrap();
        }
        let mut world = self.world.lock().unwrap().clone();
        let look = database.look().await;
        let caller = self.current.borrow().clone();
        assert_eq!(compare_all(&mut world, &caller, &look).await, Ok(()));
        books::check(&look).await;
        look.close().await;
        (self.answered.load(Ordering::SeqCst), self.repeated.load(Ordering::SeqCst))
    }
}

fn offer(code: &str) -> Request {
    use wire::promo_effect::Effect;
    let effect = match code {
        "TEN-OFF" => {
            Effect::OperationDiscount(wire::OperationDiscount { percent: 10, until: None })
        }
        "BONUS" => Effect::TopUpBonus(wire::TopUpBonus {
            percent: 33,
            bonus_max_kopecks: 500,
            until: None,
        }),
        _ => Effect::FreeOperations(wire::FreeOperations { count: 3 }),
    };
    Request::CreatePromoCode(wire::CreatePromoCodeRequest {
        code: code.to_owned(),
        effect: Some(wire::PromoEffect { effect: Some(effect) }),
        actor: "olga".into(),
        reason: "spring".into(),
        ..wire::CreatePromoCodeRequest::default()
    })
}
