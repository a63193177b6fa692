//! A wire to PostgreSQL that fails at random, under load: callers ask again, and nothing is lost,
//! doubled or left hanging.

use std::sync::atomic::Ordering;

use crate::app::{App, HALF_HOUR, PRICE, Terms};
use crate::crowd::Crowd;
use crate::database::Engine;
use crate::model::{Caller, Times, World};
use crate::rounds::number_from_environment;
use crate::wire::behind_a_wire;

const USERS: i64 = 24;
/// Calls that are answered in one round.
const CALLS: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn campaign_of_lost_answers_and_cut_connections_loses_and_doubles_nothing() {
    for round in 0..number_from_environment("TEST_ROUNDS", 1) {
        let terms = Terms { free_operations: 2, ..Terms::default() };
        let app = App::with(Engine::Postgres, terms).await;
        let (wire, replica) = behind_a_wire(&app, terms).await;
        let ttl = i64::try_from(HALF_HOUR.as_micros()).unwrap();
        let world = World::new(app.now(), PRICE, 2, ttl);
        let caller = Caller::new(&replica.grpc_url, Times::Compared);

        let crowd = Crowd::start(caller, world, USERS, 31 + round).await;
        wire.switches.is_bad.store(true, Ordering::SeqCst);
        crowd.goes_on_for(CALLS).await;
        wire.switches.is_bad.store(false, Ordering::SeqCst);
        let (answered, repeated) = crowd.end(&app.database).await;

        let lost = wire.switches.lost.load(Ordering::SeqCst);
        let cut = wire.switches.cut.load(Ordering::SeqCst);
        println!("{answered} calls, {lost} COMMITs unanswered, {cut} connections cut before");
        assert!(lost > 0 && cut > 0 && repeated > 0, "the wire was bad");
        replica.stop().await;
        app.finish().await;
    }
}
