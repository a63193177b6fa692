//! What is measured, how, and what is started for it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use billing_svc::server::Database;
use billing_svc::store::Store;

use crate::callers::{Tally, Window, Work, work, work_paced};
use crate::options::{Engine, Kind, Options};
use crate::pairs::{Batch, Echo, Raw, Unary, Whom};
use crate::postgres::Postgres;
use crate::seed::Seed;
use crate::world::Process;
use crate::{proc, users};

/// The user whom everybody wants at once; has money.
const HOT_USER: i64 = 2;

/// One line of the table.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Scenario {
    pub(crate) kind: Kind,
    pub(crate) engine: Engine,
    pub(crate) callers: usize,
}

/// What came of measuring it once.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) pairs_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) errors: u32,
    pub(crate) first_error: Option<String>,
    /// CPU time of a pair, in microseconds.
    pub(crate) service_micros: f64,
    pub(crate) database_micros: f64,
    pub(crate) client_micros: f64,
    pub(crate) memory_mb: Option<f64>,
}

impl Figures {
    pub(crate) fn cpu_micros(&self) -> f64 {
        self.service_micros + self.database_micros + self.client_micros
    }
}

/// CPU time used so far.
#[derive(Clone, Copy, Debug)]
struct Used {
    service: Duration,
    database: Duration,
    own: Duration,
}

/// Everything that runs while it is measured.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) folder: PathBuf,
    pub(crate) postgres: Option<Postgres>,
    pub(crate) services: HashMap<Engine, Process>,
    pub(crate) raw: HashMap<Engine, Database>,
    pub(crate) plain: Option<Process>,
    pub(crate) seed: Option<Seed>,
    pub(crate) large: Option<Process>,
}

impl Bench {
    /// All lines of the table that the options ask for, in the order of one round.
    pub(crate) fn scenarios(options: &Options) -> Vec<Scenario> {
        let mut all = Vec::new();
        for engine in Engine::ALL.into_iter().filter(|&engine| options.wants_engine(engine)) {
            let mut add = |kind, callers: &[usize]| {
                if options.wants_kind(kind) {
                    all.extend(callers.iter().map(|&callers| Scenario { kind, engine, callers }));
                }
            };
            let some = |all: &[usize]| -> Vec<usize> {
                all.iter().copied().filter(|&callers| options.wants_callers(callers)).collect()
            };
            add(Kind::Unary, &some(&[1, 8, 64, 256]));
            if engine == Engine::Postgres {
                add(Kind::Plain, &some(&[1, 8, 64, 256]));
                add(Kind::Echo, &[256]);
            }
            add(Kind::Batch, &[16]);
            add(Kind::Raw, &[512]);
            add(Kind::Hot, &[256]);
            if engine == Engine::Postgres {
                add(Kind::PlainHot, &[256]);
                add(Kind::Seed, &[16]);
                if options.large_operations > 0 {
                    add(Kind::Large, &[256]);
                }
            }
            add(Kind::Paced, &[0]);
        }
        all
    }

    /// Measures one line once.
    pub(crate) async fn measure(&self, scenario: Scenario) -> anyhow::Result<Figures> {
        let Scenario { kind, engine, callers } = scenario;
        let any = Whom::Any { users: self.options.users };
        let hot = Whom::One { user: HOT_USER.min(self.options.users) };
        let large = Whom::Any { users: self.options.large_users };
        let service = || self.services.get(&engine).context("started before");
        let plain = || self.plain.as_ref().context("started before");
        match kind {
            Kind::Unary => self.unary(service()?, callers, any).await,
            Kind::Hot => self.unary(service()?, callers, hot).await,
            Kind::Plain => self.unary(plain()?, callers, any).await,
            Kind::PlainHot => self.unary(plain()?, callers, hot).await,
            Kind::Large => {
                self.unary(self.large.as_ref().context("started before")?, callers, large).await
            }
            Kind::Batch => self.batch(service()?, callers, any).await,
            Kind::Echo => self.echo(service()?, callers).await,
            Kind::Paced => self.paced(service()?, any).await,
            Kind::Raw => match self.raw.get(&engine).context("opened before")? {
                Database::Sqlite(store) => self.raw(store, callers, any).await,
                Database::Postgres(store) => self.raw(store, callers, any).await,
            },
            Kind::Seed => self.seed().await,
            Kind::Fresh => anyhow::bail!("it is measured once, by itself"),
        }
    }

    async fn unary(
        &self,
        process: &Process,
        callers: usize,
        whom: Whom,
    ) -> anyhow::Result<Figures> {
        let clients = self.clients(process)?;
        let callers: Vec<_> = clients.iter().cycle().take(callers).cloned().collect();
        let callers = callers.into_iter().map(|client| Unary { client, whom }).collect();
        Ok(self.work(Some(process.pid), callers).await)
    }

    async fn batch(
        &self,
        process: &Process,
        callers: usize,
        whom: Whom,
    ) -> anyhow::Result<Figures> {
        let clients = self.clients(process)?;
        let callers: Vec<_> = clients.iter().cycle().take(callers).cloned().collect();
        let callers = callers.into_iter().map(|client| Batch { client, whom }).collect();
        Ok(self.work(Some(process.pid), callers).await)
    }

    async fn echo(&self, process: &Process, callers: usize) -> anyhow::Result<Figures> {
        let clients = self.clients(process)?;
        let callers: Vec<_> = clients.iter().cycle().take(callers).cloned().collect();
        let callers = callers.into_iter().map(|client| Echo { client }).collect();
        Ok(self.work(Some(process.pid), callers).await)
    }

    async fn raw<S: Store>(
        &self,
        store: &S,
        callers: usize,
        whom: Whom,
    ) -> anyhow::Result<Figures> {
        let ledger = users::open(store, "0")?;
        let callers = (0..callers).map(|_| Raw { ledger: ledger.clone(), whom }).collect();
        Ok(self.work(None, callers).await)
    }

    async fn paced(&self, process: &Process, whom: Whom) -> anyhow::Result<Figures> {
        let clients = self.clients(process)?;
        let next = std::sync::atomic::AtomicUsize::new(0);
        let caller = || {
            let next = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let client = clients.get(next % clients.len()).cloned();
            Unary { client: client.expect("it is one of them"), whom }
        };
        let window = self.window();
        let probe = || self.used(Some(process.pid));
        let (tally, used) = work_paced(window, self.options.offered, caller, probe).await;
        Ok(self.figures(tally, used, Some(process.pid)))
    }

    async fn seed(&self) -> anyhow::Result<Figures> {
        let seed = self.seed.as_ref().context("prepared before")?;
        let begin = self.used(None);
        let (tally, python) =
            seed.charge(self.options.users, self.options.seconds(), self.options.warm_up()).await?;
        let end = self.used(None);
        let used = [begin, Used { service: begin.service, own: begin.own + python, ..end }];
        Ok(self.figures(tally, used, None))
    }

    async fn work<W: Work>(&self, service: Option<u32>, callers: Vec<W>) -> Figures {
        let (tally, used) = work(self.window(), callers, || self.used(service)).await;
        self.figures(tally, used, service)
    }

    fn window(&self) -> Window {
        Window::after(self.options.warm_up(), self.options.seconds())
    }

    fn clients(&self, process: &Process) -> anyhow::Result<Vec<crate::pairs::Client>> {
        (0..self.options.connections.max(1)).map(|_| process.client()).collect()
    }

    fn used(&self, service: Option<u32>) -> Used {
        let database = self.postgres.as_ref().and_then(Postgres::pid);
        Used {
            service: service.map_or(Duration::ZERO, proc::cpu),
            database: database.map_or(Duration::ZERO, proc::cpu_with_children),
            own: proc::cpu(std::process::id()),
        }
    }

    fn figures(&self, mut tally: Tally, used: [Used; 2], service: Option<u32>) -> Figures {
        let [before, after] = used;
        let micros = |of: fn(&Used) -> Duration| {
            let spent = of(&after).saturating_sub(of(&before));
            spent.as_secs_f64() * 1e6 / f64::from(tally.pairs.max(1))
        };
        let [service_micros, database_micros, client_micros] =
            [micros(|used| used.service), micros(|used| used.database), micros(|used| used.own)];
        Figures {
            pairs_per_second: f64::from(tally.pairs) / self.options.seconds,
            p50_ms: tally.percentile(50).as_secs_f64() * 1e3,
            p99_ms: tally.percentile(99).as_secs_f64() * 1e3,
            errors: tally.errors,
            first_error: tally.first_error,
            service_micros,
            database_micros,
            client_micros,
            memory_mb: service.and_then(proc::peak_memory_mb),
        }
    }
}
