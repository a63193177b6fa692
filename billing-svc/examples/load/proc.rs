//! What processes have used, as Linux counts it.

use std::fs;
use std::time::Duration;

/// Linux counts in hundredths of a second, wherever Rust runs.
const TICK: Duration = Duration::from_millis(10);

/// CPU time of one process, all its threads.
pub(crate) fn cpu(pid: u32) -> Duration {
    stat(pid).map_or(Duration::ZERO, |stat| TICK * (stat.own))
}

/// CPU time of a process and of its children, those that have ended too.
pub(crate) fn cpu_with_children(pid: u32) -> Duration {
    let Some(parent) = stat(pid) else { return Duration::ZERO };
    let mut ticks = parent.own + parent.ended_children;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let child = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(stat);
        if let Some(child) = child.filter(|child| child.parent == pid) {
            ticks += child.own + child.ended_children;
        }
    }
    TICK * ticks
}

/// The most memory that a process has had so far, in megabytes.
pub(crate) fn peak_memory_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024.0)
}

struct Stat {
    parent: u32,
    own: u32,
    ended_children: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |number: usize| fields.get(number)?.parse::<u32>().ok();
    Some(Stat {
        parent: field(1)?,
        own: field(11)? + field(12)?,
        ended_children: field(13)? + field(14)?,
    })
}
