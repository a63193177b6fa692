//! The table and the ratios, for people.

use std::collections::BTreeMap;

use crate::bench::{Figures, Scenario};
use crate::fresh::Fresh;
use crate::options::{Engine, Kind};

/// What all rounds have measured, in the order of a round.
pub(crate) type Rounds = BTreeMap<Scenario, Vec<Figures>>;

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (None, _) => f64::NAN,
        (Some(upper), 0) => f64::midpoint(values[middle - 1], *upper),
        (Some(value), _) => *value,
    }
}

fn median_of(rounds: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    median(rounds.iter().map(of).collect())
}

/// Prints a line for everything that was measured.
pub(crate) fn print(order: &[Scenario], rounds: &Rounds) {
    println!(
        "\n{:<10}{:<10}{:>7}{:>9}{:>15}{:>9}{:>9}{:>7} {:>9}{:>8}{:>8}{:>8}{:>8}",
        "what",
        "engine",
        "callers",
        "pairs/s",
        "(min-max)",
        "p50 ms",
        "p99 ms",
        "errors",
        "CPU µs",
        "service",
        "databse",
        "client",
        "MB"
    );
    for scenario in order {
        let Some(figures) = rounds.get(scenario) else { continue };
        let rates = || figures.iter().map(|f| f.pairs_per_second);
        let least = rates().fold(f64::INFINITY, f64::min);
        let most = rates().fold(0.0, f64::max);
        let memory = figures.iter().filter_map(|f| f.memory_mb).fold(0.0, f64::max);
        println!(
            "{:<10}{:<10}{:>7}{:>9.0}{:>15}{:>9.2}{:>9.2}{:>7} {:>9.0}{:>8.0}{:>8.0}{:>8.0}{:>8.0}",
            scenario.kind.name(),
            scenario.engine.name(),
            scenario.callers,
            median_of(figures, |f| f.pairs_per_second),
            format!("({least:.0}-{most:.0})"),
            median_of(figures, |f| f.p50_ms),
            median_of(figures, |f| f.p99_ms),
            figures.iter().map(|f| f.errors).sum::<u32>(),
            median_of(figures, Figures::cpu_micros),
            median_of(figures, |f| f.service_micros),
            median_of(figures, |f| f.database_micros),
            median_of(figures, |f| f.client_micros),
            memory,
        );
    }
    for (scenario, figures) in rounds {
        if let Some(error) = figures.iter().find_map(|f| f.first_error.as_ref()) {
            println!("{} on {}: {error}", scenario.kind.name(), scenario.engine.name());
        }
    }
}

/// Prints what is judged, with its target, as far as it was measured.
pub(crate) fn print_ratios(rounds: &Rounds, fresh: Option<&Fresh>) {
    let rate: Of = |f| f.pairs_per_second;
    let at = |kind, callers| Scenario { kind, engine: Engine::Postgres, callers };
    let unary = at(Kind::Unary, 256);
    println!("\n{:<66}{:>10}  target", "ratio (median over the rounds)", "measured");
    let ratio = |name: &str, [a, b]: [Scenario; 2], of: Of, target: &str| {
        let pairs = rounds.get(&a).into_iter().flatten().zip(rounds.get(&b).into_iter().flatten());
        let ratios: Vec<f64> = pairs.map(|(a, b)| of(a) / of(b)).collect();
        line(name, median(ratios), target);
    };
    let per_transaction = "÷ one transaction per request";
    ratio(
        &format!("unary pairs, 256 callers {per_transaction}"),
        [unary, at(Kind::Plain, 256)],
        rate,
        "≥ 5, aim for 8",
    );
    line("the same ÷ the CPU bound", median(shares_of_cpu_bound(rounds)), "≥ 0.6");
    ratio(
        &format!("256 callers on one user {per_transaction}"),
        [at(Kind::Hot, 256), at(Kind::PlainHot, 256)],
        rate,
        "≥ 8",
    );
    ratio("batch RPC (100 items) ÷ unary, pairs", [at(Kind::Batch, 16), unary], rate, "≥ 2.5");
    let sqlite = Scenario { engine: Engine::Sqlite, ..unary };
    ratio("SQLite unary pairs ÷ PostgreSQL's", [sqlite, unary], rate, "≥ 1");
    ratio(
        &format!("one caller: p50 {per_transaction}"),
        [at(Kind::Unary, 1), at(Kind::Plain, 1)],
        |f| f.p50_ms,
        "≤ 1.1",
    );
    ratio("÷ the seed's way", [unary, at(Kind::Seed, 16)], rate, "≥ 25");
    ratio("large store ÷ small store", [at(Kind::Large, 256), unary], rate, "≥ 0.9");
    for engine in Engine::ALL {
        let paced = Scenario { kind: Kind::Paced, engine, callers: 0 };
        let p99 = rounds.get(&paced).map_or(f64::NAN, |figures| median_of(figures, |f| f.p99_ms));
        line(&format!("p99 ms at the offered rate, {}", engine.name()), p99, "about 10");
    }
    let memory = rounds.get(&unary).into_iter().flatten().filter_map(|f| f.memory_mb);
    line("memory of the service at 256 callers, MB", median(memory.collect()), "≤ 100");
    if let Some(fresh) = fresh {
        line("seconds until a fresh store is warm", fresh.warm_after_seconds(), "≤ 10");
        let by_second: Vec<String> = fresh.by_second.iter().map(|rate| rate.to_string()).collect();
        println!("  its pairs by second: {}", by_second.join(" "));
    }
}

type Of = fn(&Figures) -> f64;

/// What two cores could do if they did nothing but write pairs in batches and answer two calls a
/// pair; and how much of that the service reaches.
fn shares_of_cpu_bound(rounds: &Rounds) -> Vec<f64> {
    let of = |kind, callers| {
        let scenario = Scenario { kind, engine: Engine::Postgres, callers };
        rounds.get(&scenario).into_iter().flatten()
    };
    let measured = of(Kind::Unary, 256).zip(of(Kind::Raw, 512)).zip(of(Kind::Echo, 256));
    measured
        .map(|((unary, raw), echo)| {
            // A pair of echo is two calls.
            let bound = 2e6 / (raw.cpu_micros() + echo.cpu_micros());
            unary.pairs_per_second / bound
        })
        .collect()
}

fn line(name: &str, measured: f64, target: &str) {
    if measured.is_finite() {
        println!("{name:<66}{measured:>10.2}  {target}");
    }
}
