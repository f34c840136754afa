//! chmod, chown, utimes and extended attributes. Landlock does not look at any of them, so whether
//! they are allowed is proved here, on the handle that the change is then made on.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};

use super::Answer;
use super::names::into_path;
use crate::guard::context::{Context, Refusal, grant};
use crate::guard::decode::{Change, Target};
use crate::guard::resolve::{View, is_writable, kind_of};
use crate::guard::subject::{Object, Subject};
use crate::isolation::landlock::resolved;
use crate::plan::escape;
use crate::policy::{Facts, MetadataChange, SyscallContext};
use crate::sys::metadata;

/// `S_ISUID | S_ISGID`: a program that runs as somebody else.
const SET_ID: u32 = 0o6000;

/// A change whose object is pinned.
#[derive(Debug)]
pub(crate) struct Ready {
    handle: OwnedFd,
    change: Change,
}

impl Ready {
    pub(crate) fn look(view: View<'_>, target: &Target, change: &Change) -> Result<Self, Errno> {
        Ok(Self { handle: view.pin(target)?, change: change.clone() })
    }

    pub(crate) fn subject(&self) -> Result<Subject, Errno> {
        let change = match &self.change {
            Change::Mode(mode) => MetadataChange::Mode(*mode & 0o7777),
            Change::Owner { user, group } => MetadataChange::Owner { user: *user, group: *group },
            Change::Times(_) => MetadataChange::Times,
            Change::SetXattr { name, .. } | Change::RemoveXattr { name } => {
                MetadataChange::Xattr(OsString::from_vec(name.clone()))
            }
        };
        let path = into_path(resolved(self.handle.as_fd())?);
        let directory = kind_of(&self.handle)? == SFlag::S_IFDIR;
        Ok(Subject {
            context: SyscallContext::SetMetadata { path, change },
            facts: Facts { exists: true, directory, cut: false },
            objects: vec![Object::of(&self.handle)?],
        })
    }

    pub(crate) fn perform(self, context: &Context) -> Result<Answer, Refusal> {
        perform(context, &self.handle, self.change)
    }
}

fn perform(context: &Context, handle: &OwnedFd, change: Change) -> Result<Answer, Refusal> {
    if !is_writable(&context.writable, handle.as_fd())? {
        let path = resolved(handle.as_fd())?;
        // Not a file of any directory (a pipe, a socket): there is nothing to grant.
        let grant = path.starts_with(b"/").then(|| grant("write", &path)).flatten();
        return Err(Refusal::Denied { errno: Errno::EACCES, target: escape(&path), grant });
    }
    let handle = handle.as_fd();
    match change {
        Change::Mode(mode) if mode & SET_ID != 0 => {
            let target = format!("mode {mode:o} of {}", escape(&resolved(handle)?));
            return Err(Refusal::Denied { errno: Errno::EPERM, target, grant: None });
        }
        Change::Mode(mode) => {
            // On a socket it is the guard's own mark, see `net`.
            let is_socket = fstat(handle)?.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFSOCK.bits();
            metadata::set_mode(handle, mode & if is_socket { 0o777 } else { 0o1777 })?;
        }
        Change::Owner { user, group } => metadata::set_owner(handle, user, group)?,
        Change::Times(times) => metadata::set_times(handle, times)?,
        Change::SetXattr { name, value, flags } => {
            metadata::set_xattr(handle, &text(name)?, &value, flags)?;
        }
        Change::RemoveXattr { name } => metadata::remove_xattr(handle, &text(name)?)?,
    }
    Ok(Answer::Value(0))
}

fn text(name: Vec<u8>) -> Result<CString, Errno> {
    CString::new(name).map_err(|_| Errno::EINVAL)
}
