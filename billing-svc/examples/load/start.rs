//! Starts what the options ask to measure, and proves the books when it is over.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use billing_svc::server::Database;
use billing_svc::store::Engine as _;

use crate::bench::{Bench, Scenario};
use crate::fresh::Fresh;
use crate::large;
use crate::options::{Engine, Kind, Options};
use crate::postgres::Postgres;
use crate::proof;
use crate::seed::Seed;
use crate::users;
use crate::world::Process;

/// Databases on PostgreSQL; on SQLite, files.
const SERVICE: &str = "load_service";
const RAW: &str = "load_raw";
const PLAIN: &str = "load_plain";
const SEED: &str = "load_seed";
const FRESH: &str = "load_fresh";
const LARGE: &str = "load_large";
const EMPTY: &str = "template0";

impl Bench {
    /// Fills databases and starts processes for `scenarios`.
    pub(crate) async fn start(
        options: &Options,
        folder: &Path,
        scenarios: &[Scenario],
    ) -> anyhow::Result<Self> {
        let mut bench = Self {
            options: options.clone(),
            folder: folder.to_owned(),
            postgres: None,
            services: HashMap::new(),
            raw: HashMap::new(),
            plain: None,
            seed: None,
            large: None,
        };
        let engines: BTreeSet<Engine> = scenarios.iter().map(|scenario| scenario.engine).collect();
        for engine in engines {
            let kinds = scenarios.iter().filter(|scenario| scenario.engine == engine);
            let kinds: BTreeSet<Kind> = kinds.map(|scenario| scenario.kind).collect();
            match engine {
                Engine::Sqlite => bench.start_on_sqlite(&kinds).await?,
                Engine::Postgres => bench.start_on_postgres(&kinds).await?,
            }
        }
        Ok(bench)
    }

    async fn start_on_sqlite(&mut self, kinds: &BTreeSet<Kind>) -> anyhow::Result<()> {
        fill(&self.file(SERVICE), self.options.users).await?;
        if kinds.contains(&Kind::Raw) {
            std::fs::copy(self.path(SERVICE), self.path(RAW))?;
            self.raw.insert(Engine::Sqlite, Database::open(&self.file(RAW)).await?);
        }
        let service = self.process("serve", &self.file(SERVICE)).await?;
        self.services.insert(Engine::Sqlite, service);
        Ok(())
    }

    async fn start_on_postgres(&mut self, kinds: &BTreeSet<Kind>) -> anyhow::Result<()> {
        let postgres = match &self.options.postgres_url {
            Some(url) => Postgres::running(url)?,
            None => Postgres::start(&self.folder)?,
        };
        // Kept at once: it is stopped however this ends.
        let postgres = self.postgres.insert(postgres);
        let url = postgres.create(SERVICE, EMPTY).await?;
        fill(&url, self.options.users).await?;
        postgres.tidy(SERVICE).await?;
        let has = |some: &[Kind]| some.iter().any(|kind| kinds.contains(kind));
        if has(&[Kind::Raw]) {
            let url = postgres.create(RAW, SERVICE).await?;
            self.raw.insert(Engine::Postgres, Database::open(&url).await?);
        }
        let plain = match has(&[Kind::Plain, Kind::PlainHot]) {
            true => Some(postgres.create(PLAIN, SERVICE).await?),
            false => None,
        };
        if has(&[Kind::Seed]) {
            let url = postgres.create(SEED, EMPTY).await?;
            self.seed = Some(Seed::prepare(&self.folder, url).await?);
        }
        let large = match has(&[Kind::Large]) {
            true => Some(postgres.create(LARGE, EMPTY).await?),
            false => None,
        };
        if let Some(url) = plain {
            self.plain = Some(self.process("plain", &url).await?);
        }
        self.services.insert(Engine::Postgres, self.process("serve", &url).await?);
        if let Some(url) = large {
            Database::migrate(&url).await?;
            large::fill(&url, self.options.large_users, self.options.large_operations).await?;
            self.large = Some(self.process("serve", &url).await?);
        }
        if let Some(postgres) = &self.postgres {
            postgres.checkpoint().await?;
        }
        Ok(())
    }

    /// Measures a store that was empty a moment ago.
    pub(crate) async fn fresh(&mut self) -> anyhow::Result<Fresh> {
        if self.postgres.is_none() {
            self.postgres = Some(match &self.options.postgres_url {
                Some(url) => Postgres::running(url)?,
                None => Postgres::start(&self.folder)?,
            });
        }
        let postgres = self.postgres.as_ref().expect("it has just been started");
        let url = postgres.create(FRESH, EMPTY).await?;
        Database::migrate(&url).await?;
        let process = self.process("serve", &url).await?;
        let fresh = Fresh::measure(&process, self.options.connections).await;
        process.stop().await?;
        fresh
    }

    /// Ends every service in good order, then proves the books: how much is wrong, by store.
    pub(crate) async fn prove(&mut self) -> anyhow::Result<Vec<(&'static str, u64)>> {
        let mut stores = Vec::new();
        for (engine, database) in self.raw.drain() {
            close(database).await;
            stores.push((engine, RAW));
        }
        for (engine, service) in self.services.drain() {
            service.stop().await?;
            stores.push((engine, SERVICE));
        }
        if let Some(plain) = self.plain.take() {
            plain.stop().await?;
            stores.push((Engine::Postgres, PLAIN));
        }
        if let Some(large) = self.large.take() {
            large.stop().await?;
        }
        let mut proved = Vec::new();
        for (engine, store) in stores {
            let url = match (engine, &self.postgres) {
                (Engine::Postgres, Some(postgres)) => postgres.url(store),
                _ => self.file(store),
            };
            let name = if engine == Engine::Postgres { store } else { "load on sqlite" };
            proved.push((name, proof::findings(&url).await?));
        }
        Ok(proved)
    }

    async fn process(&self, role: &str, url: &str) -> anyhow::Result<Process> {
        Process::start(role, url, self.options.log.as_deref()).await
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.join(format!("{name}.db"))
    }

    fn file(&self, name: &str) -> String {
        format!("sqlite://{}", self.path(name).display())
    }
}

/// Makes the users of a store.
async fn fill(url: &str, users: i64) -> anyhow::Result<()> {
    Database::migrate(url).await?;
    let database = Database::open(url).await?;
    users::make(&database, users).await?;
    close(database).await;
    Ok(())
}

async fn close(database: Database) {
    match database {
        Database::Sqlite(store) => store.close().await,
        Database::Postgres(store) => store.close().await,
    }
}
