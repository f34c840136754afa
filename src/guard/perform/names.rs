//! Names made, removed and changed: the call is made on pinned directories, with the guard's copy
//! of the last component, which none of these calls follows.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::Answer;
use crate::guard::context::Refusal;
use crate::guard::decode::Names;
use crate::guard::resolve::{Name, View, kind_of};
use crate::guard::subject::{Object, Subject};
use crate::isolation::landlock::resolved;
use crate::policy::{Facts, SyscallContext};
use crate::sys::metadata::handle_name;

/// A change of names whose places are pinned.
#[derive(Debug)]
pub(crate) enum Ready {
    Delete { name: Name, dir: bool },
    Rename { from: Name, to: Name, flags: u32 },
    Link { from: OwnedFd, to: Name },
    Symlink { text: CString, name: Name },
    MakeDir { name: Name, mode: u32 },
    MakeNode { name: Name, mode: u32 },
}

impl Ready {
    pub(crate) fn look(view: View<'_>, names: &Names) -> Result<Self, Errno> {
        Ok(match names {
            Names::Delete { place, dir } => Self::Delete { name: view.parent(place)?, dir: *dir },
            Names::Rename { from, to, flags } => {
                Self::Rename { from: view.parent(from)?, to: view.parent(to)?, flags: *flags }
            }
            Names::Link { from, to } => Self::Link { from: view.pin(from)?, to: view.parent(to)? },
            Names::Symlink { text, place } => Self::Symlink {
                text: CString::new(text.as_slice()).map_err(|_| Errno::EINVAL)?,
                name: view.parent(place)?,
            },
            Names::MakeDir { place, mode } => {
                Self::MakeDir { name: view.parent(place)?, mode: *mode }
            }
            Names::MakeNode { place, mode } => {
                Self::MakeNode { name: view.parent(place)?, mode: *mode }
            }
        })
    }

    /// What is to be judged. `None`: the kernel refuses it whatever is said.
    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let names: Vec<&Name> = match self {
            Self::Rename { from, to, .. } => vec![from, to],
            Self::Link { to, .. } => vec![to],
            Self::Delete { name, .. }
            | Self::Symlink { name, .. }
            | Self::MakeDir { name, .. }
            | Self::MakeNode { name, .. } => vec![name],
        };
        if names.iter().any(|name| name.is_special()) {
            return Ok(None);
        }
        let path = |name: &Name| name.path().map(into_path);
        let mut objects = Vec::new();
        for name in names {
            objects.push(Object::of(&name.dir)?);
            objects.extend(found(name)?.map(|handle| Object::of(&handle)).transpose()?);
        }
        let exists = |name: &Name| Ok::<_, Errno>(found(name)?.is_some());
        let is_dir = |name: &Name| match found(name)? {
            Some(handle) => Ok(kind_of(&handle)? == SFlag::S_IFDIR),
            None => Ok::<_, Errno>(false),
        };
        let (context, exists, directory) = match self {
            Self::Delete { name, .. } => {
                (SyscallContext::Delete { path: path(name)? }, exists(name)?, is_dir(name)?)
            }
            Self::Rename { from, to, .. } => {
                let context = SyscallContext::Rename { from: path(from)?, to: path(to)? };
                (context, exists(to)?, is_dir(from)?)
            }
            Self::Link { from, to } => {
                objects.push(Object::of(from)?);
                let from = into_path(resolved(from.as_fd())?);
                (SyscallContext::Link { from, to: path(to)? }, exists(to)?, false)
            }
            Self::Symlink { text, name } => {
                let target = into_path(text.to_bytes().to_vec());
                let context = SyscallContext::Symlink { path: path(name)?, target };
                (context, exists(name)?, false)
            }
            Self::MakeDir { name, .. } => {
                (SyscallContext::MakeDir { path: path(name)? }, exists(name)?, true)
            }
            Self::MakeNode { name, .. } => {
                (SyscallContext::MakeNode { path: path(name)? }, exists(name)?, false)
            }
        };
        // What isn't there can't be removed, and what is there can't be made: nothing to ask.
        let pointless = match self {
            Self::Delete { .. } => !exists,
            Self::Rename { from, .. } => found(from)?.is_none(),
            Self::Link { .. }
            | Self::Symlink { .. }
            | Self::MakeDir { .. }
            | Self::MakeNode { .. } => exists,
        };
        if pointless {
            return Ok(None);
        }
        Ok(Some(Subject { context, facts: Facts { exists, directory, cut: false }, objects }))
    }

    /// The two names of a rename that takes a directory with all below it elsewhere.
    pub(crate) fn moved_directory(&self) -> Option<(&Name, &Name, bool)> {
        match self {
            Self::Rename { from, to, flags } => Some((from, to, *flags & EXCHANGE != 0)),
            _ => None,
        }
    }

    pub(crate) fn perform(self, umask: u32) -> Result<Answer, Refusal> {
        nix::sys::stat::umask(Mode::from_bits_truncate(umask));
        match self {
            Self::Delete { name, dir } => {
                let flags = if dir { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
                unlinkat(&name.dir, name.leaf.as_c_str(), flags)?;
            }
            Self::Rename { from, to, flags } => {
                let flags = RenameFlags::from_bits_truncate(flags);
                let (old, new) = (from.leaf.as_c_str(), to.leaf.as_c_str());
                renameat2(&from.dir, old, &to.dir, new, flags)?;
            }
            Self::Link { from, to } => {
                // The handle itself, whatever its name is now.
                let name = handle_name(from.as_fd());
                let follow = LinkatFlags::AT_SYMLINK_FOLLOW;
                linkat(AT_FDCWD, name.as_c_str(), &to.dir, to.leaf.as_c_str(), follow)?;
            }
            Self::Symlink { text, name } => {
                symlinkat(text.as_c_str(), &name.dir, name.leaf.as_c_str())?;
            }
            Self::MakeDir { name, mode } => {
                mkdirat(&name.dir, name.leaf.as_c_str(), Mode::from_bits_truncate(mode & 0o1777))?;
            }
            Self::MakeNode { name, mode } => {
                // The filter lets no devices and no set-ID bits through to here.
                let kind = SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits());
                let mode = Mode::from_bits_truncate(mode & 0o1777);
                mknodat(&name.dir, name.leaf.as_c_str(), kind, mode, 0)?;
            }
        }
        Ok(Answer::Value(0))
    }
}

pub(crate) const EXCHANGE: u32 = 2;

fn found(name: &Name) -> Result<Option<OwnedFd>, Errno> {
    match name.pin() {
        Ok(handle) => Ok(Some(handle)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn into_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}
