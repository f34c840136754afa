//! Which parts of the file system a run may use.

use serde::{Deserialize, Serialize};

/// What a grant allows on a path and everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Access {
    /// Read files, list directories.
    Read,
    /// [`Access::Read`], and execute files.
    Execute,
    /// [`Access::Execute`], and create, change, rename and delete. Execution is included because
    /// it is no wall anyway: an interpreter or the dynamic loader runs any file it can read.
    Write,
}

/// One grant. The path is absolute bytes without `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// Absolute path.
    pub path: Vec<u8>,
    /// What is allowed there.
    pub access: Access,
    /// A missing path is an error. System paths are optional: not every machine has all.
    pub required: bool,
}

/// Read and execute: programs and their libraries.
pub(crate) const SYSTEM_EXECUTE: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"];

/// Read only: what programs expect of a system, without anything secret.
pub(crate) const SYSTEM_READ: &[&str] = &[
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/passwd",
    "/etc/group", "/etc/nsswitch.conf", "/etc/hosts", "/etc/host.conf", "/etc/resolv.conf",
    "/etc/services", "/etc/protocols", "/etc/networks", "/etc/gai.conf", "/etc/localtime",
    "/etc/timezone", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/ca-certificates",
    "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/etc/mime.types", "/etc/magic", "/etc/fonts",
    "/etc/terminfo", "/etc/inputrc", "/etc/bash.bashrc", "/etc/profile", "/etc/profile.d",
    "/etc/os-release", "/etc/debian_version", "/etc/python3", "/etc/python3.11", "/etc/python3.12",
    "/etc/python3.13", "/etc/locale.alias", "/etc/locale.conf", "/etc/default/locale",
    "/etc/matplotlibrc",
    // Global files of procfs. Nothing of any process: /proc itself would show every command line.
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/uptime",
    "/proc/version", "/proc/filesystems", "/proc/sys/kernel/osrelease", "/proc/sys/kernel/ostype",
    "/proc/sys/kernel/version", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/kernel/ngroups_max", "/proc/sys/kernel/threads-max", "/proc/sys/kernel/random/uuid",
    "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count", "/proc/sys/fs/pipe-max-size",
    "/proc/sys/net/core/somaxconn", "/sys/devices/system/cpu", "/sys/devices/system/node",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Device nodes that are harmless to read and write.
pub(crate) const SYSTEM_DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// Never writable: from here a program could reach past the sandbox.
pub(crate) const NEVER_WRITABLE: &[&str] = &["/proc", "/sys", "/dev", "/boot"];

/// Writable although below [`NEVER_WRITABLE`]: POSIX shared memory, shared with the whole user.
pub(crate) const WRITABLE_DEVICES: &[&str] =
    &["/dev/shm", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
