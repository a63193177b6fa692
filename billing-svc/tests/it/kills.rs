//! kill -9 of the service and of PostgreSQL at random, under load: callers ask again, and nothing
//! is lost, doubled or left hanging. `TEST_ROUNDS=20` kills a hundred times.

use crate::app::PRICE;
use crate::crowd::Crowd;
use crate::database::{Engine, TestDatabase};
use crate::model::{Caller, Dice, Times, World};
use crate::own_postgres::OwnPostgres;
use crate::process::{Process, migrate};
use crate::rounds::number_from_environment;

const USERS: i64 = 12;
const KILLS_A_ROUND: u64 = 5;
const SEED: u64 = 9;

/// Kills and starts again, for as long as it takes.
async fn kill_again_and_again(database: &TestDatabase, mut postgres: Option<&mut OwnPostgres>) {
    migrate(database).await;
    let mut process = Some(Process::start(database).await);
    // The shipped binary's own price and free operations, and the machine's clock.
    let world = World::new(0, PRICE, 4, 1_800_000_000);
    let caller = Caller::new(&process.as_ref().unwrap().url, Times::LeftOut);
    let crowd = Crowd::start(caller, world, USERS, SEED).await;
    let mut dice = Dice::new(SEED);

    let kills = KILLS_A_ROUND * number_from_environment("TEST_ROUNDS", 1);
    for number in 0..kills {
        crowd.goes_on_for(u64::try_from(dice.roll(120)).unwrap() + 5).await;
        // Without PostgreSQL there is only one thing to kill.
        let victim = if postgres.is_some() { (number + 1) % 3 } else { 1 };
        if let Some(postgres) = postgres.as_mut().filter(|_| victim != 1) {
            postgres.kill().await;
        }
        if victim != 0 {
            let log = process.take().unwrap().kill().await;
            assert!(!log.iter().any(|line| line.contains("panicked")), "{log:#?}");
        }
        if let Some(postgres) = postgres.as_mut().filter(|_| victim != 1) {
            postgres.serve().await;
        }
        if process.is_none() {
            let next = process.insert(Process::start(database).await);
            crowd.moves_to(&next.url);
        }
    }
    crowd.goes_on_for(50).await;
    let (answered, repeated) = crowd.end(database).await;
    println!("{kills} kills, {answered} calls answered, {repeated} times asked again");
    assert!(repeated > 0, "some were not answered at first");
    process.unwrap().kill().await;
}

#[tokio::test]
async fn campaign_of_killing_the_service_and_postgresql_loses_and_doubles_nothing() {
    let mut postgres = OwnPostgres::start().await;
    let database = TestDatabase::elsewhere(postgres.url.clone());

    kill_again_and_again(&database, Some(&mut postgres)).await;

    postgres.kill().await;
}

#[tokio::test]
async fn campaign_of_killing_the_service_on_sqlite_loses_and_doubles_nothing() {
    let database = TestDatabase::create(Engine::Sqlite).await;

    kill_again_and_again(&database, None).await;

    database.drop().await;
}
