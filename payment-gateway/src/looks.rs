//! Looks at one object each: notifications of the same one that arrive together share a look.
//!
//! Invariant: whoever is answered by a look asked before that look began to read. So a look that
//! runs is never joined, since what it read may be older than the notification; all that come
//! meanwhile share the next one, which begins when it has ended.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::error::PaymentError;

type Outcome<T> = Result<T, PaymentError>;
type Look<T> = Shared<BoxFuture<'static, Outcome<T>>>;

/// The looks at one object.
#[derive(Debug)]
struct Looks<T: Clone> {
    running: Option<Look<T>>,
    next: Option<Look<T>>,
}

/// No room: more objects wait to be looked at than may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Full;

/// Who is being looked at, and who waits for it.
#[derive(Clone, Debug)]
pub struct Desk<K, T: Clone> {
    turns: Arc<Semaphore>,
    objects_max: usize,
    tasks: TaskTracker,
    objects: Arc<Mutex<HashMap<K, Looks<T>>>>,
}

impl<K, T> Desk<K, T>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    T: Clone + Debug + Send + Sync + 'static,
{
    /// Lets so many looks run as `turns` has permits, and so many objects wait or be looked at.
    /// `tasks` holds looks whose askers have gone.
    pub fn new(turns: Arc<Semaphore>, objects_max: usize, tasks: TaskTracker) -> Self {
        Self { turns, objects_max, tasks, objects: Arc::default() }
    }

    /// Joins the look at `object` that has not begun, or lets `look` be the next.
    ///
    /// # Errors
    /// When too many objects wait.
    pub fn look<F>(&self, object: &K, look: F) -> Result<Look<T>, Full>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let mut objects = self.objects();
        if objects.len() >= self.objects_max && !objects.contains_key(object) {
            return Err(Full);
        }
        let looks = objects.entry(object.clone()).or_insert(Looks { running: None, next: None });
        if let Some(next) = &looks.next {
            return Ok(next.clone());
        }
        let work = self.clone().in_turn(object.clone(), looks.running.clone(), look);
        let request_id = proto::request_id::current();
        let task = self.tasks.spawn(proto::request_id::scope(request_id, work).in_current_span());
        let next = task.map(|ended| ended.unwrap_or(Err(PaymentError::ProviderUnavailable)));
        let next = next.boxed().shared();
        looks.next = Some(next.clone());
        Ok(next)
    }

    async fn in_turn<F>(self, object: K, before: Option<Look<T>>, look: F) -> Outcome<T>
    where
        F: Future<Output = Outcome<T>> + Send + 'static,
    {
        let _place = Place { desk: &self, object: &object };
        if let Some(before) = before {
            // However it ended: this one reads anew.
            drop(before.await);
        }
        let _turn = self.turns.acquire().await;
        if let Some(looks) = self.objects().get_mut(&object) {
            // From here on nobody joins.
            looks.running = looks.next.take();
        }
        look.await
    }

    fn objects(&self) -> MutexGuard<'_, HashMap<K, Looks<T>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, object: &K) {
        let mut objects = self.objects();
        if let Some(looks) = objects.get_mut(object) {
            looks.running = None;
            if looks.next.is_none() {
                objects.remove(object);
            }
        }
    }
}

/// Gives an object's place free when its look ends, however it ends.
struct Place<'d, K, T>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    T: Clone + Debug + Send + Sync + 'static,
{
    desk: &'d Desk<K, T>,
    object: &'d K,
}

impl<K, T> Drop for Place<'_, K, T>
where
    K: Clone + Debug + Eq + Hash + Send + Sync + 'static,
    T: Clone + Debug + Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.desk.leave(self.object);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    fn desk(turns: usize, objects_max: usize) -> Desk<&'static str, u32> {
        Desk::new(Arc::new(Semaphore::new(turns)), objects_max, TaskTracker::new())
    }

    /// A look that begins, says so, and ends when it is told to.
    fn held(
        number: u32,
    ) -> (impl Future<Output = Outcome<u32>>, oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (begins, begun) = oneshot::channel();
        let (end, ends) = oneshot::channel::<()>();
        let look = async move {
            begins.send(()).ok();
            ends.await.ok();
            Ok(number)
        };
        (look, begun, end)
    }

    fn never() -> impl Future<Output = Outcome<u32>> {
        std::future::poll_fn(|_| panic!("a look that should have been shared"))
    }

    #[tokio::test]
    async fn a_look_that_runs_is_not_joined_and_the_next_is_shared() {
        let desk = desk(2, 10);
        let (look, begun, end) = held(1);
        let first = desk.look(&"p", look).unwrap();
        begun.await.unwrap();

        let second = desk.look(&"p", async { Ok(2) }).unwrap();
        let third = desk.look(&"p", never()).unwrap();
        let other = desk.look(&"q", async { Ok(7) }).unwrap();

        assert_eq!(other.await.unwrap(), 7);
        assert!(second.peek().is_none(), "it waits for the one that runs");
        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!((second.await.unwrap(), third.await.unwrap()), (2, 2));
        assert!(desk.objects().is_empty());
    }

    #[tokio::test]
    async fn those_that_wait_for_a_turn_share_one_look() {
        let desk = desk(1, 10);
        let (look, begun, end) = held(1);
        let busy = desk.look(&"p", look).unwrap();
        begun.await.unwrap();
        let reads = Arc::new(AtomicU32::new(0));

        let looks: Vec<_> = (0..20)
            .map(|_| {
                let reads = Arc::clone(&reads);
                desk.look(&"q", async move { Ok(reads.fetch_add(1, Ordering::SeqCst)) }).unwrap()
            })
            .collect();
        end.send(()).unwrap();

        busy.await.unwrap();
        for look in looks {
            assert_eq!(look.await.unwrap(), 0);
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn beyond_the_bound_there_is_no_room_but_for_those_who_join() {
        let desk = desk(1, 2);
        let (look, begun, end) = held(1);
        let first = desk.look(&"p", look).unwrap();
        begun.await.unwrap();
        let second = desk.look(&"q", async { Ok(2) }).unwrap();

        assert_eq!(desk.look(&"r", never()).unwrap_err(), Full);
        let joined = desk.look(&"q", never()).unwrap();

        end.send(()).unwrap();
        assert_eq!(first.await.unwrap(), 1);
        assert_eq!((second.await.unwrap(), joined.await.unwrap()), (2, 2));
        assert_eq!(desk.look(&"r", async { Ok(3) }).unwrap().await.unwrap(), 3);
    }
}
