//! A control group with a memory limit, as a container or a service manager makes one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::Program;

/// A group below the one that the tests run in; removed when dropped, so after its processes.
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes a group with so many bytes; none where that is not ours to do.
    pub(crate) fn of_memory(bytes: u64) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        own.lines().find_map(|line| {
            let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else {
                return None;
            };
            let (root, limit) = match controllers {
                "" => ("/sys/fs/cgroup", "memory.max"),
                "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
                _ => return None,
            };
            Self::make(&Path::new(root).join(path.trim_start_matches('/')), limit, bytes)
        })
    }

    fn make(around: &Path, limit: &str, bytes: u64) -> Option<Self> {
        // Version 2 hands the controller down only where it is told to, and where it may.
        let _ = fs::write(around.join("cgroup.subtree_control"), "+memory");
        let group = around.join(format!("broadtape-test-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        let group = Self(group);
        let file = group.0.join(limit);
        (file.exists() && fs::write(file, bytes.to_string()).is_ok()).then_some(group)
    }

    /// Starts the program in it.
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let processes = self.0.join("cgroup.procs");
        let enter = "echo $$ >\"$0\" && exec \"$@\"";
        Program::start_under(&["sh", "-c", enter, processes.to_str().unwrap()], args)
    }
}

/// Puts a folder in the place of the control groups, and a file in that of the process's own.
const PRETEND: &str = "mount --bind \"$0\" /sys/fs/cgroup && mount --bind \"$1\" /proc/$$/cgroup \
                       && shift && exec \"$@\"";

/// A hierarchy of version 2 as a program sees it: a folder, mounted in a namespace of its own. The
/// kernel holds nobody to it.
pub(crate) struct Pretended(TempDir);

impl Pretended {
    /// Service within slice, each with these files; none where that is not ours to do.
    pub(crate) fn new(files: &[(&str, &str)]) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        for (path, text) in files {
            let path = folder.path().join("root").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::write(folder.path().join("own"), "0::/system.slice/broadtape.service\n").unwrap();
        let pretended = Self(folder);
        let [unshare, rest @ ..] = &pretended.starter()[..] else { return None };
        let tried = Command::new(unshare).args(rest).arg("true").output().ok()?;
        tried.status.success().then_some(pretended)
    }

    /// Starts the program where it is seen.
    pub(crate) fn start(&self, args: &[&str]) -> Program {
        let starter = self.starter();
        Program::start_under(&starter.iter().map(String::as_str).collect::<Vec<_>>(), args)
    }

    fn starter(&self) -> Vec<String> {
        let [root, own] = ["root", "own"].map(|name| self.0.path().join(name));
        let words = ["unshare", "--mount", "sh", "-c", PRETEND].map(str::to_owned);
        words.into_iter().chain([root, own].map(|path| path.display().to_string())).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It may be left over: that is an empty folder of the kernel's.
        let _ = fs::remove_dir(&self.0);
    }
}
