//! How much memory the process has and may have, and what is done as it nears that: first nobody
//! new is let in, then the longest queues are cut short.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use rustix::param::page_size;
use rustix::process::{Resource, getrlimit};

use super::options::MemoryMax;
use super::report::MemoryStatus;
use crate::limits::{MEMORY_PATIENCE, MEMORY_REFUSE, MEMORY_SHED};

/// Control groups above this have no limit to speak of.
const UNLIMITED: u64 = 1 << 60;

/// Memory as of the last look, and its bounds.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Most resident bytes.
    resident_max: Option<u64>,
    /// Most bytes of address space.
    address_max: Option<u64>,
    used: AtomicU64,
    shedding: AtomicBool,
    /// Is nobody new let in? The gate looks here.
    pub(super) refusing: Arc<AtomicBool>,
}

/// What the process has, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    resident: u64,
    address: u64,
}

impl Memory {
    /// With the bounds that were chosen.
    pub(super) fn new(choice: MemoryMax) -> Self {
        let (resident_max, address_max) = match choice {
            MemoryMax::None => (None, None),
            MemoryMax::Bytes(bytes) => (Some(bytes), None),
            MemoryMax::Auto => (of_group(), getrlimit(Resource::As).current),
        };
        if let Some(bytes) = resident_max.or(address_max) {
            tracing::info!(bytes, "memory is bounded");
        }
        Self { resident_max, address_max, ..Self::default() }
    }

    /// For people and metrics.
    pub(super) fn status(&self) -> MemoryStatus {
        MemoryStatus {
            used: self.used.load(Relaxed),
            max: self.resident_max.or(self.address_max),
            refusing: self.refusing.load(Relaxed),
            shedding: self.shedding.load(Relaxed),
        }
    }

    /// Looks, and returns how many bytes there are too many where queues have to be cut short.
    fn look(&self, usage: Usage) -> u64 {
        self.used.store(usage.resident, Relaxed);
        let parts = [(usage.resident, self.resident_max), (usage.address, self.address_max)];
        let bounded = parts.into_iter().filter_map(|(used, max)| Some((used, max?.max(1))));
        let nearest = |(used, max): (u64, u64)| (used * 100 / max, used, max);
        let Some((percent, used, max)) = bounded.map(nearest).max() else { return 0 };
        if passed(&self.refusing, percent, MEMORY_REFUSE) {
            let now = self.refusing.load(Relaxed);
            tracing::warn!(used, max, refused = now, "memory: {percent} % of what is allowed");
        }
        if passed(&self.shedding, percent, MEMORY_SHED) {
            let now = self.shedding.load(Relaxed);
            tracing::warn!(used, max, shed = now, "memory: {percent} % of what is allowed");
        }
        match self.shedding.load(Relaxed) {
            true => used.saturating_sub(max / 100 * MEMORY_SHED.1),
            false => 0,
        }
    }
}

/// Sets a switch that goes on at the first share and off below the second. Has it changed?
fn passed(switch: &AtomicBool, percent: u64, (on, off): (u64, u64)) -> bool {
    let before = switch.load(Relaxed);
    let after = percent >= if before { off } else { on };
    switch.store(after, Relaxed);
    before != after
}

/// Looks at the memory, and says how much the shards have to give back.
pub(super) struct Watch {
    memory: Arc<Memory>,
    /// Bytes that the shards were told to give back, and looks until all of that has to show: the
    /// allocator gives them to the system after a while, and to whoever needs some before.
    owed: u64,
    rest: u32,
}

impl Watch {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, owed: 0, rest: 0 }
    }

    /// Bytes that have to be freed now, beyond those that were freed and do not show yet.
    pub(super) fn look(&mut self) -> u64 {
        usage().map_or(0, |usage| self.beyond_owed(usage))
    }

    fn beyond_owed(&mut self, usage: Usage) -> u64 {
        let excess = self.memory.look(usage);
        self.rest = self.rest.saturating_sub(1);
        if self.rest == 0 {
            self.owed = 0;
        }
        let more = excess.saturating_sub(self.owed);
        if more > 0 {
            (self.owed, self.rest) = (self.owed + more, MEMORY_PATIENCE);
        }
        more
    }
}

/// What the process has; none where the system does not say.
fn usage() -> Option<Usage> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split_whitespace().map(|pages| pages.parse::<u64>().ok());
    let (address, resident) = (pages.next()??, pages.next()??);
    let page = page_size() as u64;
    Some(Usage { resident: resident * page, address: address * page })
}

/// The memory that the process's control group may have, where that is bounded.
fn of_group() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    limit_in(Path::new("/sys/fs/cgroup"), &own)
}

/// The least limit of a process's groups and of those around them, as they lie below `root`; `own`
/// is its list of groups. In version 2 a process is held up above `high`, and ended above `max`.
fn limit_in(root: &Path, own: &str) -> Option<u64> {
    let limits = own.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let (top, files): (_, &[&str]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            names if names.split(',').any(|name| name == "memory") => {
                (root.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => return Vec::new(),
        };
        let group = top.join(path.trim_start_matches('/'));
        let around = group.ancestors().take_while(|above| above.starts_with(&top));
        around.flat_map(|above| files.iter().filter_map(|f| limit_of(&above.join(f)))).collect()
    });
    limits.min()
}

fn limit_of(file: &Path) -> Option<u64> {
    let bytes = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < UNLIMITED).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(bytes: u64) -> Usage {
        Usage { resident: bytes, address: 0 }
    }

    #[test]
    fn nobody_is_let_in_then_queues_are_cut_and_it_does_not_flutter() {
        let memory = Memory::new(MemoryMax::Bytes(1_000));
        let mut seen = Vec::new();
        for used in [790, 800, 760, 749, 899, 900, 950, 860, 840, 700] {
            let excess = memory.look(resident(used));
            let MemoryStatus { refusing, shedding, .. } = memory.status();
            seen.push((refusing, shedding, excess));
        }
        let (no, first, both) = ((false, false, 0), (true, false, 0), |e| (true, true, e));
        assert_eq!(seen, [no, first, first, no, first, both(50), both(100), both(10), first, no]);
    }

    #[test]
    fn what_was_freed_is_not_asked_for_twice_until_it_has_to_show() {
        let mut watch = Watch::new(Arc::new(Memory::new(MemoryMax::Bytes(1_000))));
        let asked = [899, 900, 900, 920, 910].map(|used| watch.beyond_owed(resident(used)));
        assert_eq!(asked, [0, 50, 0, 20, 0]);
        let later = (0..MEMORY_PATIENCE).map(|_| watch.beyond_owed(resident(900)));
        assert_eq!(later.sum::<u64>(), 50, "it did not come");
    }

    #[test]
    fn without_a_bound_nothing_happens() {
        let memory = Memory::new(MemoryMax::None);
        assert_eq!(memory.look(resident(u64::MAX / 200)), 0);
        assert!(!memory.status().refusing && memory.status().used > 0);
    }

    #[test]
    fn the_nearest_bound_counts() {
        let memory = Memory { address_max: Some(100), ..Memory::new(MemoryMax::Bytes(1_000)) };
        assert_eq!(memory.look(Usage { resident: 10, address: 95 }), 10);
    }

    #[test]
    fn the_least_limit_of_a_group_and_those_around_it() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("a/memory.max", "5000\n");
        put("a/b/memory.max", "max\n");
        put("a/b/c/memory.high", "3000\n");
        put("memory/x/memory.limit_in_bytes", "7000\n");
        put("memory/memory.limit_in_bytes", "9223372036854771712\n");
        let limit = |own: &str| limit_in(root.path(), own);
        assert_eq!(limit("0::/a/b\n"), Some(5000));
        assert_eq!(limit("0::/a/b/c\n"), Some(3000));
        assert_eq!(limit("4:cpu,memory:/x\n1:cpu:/a\n"), Some(7000));
        assert_eq!(limit("4:memory:/x\n0::/a/b\n"), Some(5000));
        assert_eq!(limit("4:memory:/y\n0::/c\n"), None);
    }

    #[test]
    fn the_process_has_some() {
        let usage = usage().unwrap();
        assert!(usage.resident > 0 && usage.address >= usage.resident);
    }
}
