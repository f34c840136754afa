//! What a supervised call is about to do.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpenAccess {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_RDWR`.
    ReadWrite,
}

/// What is changed about a file, beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MetadataChange {
    /// `chmod(2)`: the permission bits.
    Mode(u32),
    /// `chown(2)`; `u32::MAX` leaves one as it is.
    Owner {
        /// User id.
        user: u32,
        /// Group id.
        group: u32,
    },
    /// `utimensat(2)`: access and modification time.
    Times,
    /// `setxattr(2)` and `removexattr(2)`: the attribute's name.
    Xattr(#[serde(with = "os")] OsString),
}

/// The other end of a connection, or what is bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// TCP or UDP. IPv4-mapped addresses are IPv4.
    Inet(SocketAddr),
    /// A unix socket, by its resolved path.
    Unix(#[serde(with = "os_path")] PathBuf),
}

impl Address {
    /// The port, if it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Inet(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A system call as a decision sees it: by name and path, whichever spelling the program used.
///
/// Paths are absolute and resolved: symbolic links are followed exactly as the call follows them.
/// They are bytes, and need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SyscallContext {
    /// `open(2)`, `openat(2)`, `creat(2)`.
    Open {
        /// Which file.
        #[serde(with = "os_path")]
        path: PathBuf,
        /// For reading, writing or both.
        access: OpenAccess,
        /// Whether there is no such file yet, and it is made.
        create: bool,
        /// Whether what is in it is thrown away (`O_TRUNC`).
        truncate: bool,
    },
    /// `unlink(2)`, `unlinkat(2)`, `rmdir(2)`.
    Delete {
        /// What.
        #[serde(with = "os_path")]
        path: PathBuf,
    },
    /// `rename(2)`, `renameat(2)`, `renameat2(2)`.
    Rename {
        /// The old name.
        #[serde(with = "os_path")]
        from: PathBuf,
        /// The new one.
        #[serde(with = "os_path")]
        to: PathBuf,
    },
    /// `link(2)`, `linkat(2)`.
    Link {
        /// The existing name.
        #[serde(with = "os_path")]
        from: PathBuf,
        /// The new one.
        #[serde(with = "os_path")]
        to: PathBuf,
    },
    /// `symlink(2)`, `symlinkat(2)`.
    Symlink {
        /// The new link.
        #[serde(with = "os_path")]
        path: PathBuf,
        /// Its text, as the program gave it.
        #[serde(with = "os_path")]
        target: PathBuf,
    },
    /// `mkdir(2)`, `mkdirat(2)`.
    MakeDir {
        /// The new directory.
        #[serde(with = "os_path")]
        path: PathBuf,
    },
    /// `mknod(2)`, `mknodat(2)`: a pipe, a socket or an empty file.
    MakeNode {
        /// Its name.
        #[serde(with = "os_path")]
        path: PathBuf,
    },
    /// `chmod(2)`, `chown(2)`, `utimensat(2)`, `setxattr(2)` and their other spellings.
    SetMetadata {
        /// Of what.
        #[serde(with = "os_path")]
        path: PathBuf,
        /// What is changed.
        change: MetadataChange,
    },
    /// `truncate(2)`.
    Truncate {
        /// Which file.
        #[serde(with = "os_path")]
        path: PathBuf,
        /// Its new size in bytes.
        length: u64,
    },
    /// `execve(2)`, `execveat(2)`.
    Exec {
        /// The program, or the script.
        #[serde(with = "os_path")]
        path: PathBuf,
        /// Its arguments, `argv[0]` first. At most 64 KiB are shown.
        #[serde(with = "os_list")]
        argv: Vec<OsString>,
        /// Whether it is a script that the sandbox may change, so that what runs need not be what
        /// was looked at.
        mutable: bool,
    },
    /// `connect(2)`.
    Connect {
        /// To where.
        address: Address,
        /// The name that evalbox itself resolved to this address.
        host: Option<String>,
    },
    /// `bind(2)`, and `listen(2)` on a socket that isn't bound.
    Bind {
        /// What.
        address: Address,
    },
    /// `sendto(2)`, `sendmsg(2)`, `sendmmsg(2)` with an address.
    SendTo {
        /// To where.
        address: Address,
    },
    /// `fork(2)`, `vfork(2)`, `clone(2)` of a process. Threads are never asked about.
    Fork,
    /// `kill(2)` and its relatives.
    Signal {
        /// Process or thread; 0 is the caller's group, negative another group, -1 everything.
        pid: i32,
        /// Which signal; 0 only asks.
        signal: i32,
    },
}

impl SyscallContext {
    /// The name of the operation, as rules and the audit log write it.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Delete { .. } => "delete",
            Self::Rename { .. } => "rename",
            Self::Link { .. } => "link",
            Self::Symlink { .. } => "symlink",
            Self::MakeDir { .. } => "mkdir",
            Self::MakeNode { .. } => "mknod",
            Self::SetMetadata { .. } => "metadata",
            Self::Truncate { .. } => "truncate",
            Self::Exec { .. } => "exec",
            Self::Connect { .. } => "connect",
            Self::Bind { .. } => "bind",
            Self::SendTo { .. } => "sendto",
            Self::Fork => "fork",
            Self::Signal { .. } => "signal",
        }
    }

    /// The path it is about: the one that goes away or is changed, where there are two.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Open { path, .. }
            | Self::Delete { path }
            | Self::Symlink { path, .. }
            | Self::MakeDir { path }
            | Self::MakeNode { path }
            | Self::SetMetadata { path, .. }
            | Self::Truncate { path, .. }
            | Self::Exec { path, .. } => Some(path),
            Self::Rename { from, .. } | Self::Link { from, .. } => Some(from),
            _ => None,
        }
    }

    /// What it is about, in one line: a path, an address, a number.
    #[must_use]
    pub fn target(&self) -> String {
        let show =
            |path: &Path| format!("\"{}\"", crate::plan::bytes(path.as_os_str()).escape_ascii());
        match self {
            Self::Rename { from, to } | Self::Link { from, to } => {
                format!("{} to {}", show(from), show(to))
            }
            Self::Connect { address, .. } | Self::Bind { address } | Self::SendTo { address } => {
                match address {
                    Address::Inet(address) => address.to_string(),
                    Address::Unix(path) => show(path),
                }
            }
            Self::Fork => String::new(),
            Self::Signal { pid, signal } => format!("process {pid}, signal {signal}"),
            other => other.path().map(show).unwrap_or_default(),
        }
    }
}

/// Operating system strings as bytes: a path need not be UTF-8.
mod os {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &OsStr, to: S) -> Result<S::Ok, S::Error> {
        text.as_bytes().serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<OsString, D::Error> {
        Vec::<u8>::deserialize(from).map(OsString::from_vec)
    }
}

mod os_path {
    use std::path::{Path, PathBuf};

    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        super::os::serialize(path.as_os_str(), to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<PathBuf, D::Error> {
        super::os::deserialize(from).map(PathBuf::from)
    }
}

mod os_list {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(list: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        list.iter().map(|text| text.as_bytes()).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<OsString>, D::Error> {
        let list = Vec::<Vec<u8>>::deserialize(from)?;
        Ok(list.into_iter().map(OsString::from_vec).collect())
    }
}
