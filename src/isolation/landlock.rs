//! Grants → a Landlock ruleset, and the handles that the guard keeps of what is writable.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, readlink};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use super::abi::{self, fs_rights};
use crate::error::{LaunchError, PlanError};
use crate::plan::paths::{SYSTEM_DEVICES, SYSTEM_EXECUTE, SYSTEM_READ};
use crate::plan::{Access, Confinement, Network, escape, writable};
use crate::policy::{CheckedPolicy, Operation, Operations, Places};
use crate::sys::landlock::{self as sys, RulesetAttr};
use crate::sys::metadata::handle_name;

/// A pinned root below which the program may change things.
#[derive(Debug)]
pub(crate) struct WritableRoot {
    pub(crate) handle: OwnedFd,
    /// Where it is now, as the kernel spells it.
    pub(crate) path: Vec<u8>,
}

/// A ruleset and what the guard needs beside it.
#[derive(Debug)]
pub(crate) struct Ruleset {
    pub(crate) fd: OwnedFd,
    pub(crate) writable: Vec<WritableRoot>,
    /// Handles on procfs and sysfs files. The kernel finds a rule by the inode, and makes a new
    /// one when these are forgotten, so they stay open.
    pub(crate) pinned: Vec<OwnedFd>,
    /// Where grants lead, with what they allow there. For a policy only.
    pub(crate) covered: Vec<(Vec<u8>, Operations)>,
}

/// Handles on what every plan may use of the system, opened by the daemon ahead of its guards.
#[derive(Debug, Default)]
pub(crate) struct SystemGrants {
    handles: Vec<SystemHandle>,
    /// A ruleset with a rule for each, so that the kernel keeps what it knows about them.
    kept: Option<OwnedFd>,
    opened: Option<Instant>,
}

#[derive(Debug)]
struct SystemHandle {
    fd: OwnedFd,
    access: Access,
    kind: Kind,
    kernel: bool,
}

/// Files are replaced by renaming a new one over them, so a handle may lead to the old one.
const SYSTEM_FRESH: Duration = Duration::from_secs(5);

impl SystemGrants {
    /// Opens the system's paths again, if that was some time ago. Missing ones are left out: not
    /// every machine has all.
    pub(crate) fn refresh(&mut self) {
        let stale = |handle: &SystemHandle| fstat(&handle.fd).is_ok_and(|s| s.st_nlink == 0);
        let fresh = self.opened.is_some_and(|at| at.elapsed() < SYSTEM_FRESH);
        if fresh && !self.handles.iter().any(|handle| !handle.kernel && stale(handle)) {
            return;
        }
        let lists = [
            (SYSTEM_EXECUTE, Access::Execute),
            (SYSTEM_READ, Access::Read),
            (SYSTEM_DEVICES, Access::Write),
        ];
        let paths =
            lists.iter().flat_map(|(list, access)| list.iter().map(|path| (*path, *access)));
        self.handles = paths
            .filter_map(|(path, access)| {
                let fd = open(path.as_bytes()).ok()?;
                let kind = Kind::of(fd.as_fd()).ok()?;
                Some(SystemHandle { fd, access, kind, kernel: is_kernel(path.as_bytes()) })
            })
            .collect();
        self.kept = self.keep();
        self.opened = Some(Instant::now());
    }

    /// Only speed: without it the kernel makes and frees an object for each path with each run.
    fn keep(&self) -> Option<OwnedFd> {
        let read = sys::FS_READ_FILE;
        let attributes = RulesetAttr { handled_access_fs: read, ..RulesetAttr::default() };
        let ruleset = sys::create_ruleset(&attributes).ok()?;
        for handle in &self.handles {
            sys::add_path(ruleset.as_fd(), handle.fd.as_fd(), read).ok()?;
        }
        Some(ruleset)
    }
}

/// What a path turned out to be, as far as Landlock cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    Device,
    Other,
}

impl Kind {
    fn of(handle: BorrowedFd<'_>) -> Result<Self, Errno> {
        let kind = fstat(handle)?.st_mode & SFlag::S_IFMT.bits();
        Ok(if kind == SFlag::S_IFDIR.bits() {
            Self::Directory
        } else if kind == SFlag::S_IFCHR.bits() {
            Self::Device
        } else {
            Self::Other
        })
    }
}

/// Builds the ruleset of a sandbox with this private workspace.
pub(crate) fn build(
    confinement: &Confinement,
    system: SystemGrants,
    abi: u32,
    workspace: BorrowedFd<'_>,
) -> Result<Ruleset, LaunchError> {
    let policy = confinement.policy.as_ref();
    let judged = |operation| policy.is_some_and(|policy| !policy.network(operation).is_empty());
    let mut attributes = attributes(&confinement.network, abi);
    // Where a policy has a say, the guard judges every address.
    for (operation, right) in
        [(Operation::Connect, sys::NET_CONNECT_TCP), (Operation::Bind, sys::NET_BIND_TCP)]
    {
        if judged(operation) {
            attributes.handled_access_net &= !right;
        }
    }
    let fd = sys::create_ruleset(&attributes).map_err(layer)?;
    let mut ruleset = Ruleset { fd, writable: Vec::new(), pinned: Vec::new(), covered: Vec::new() };
    let cover = |covered: &mut Vec<_>, handle: BorrowedFd<'_>, access| {
        if policy.is_some()
            && let Ok(path) = resolved(handle)
        {
            covered.push((path, operations(access)));
        }
    };
    if confinement.system {
        for handle in system.handles {
            let rights = rights(handle.access, abi, handle.kind);
            sys::add_path(ruleset.fd.as_fd(), handle.fd.as_fd(), rights).map_err(layer)?;
            cover(&mut ruleset.covered, handle.fd.as_fd(), handle.access);
            if handle.kernel {
                ruleset.pinned.push(handle.fd);
            } else {
                // Left open for the moment: the guard closes all it does not keep in one call.
                std::mem::forget(handle.fd);
            }
        }
    }
    let roots = writable_places(confinement);
    for grant in &confinement.grants {
        let handle = match open(&grant.path) {
            Ok(handle) => handle,
            Err(_) if !grant.required => continue,
            Err(errno) => return Err(path_error(grant.access, &grant.path, errno)),
        };
        let kind = Kind::of(handle.as_fd()).map_err(layer)?;
        if leads_out(&roots, &grant.path, handle.as_fd()) {
            if !grant.required {
                continue;
            }
            return Err(LaunchError::Plan(PlanError::Forbidden {
                field: field(grant.access).into(),
                path: escape(&grant.path),
                reason: "it lies in a writable directory and leads out of it".into(),
            }));
        }
        sys::add_path(ruleset.fd.as_fd(), handle.as_fd(), rights(grant.access, abi, kind))
            .map_err(layer)?;
        cover(&mut ruleset.covered, handle.as_fd(), grant.access);
        if is_kernel(&grant.path) {
            ruleset.pinned.push(handle);
        } else if grant.access == Access::Write && kind != Kind::Device {
            let path = resolved(handle.as_fd()).map_err(layer)?;
            refuse_dangerous(&path, handle.as_fd())?;
            ruleset.writable.push(WritableRoot { handle, path });
        }
    }
    let rights = rights(Access::Write, abi, Kind::Directory);
    sys::add_path(ruleset.fd.as_fd(), workspace, rights).map_err(layer)?;
    let handle = workspace.try_clone_to_owned().map_err(|_| layer(Errno::EMFILE))?;
    let path = resolved(workspace).map_err(layer)?;
    cover(&mut ruleset.covered, workspace, Access::Write);
    if let Some(policy) = policy {
        add_roots(&mut ruleset, policy, &policy.places(path.clone()), abi)?;
    }
    ruleset.writable.push(WritableRoot { handle, path });
    if abi >= 4 {
        add_ports(ruleset.fd.as_fd(), &confinement.network, attributes.handled_access_net)?;
    }
    Ok(ruleset)
}

/// Where the plan's writable directories really are.
fn writable_places(confinement: &Confinement) -> Vec<Vec<u8>> {
    let writable = confinement.grants.iter().filter(|grant| grant.access == Access::Write);
    writable.filter_map(|grant| resolved(open(&grant.path).ok()?.as_fd()).ok()).collect()
}

/// Whether a grant's path goes through a directory that a program may have written, by a link that
/// it may have put there, to somewhere else.
fn leads_out(roots: &[Vec<u8>], path: &[u8], handle: BorrowedFd<'_>) -> bool {
    let within = |place: &[u8], root: &[u8]| {
        place.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    let place = |path: &[u8]| resolved(open(path).ok()?.as_fd()).ok();
    let Ok(end) = resolved(handle) else { return true };
    let ends = (1..path.len()).filter(|at| path[*at] == b'/');
    !roots.is_empty()
        && ends
            .filter_map(|at| place(&path[..at]))
            .any(|parent| roots.iter().any(|root| within(&parent, root) && !within(&end, root)))
}

fn is_kernel(path: &[u8]) -> bool {
    path.starts_with(b"/proc/") || path.starts_with(b"/sys/")
}

fn attributes(network: &Network, abi: u32) -> RulesetAttr {
    let mut attr = RulesetAttr { handled_access_fs: fs_rights(abi), ..RulesetAttr::default() };
    if abi >= 4 {
        // A grant of every port can't be written as rules, so there the guard alone judges.
        if Network::ports(&network.connect).is_some() {
            attr.handled_access_net |= sys::NET_CONNECT_TCP;
        }
        if Network::ports(&network.bind).is_some() {
            attr.handled_access_net |= sys::NET_BIND_TCP;
        }
    }
    if abi >= 6 {
        attr.scoped = sys::SCOPE_ABSTRACT_UNIX_SOCKET | sys::SCOPE_SIGNAL;
    }
    attr
}

/// What a grant allows, in a policy's words.
fn operations(access: Access) -> Operations {
    let read = Operations::of(Operation::Read, true);
    let execute = Operations::of(Operation::Exec, true);
    match access {
        Access::Read => read,
        Access::Execute => read.and(execute),
        Access::Write => Operations::of(Operation::Write, true).and(execute),
    }
}

/// Where rules of a policy lead beyond the grants. A place that isn't there yet is reached through
/// the nearest one above it; which names there are meant, the guard judges.
fn add_roots(
    ruleset: &mut Ruleset,
    policy: &CheckedPolicy,
    places: &Places,
    abi: u32,
) -> Result<(), LaunchError> {
    for (path, operations) in policy.roots(places) {
        add_root(ruleset, &path, operations, abi)?;
        let names = [Operation::Create, Operation::Delete, Operation::Rename];
        let names = names.into_iter().filter(|operation| operations.has(*operation));
        let names = names.fold(Operations::NONE, Operations::with);
        let parent = path.iter().rposition(|b| *b == b'/').filter(|_| path.len() > 1);
        if names != Operations::NONE
            && let Some(end) = parent
        {
            add_root(ruleset, &path[..end.max(1)], names, abi)?;
        }
    }
    Ok(())
}

fn add_root(
    ruleset: &mut Ruleset,
    path: &[u8],
    operations: Operations,
    abi: u32,
) -> Result<(), LaunchError> {
    let ancestors = (1..=path.len()).rev().filter(|end| *end == path.len() || path[*end] == b'/');
    let found = ancestors
        .map(|end| &path[..end])
        .chain([&b"/"[..]])
        .find_map(|path| Some((path, open(path).ok()?)));
    let Some((path, handle)) = found else { return Ok(()) };
    let kind = Kind::of(handle.as_fd()).map_err(layer)?;
    let rights = operation_rights(operations, abi, kind);
    let reads = sys::FS_READ_FILE | sys::FS_READ_DIR | sys::FS_EXECUTE;
    if rights & !reads != 0 || operations.has(Operation::Metadata) {
        let path = resolved(handle.as_fd()).map_err(layer)?;
        refuse_dangerous(&path, handle.as_fd())?;
    }
    if rights != 0 {
        sys::add_path(ruleset.fd.as_fd(), handle.as_fd(), rights).map_err(layer)?;
    }
    if is_kernel(path) {
        ruleset.pinned.push(handle);
    } else if operations.has(Operation::Metadata) {
        let path = resolved(handle.as_fd()).map_err(layer)?;
        ruleset.writable.push(WritableRoot { handle, path });
    }
    Ok(())
}

fn operation_rights(operations: Operations, abi: u32, kind: Kind) -> u64 {
    const MAKE: u64 = sys::FS_MAKE_DIR
        | sys::FS_MAKE_REG
        | sys::FS_MAKE_SOCK
        | sys::FS_MAKE_FIFO
        | sys::FS_MAKE_SYM
        | sys::FS_REFER;
    const REMOVE: u64 = sys::FS_REMOVE_DIR | sys::FS_REMOVE_FILE | sys::FS_REFER;
    let table = [
        (Operation::Read, sys::FS_READ_FILE | sys::FS_READ_DIR),
        (Operation::Modify, sys::FS_WRITE_FILE | sys::FS_TRUNCATE),
        // What is made is written to.
        (Operation::Create, MAKE | sys::FS_WRITE_FILE),
        (Operation::Delete, REMOVE),
        (Operation::Rename, REMOVE),
        (Operation::Exec, sys::FS_READ_FILE | sys::FS_EXECUTE),
    ];
    let rights = table
        .into_iter()
        .filter(|(operation, _)| operations.has(*operation))
        .fold(0, |rights, (_, right)| rights | right);
    for_kind(rights, kind) & fs_rights(abi.min(abi::NEWEST))
}

/// Of a file's rights those that make sense for what it is.
fn for_kind(rights: u64, kind: Kind) -> u64 {
    const OF_FILES: u64 = sys::FS_EXECUTE
        | sys::FS_WRITE_FILE
        | sys::FS_READ_FILE
        | sys::FS_TRUNCATE
        | sys::FS_IOCTL_DEV;
    if kind == Kind::Directory { rights } else { rights & OF_FILES }
}

fn add_ports(ruleset: BorrowedFd<'_>, network: &Network, handled: u64) -> Result<(), LaunchError> {
    let lists = [(&network.connect, sys::NET_CONNECT_TCP), (&network.bind, sys::NET_BIND_TCP)];
    for (list, right) in lists.into_iter().filter(|(_, right)| handled & right != 0) {
        for port in Network::ports(list).unwrap_or_default() {
            sys::add_port(ruleset, port, right).map_err(layer)?;
        }
    }
    Ok(())
}

fn rights(access: Access, abi: u32, kind: Kind) -> u64 {
    let read = sys::FS_READ_FILE | sys::FS_READ_DIR;
    let rights = match access {
        Access::Read => read,
        Access::Execute => read | sys::FS_EXECUTE,
        Access::Write => {
            read | sys::FS_EXECUTE
                | sys::FS_WRITE_FILE
                | sys::FS_TRUNCATE
                | sys::FS_REMOVE_DIR
                | sys::FS_REMOVE_FILE
                | sys::FS_MAKE_DIR
                | sys::FS_MAKE_REG
                | sys::FS_MAKE_SOCK
                | sys::FS_MAKE_FIFO
                | sys::FS_MAKE_SYM
                | sys::FS_REFER
                | if kind == Kind::Device { sys::FS_IOCTL_DEV } else { 0 }
        }
    };
    for_kind(rights, kind) & fs_rights(abi.min(abi::NEWEST))
}

/// The plan was judged by its spelling; this judges where the path really leads.
fn refuse_dangerous(path: &[u8], handle: BorrowedFd<'_>) -> Result<(), LaunchError> {
    writable(path).map_err(LaunchError::Plan)?;
    const CGROUP: FsType = FsType(0x0027_e0eb);
    const CGROUP2: FsType = FsType(0x6367_7270);
    const SYSFS: FsType = FsType(0x6265_6572);
    const PROC: FsType = FsType(0x9fa0);
    let kind = fstatfs(handle).map_err(layer)?.filesystem_type();
    if [CGROUP, CGROUP2, SYSFS, PROC].contains(&kind) {
        return Err(LaunchError::Plan(PlanError::Forbidden {
            field: "write".into(),
            path: escape(path),
            reason: "it is a kernel file system".into(),
        }));
    }
    Ok(())
}

fn open(path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = CString::new(path).map_err(|_| Errno::EINVAL)?;
    nix::fcntl::open(path.as_c_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}

/// Where a handle leads now.
pub(crate) fn resolved(handle: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    use std::os::unix::ffi::OsStringExt;
    Ok(readlink(handle_name(handle).as_c_str())?.into_vec())
}

/// A path with all links followed. `None` if there is nothing.
pub(crate) fn real_path(path: &[u8]) -> Option<Vec<u8>> {
    resolved(open(path).ok()?.as_fd()).ok()
}

fn field(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Execute => "execute",
        Access::Write => "write",
    }
}

fn path_error(access: Access, path: &[u8], errno: Errno) -> LaunchError {
    LaunchError::Plan(PlanError::Path {
        field: field(access).into(),
        path: escape(path),
        errno: errno as i32,
    })
}

fn layer(errno: Errno) -> LaunchError {
    LaunchError::Layer { layer: "Landlock".into(), errno: errno as i32 }
}
