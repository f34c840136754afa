//! Registers and copied memory → what a call is about. All spellings of both architectures come
//! out as the same [`Call`]. Pure: the target's memory is behind a trait.

use libc::timespec;
use nix::errno::Errno;

use crate::sys::memory::Memory;

/// `PATH_MAX`.
const PATH: usize = 4_096;
/// `XATTR_NAME_MAX` and its NUL.
const XATTR_NAME: usize = 256;
/// `XATTR_SIZE_MAX`.
const XATTR_VALUE: u64 = 65_536;
/// Bytes of a processor mask: a bit for each of the 8,192 that a kernel can have.
const CPUS: u64 = 1_024;
/// The largest socket address (`struct sockaddr_storage`).
const ADDRESS: u64 = 128;

/// A target's memory, to be read once.
pub(crate) trait ReadMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno>;
    fn string(&self, address: u64, limit: usize) -> Result<Vec<u8>, Errno>;
}

impl ReadMemory for Memory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        Self::read(self, address, buffer)
    }

    fn string(&self, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
        Self::string(self, address, limit)
    }
}

/// What a call names: something by path, or something open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Path { dirfd: i32, path: Vec<u8>, follow: bool },
    Fd(i32),
}

/// A name that is made, removed or changed. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dirfd: i32,
    pub(crate) path: Vec<u8>,
}

/// A change of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    Delete { place: Place, dir: bool },
    Rename { from: Place, to: Place, flags: u32 },
    Link { from: Target, to: Place },
    Symlink { text: Vec<u8>, place: Place },
    MakeDir { place: Place, mode: u32 },
    MakeNode { place: Place, mode: u32 },
}

/// A change of metadata.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    Mode(u32),
    Owner {
        user: u32,
        group: u32,
    },
    /// `None` is now.
    Times(Option<[timespec; 2]>),
    SetXattr {
        name: Vec<u8>,
        value: Vec<u8>,
        flags: i32,
    },
    RemoveXattr {
        name: Vec<u8>,
    },
}

/// One call that was handed to the guard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    /// A process or thread.
    Spawn {
        thread: bool,
    },
    Names(Names),
    Exec {
        target: Target,
        argv: Vec<Vec<u8>>,
    },
    Umask {
        mask: u32,
    },
    Metadata {
        target: Target,
        change: Change,
    },
    Connect {
        fd: i32,
        address: Vec<u8>,
    },
    Bind {
        fd: i32,
        address: Vec<u8>,
    },
    Listen {
        fd: i32,
        backlog: i32,
    },
    Socket {
        family: i32,
        kind: i32,
        protocol: i32,
    },
    Truncate {
        target: Target,
        length: i64,
    },
    Open {
        target: Target,
        flags: i32,
        mode: u32,
    },
    /// To a process, a group (negative) or everything (-1).
    SignalProcess {
        pid: i32,
        signal: i32,
    },
    SignalThread {
        tgid: Option<i32>,
        tid: i32,
        signal: i32,
    },
    SignalPidfd {
        fd: i32,
        signal: i32,
    },
    /// A setting of the caller's own thread or process, if the number is the caller's.
    OwnSetting {
        pid: i32,
    },
    /// A handler for SIGCHLD, at this address.
    ChildHandler {
        action: u64,
    },
    /// The processors of a thread, as a bit mask.
    Affinity {
        tid: i32,
        mask: Vec<u8>,
    },
}

/// Reads a call. `None`: the table handed over a call that this module does not know.
pub(crate) fn decode(
    name: &str,
    args: &[u64; 6],
    memory: &impl ReadMemory,
) -> Result<Option<Call>, Errno> {
    let [a, b, c, d, e, _] = *args;
    let path = |address, follow| at(memory, libc::AT_FDCWD, address, follow);
    let call = match name {
        "fork" | "vfork" => Call::Spawn { thread: false },
        "clone" => Call::Spawn { thread: a as i32 & libc::CLONE_THREAD != 0 },
        "unlink" => delete(place(memory, CWD, a)?, false),
        "rmdir" => delete(place(memory, CWD, a)?, true),
        "unlinkat" => {
            if c as i32 & !libc::AT_REMOVEDIR != 0 {
                return Err(Errno::EINVAL);
            }
            delete(place(memory, a as i32, b)?, c as i32 != 0)
        }
        "rename" => rename(place(memory, CWD, a)?, place(memory, CWD, b)?, 0)?,
        "renameat" => rename(place(memory, a as i32, b)?, place(memory, c as i32, d)?, 0)?,
        "renameat2" => rename(place(memory, a as i32, b)?, place(memory, c as i32, d)?, e as u32)?,
        "link" => Call::Names(Names::Link {
            from: at(memory, CWD, a, false)?,
            to: place(memory, CWD, b)?,
        }),
        "linkat" => link(memory, args)?,
        "symlink" => symlink(memory, a, CWD, b)?,
        "symlinkat" => symlink(memory, a, b as i32, c)?,
        "mkdir" => make_dir(place(memory, CWD, a)?, b),
        "mkdirat" => make_dir(place(memory, a as i32, b)?, c),
        "mknod" => make_node(place(memory, CWD, a)?, b),
        "mknodat" => make_node(place(memory, a as i32, b)?, c),
        "umask" => Call::Umask { mask: a as u32 & 0o777 },
        "execve" => Call::Exec { target: path(a, true)?, argv: arguments(memory, b)? },
        "execveat" => Call::Exec {
            target: with_flags(memory, a as i32, b, e as i32)?,
            argv: arguments(memory, c)?,
        },
        "chmod" => metadata(path(a, true)?, Change::Mode(b as u32)),
        "fchmod" => metadata(Target::Fd(a as i32), Change::Mode(b as u32)),
        "fchmodat" => metadata(at(memory, a as i32, b, true)?, Change::Mode(c as u32)),
        "fchmodat2" => metadata(with_flags(memory, a as i32, b, d as i32)?, Change::Mode(c as u32)),
        "chown" => metadata(path(a, true)?, owner(b, c)),
        "lchown" => metadata(path(a, false)?, owner(b, c)),
        "fchown" => metadata(Target::Fd(a as i32), owner(b, c)),
        "fchownat" => metadata(with_flags(memory, a as i32, b, e as i32)?, owner(c, d)),
        "utime" => metadata(path(a, true)?, Change::Times(seconds(memory, b)?)),
        "utimes" => metadata(path(a, true)?, Change::Times(microseconds(memory, b)?)),
        "futimesat" if b == 0 => {
            metadata(Target::Fd(a as i32), Change::Times(microseconds(memory, c)?))
        }
        "futimesat" => {
            metadata(at(memory, a as i32, b, true)?, Change::Times(microseconds(memory, c)?))
        }
        "utimensat" if b == 0 => {
            metadata(Target::Fd(a as i32), Change::Times(nanoseconds(memory, c)?))
        }
        "utimensat" => metadata(
            with_flags(memory, a as i32, b, d as i32)?,
            Change::Times(nanoseconds(memory, c)?),
        ),
        "setxattr" => metadata(path(a, true)?, set_xattr(memory, args)?),
        "lsetxattr" => metadata(path(a, false)?, set_xattr(memory, args)?),
        "fsetxattr" => metadata(Target::Fd(a as i32), set_xattr(memory, args)?),
        "removexattr" => metadata(path(a, true)?, remove_xattr(memory, b)?),
        "lremovexattr" => metadata(path(a, false)?, remove_xattr(memory, b)?),
        "fremovexattr" => metadata(Target::Fd(a as i32), remove_xattr(memory, b)?),
        "connect" => Call::Connect { fd: a as i32, address: address(memory, b, c)? },
        "bind" => Call::Bind { fd: a as i32, address: address(memory, b, c)? },
        "listen" => Call::Listen { fd: a as i32, backlog: b as i32 },
        "socket" => Call::Socket { family: a as i32, kind: b as i32, protocol: c as i32 },
        "truncate" => Call::Truncate { target: path(a, true)?, length: b as i64 },
        "open" => {
            Call::Open { target: path(a, follows(b as i32))?, flags: b as i32, mode: c as u32 }
        }
        "creat" => Call::Open {
            target: path(a, true)?,
            flags: libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC,
            mode: b as u32,
        },
        "openat" => Call::Open {
            target: at(memory, a as i32, b, follows(c as i32))?,
            flags: c as i32,
            mode: d as u32,
        },
        "kill" | "rt_sigqueueinfo" => Call::SignalProcess { pid: a as i32, signal: b as i32 },
        "tkill" => Call::SignalThread { tgid: None, tid: a as i32, signal: b as i32 },
        "tgkill" | "rt_tgsigqueueinfo" => {
            Call::SignalThread { tgid: Some(a as i32), tid: b as i32, signal: c as i32 }
        }
        "pidfd_send_signal" => Call::SignalPidfd { fd: a as i32, signal: b as i32 },
        "rt_sigaction" => Call::ChildHandler { action: b },
        "prlimit64" | "sched_setparam" => Call::OwnSetting { pid: a as i32 },
        "sched_setaffinity" => {
            // The kernel ignores what is beyond its own mask.
            let mut mask = vec![0; (b as u32 as u64).min(CPUS) as usize];
            memory.read(c, &mut mask)?;
            Call::Affinity { tid: a as i32, mask }
        }
        _ => return Ok(None),
    };
    Ok(Some(call))
}

const CWD: i32 = libc::AT_FDCWD;

/// Whether the last component of an opened path is followed.
fn follows(flags: i32) -> bool {
    const NEW: i32 = libc::O_CREAT | libc::O_EXCL;
    flags & libc::O_NOFOLLOW == 0 && flags & NEW != NEW
}

fn place(memory: &impl ReadMemory, dirfd: i32, path: u64) -> Result<Place, Errno> {
    let path = memory.string(path, PATH)?;
    if path.is_empty() { Err(Errno::ENOENT) } else { Ok(Place { dirfd, path }) }
}

fn delete(place: Place, dir: bool) -> Call {
    Call::Names(Names::Delete { place, dir })
}

fn rename(from: Place, to: Place, flags: u32) -> Result<Call, Errno> {
    const NOREPLACE: u32 = 1;
    const EXCHANGE: u32 = 2;
    const WHITEOUT: u32 = 4;
    match flags {
        0 | NOREPLACE | EXCHANGE => Ok(Call::Names(Names::Rename { from, to, flags })),
        // It makes a device, for overlay file systems only.
        _ if flags & WHITEOUT != 0 => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

fn link(memory: &impl ReadMemory, args: &[u64; 6]) -> Result<Call, Errno> {
    let [from_dir, from, to_dir, to, flags, _] = *args;
    let flags = flags as i32;
    if flags & !(libc::AT_SYMLINK_FOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = memory.string(from, PATH)?;
    let from = match (path.is_empty(), flags & libc::AT_EMPTY_PATH != 0) {
        (true, true) if from_dir as i32 != CWD => Target::Fd(from_dir as i32),
        (true, _) => return Err(Errno::ENOENT),
        (false, _) => Target::Path {
            dirfd: from_dir as i32,
            path,
            follow: flags & libc::AT_SYMLINK_FOLLOW != 0,
        },
    };
    Ok(Call::Names(Names::Link { from, to: place(memory, to_dir as i32, to)? }))
}

fn symlink(memory: &impl ReadMemory, text: u64, dirfd: i32, path: u64) -> Result<Call, Errno> {
    let text = memory.string(text, PATH)?;
    if text.is_empty() {
        return Err(Errno::ENOENT);
    }
    Ok(Call::Names(Names::Symlink { text, place: place(memory, dirfd, path)? }))
}

fn make_dir(place: Place, mode: u64) -> Call {
    Call::Names(Names::MakeDir { place, mode: mode as u32 })
}

fn make_node(place: Place, mode: u64) -> Call {
    Call::Names(Names::MakeNode { place, mode: mode as u32 })
}

/// A program's arguments. What is longer than the kernel itself usually takes is refused.
fn arguments(memory: &impl ReadMemory, list: u64) -> Result<Vec<Vec<u8>>, Errno> {
    const ONE: usize = 128 * 1024;
    const ALL: usize = 2 << 20;
    let mut found = Vec::new();
    let mut total = 0;
    if list == 0 {
        // As the kernel does: a program has a name, if an empty one.
        return Ok(vec![Vec::new()]);
    }
    loop {
        let mut word = [0; 8];
        let at = (found.len() as u64).checked_mul(8).and_then(|offset| list.checked_add(offset));
        memory.read(at.ok_or(Errno::EFAULT)?, &mut word)?;
        let address = u64::from_ne_bytes(word);
        if address == 0 {
            break;
        }
        let text = memory.string(address, ONE).map_err(|errno| match errno {
            Errno::ENAMETOOLONG => Errno::E2BIG,
            other => other,
        })?;
        total += text.len() + 9;
        if total > ALL {
            return Err(Errno::E2BIG);
        }
        found.push(text);
    }
    if found.is_empty() {
        found.push(Vec::new());
    }
    Ok(found)
}

fn metadata(target: Target, change: Change) -> Call {
    Call::Metadata { target, change }
}

fn owner(user: u64, group: u64) -> Change {
    Change::Owner { user: user as u32, group: group as u32 }
}

fn at(memory: &impl ReadMemory, dirfd: i32, path: u64, follow: bool) -> Result<Target, Errno> {
    let path = memory.string(path, PATH)?;
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    Ok(Target::Path { dirfd, path, follow })
}

fn with_flags(
    memory: &impl ReadMemory,
    dirfd: i32,
    path: u64,
    flags: i32,
) -> Result<Target, Errno> {
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    // Since Linux 6.11 a null path is an empty one.
    let path = match (path, flags & libc::AT_EMPTY_PATH != 0) {
        (0, true) => Vec::new(),
        _ => memory.string(path, PATH)?,
    };
    match (path.is_empty(), flags & libc::AT_EMPTY_PATH != 0) {
        (true, false) => Err(Errno::ENOENT),
        (true, true) if dirfd == libc::AT_FDCWD => {
            Ok(Target::Path { dirfd, path: b".".to_vec(), follow: true })
        }
        (true, true) => Ok(Target::Fd(dirfd)),
        (false, _) => {
            Ok(Target::Path { dirfd, path, follow: flags & libc::AT_SYMLINK_NOFOLLOW == 0 })
        }
    }
}

fn set_xattr(memory: &impl ReadMemory, args: &[u64; 6]) -> Result<Change, Errno> {
    let [_, name, value, size, flags, _] = *args;
    if size > XATTR_VALUE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = vec![0; size as usize];
    memory.read(value, &mut bytes)?;
    Ok(Change::SetXattr { name: xattr_name(memory, name)?, value: bytes, flags: flags as i32 })
}

fn remove_xattr(memory: &impl ReadMemory, name: u64) -> Result<Change, Errno> {
    Ok(Change::RemoveXattr { name: xattr_name(memory, name)? })
}

fn xattr_name(memory: &impl ReadMemory, address: u64) -> Result<Vec<u8>, Errno> {
    match memory.string(address, XATTR_NAME) {
        Err(Errno::ENAMETOOLONG) => Err(Errno::ERANGE),
        Ok(name) if name.is_empty() => Err(Errno::ERANGE),
        other => other,
    }
}

fn address(memory: &impl ReadMemory, address: u64, length: u64) -> Result<Vec<u8>, Errno> {
    let length = length as u32 as i32;
    if length < 0 || length as u64 > ADDRESS {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; length as usize];
    memory.read(address, &mut bytes)?;
    Ok(bytes)
}

/// Pairs of 64-bit words: `struct utimbuf` is one, `timeval[2]` and `timespec[2]` are two.
fn words<const N: usize>(
    memory: &impl ReadMemory,
    address: u64,
) -> Result<Option<[i64; N]>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; N * 8];
    memory.read(address, &mut bytes)?;
    let mut words = [0; N];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        let mut array = [0; 8];
        array.copy_from_slice(chunk);
        *word = i64::from_ne_bytes(array);
    }
    Ok(Some(words))
}

type Times = Option<[timespec; 2]>;

fn seconds(memory: &impl ReadMemory, address: u64) -> Result<Times, Errno> {
    Ok(words::<2>(memory, address)?.map(|[access, modify]| {
        [timespec { tv_sec: access, tv_nsec: 0 }, timespec { tv_sec: modify, tv_nsec: 0 }]
    }))
}

fn microseconds(memory: &impl ReadMemory, address: u64) -> Result<Times, Errno> {
    let Some([access, access_us, modify, modify_us]) = words::<4>(memory, address)? else {
        return Ok(None);
    };
    if [access_us, modify_us].iter().any(|us| !(0..1_000_000).contains(us)) {
        return Err(Errno::EINVAL);
    }
    Ok(Some([
        timespec { tv_sec: access, tv_nsec: access_us * 1_000 },
        timespec { tv_sec: modify, tv_nsec: modify_us * 1_000 },
    ]))
}

fn nanoseconds(memory: &impl ReadMemory, address: u64) -> Result<Times, Errno> {
    Ok(words::<4>(memory, address)?.map(|[access, access_ns, modify, modify_ns]| {
        [
            timespec { tv_sec: access, tv_nsec: access_ns },
            timespec { tv_sec: modify, tv_nsec: modify_ns },
        ]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory that starts at address 0x1000.
    struct Fake(Vec<u8>);

    impl ReadMemory for Fake {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
            let start = address.checked_sub(0x1000).ok_or(Errno::EFAULT)? as usize;
            let part = self.0.get(start..start + buffer.len()).ok_or(Errno::EFAULT)?;
            buffer.copy_from_slice(part);
            Ok(())
        }

        fn string(&self, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
            let start = address.checked_sub(0x1000).ok_or(Errno::EFAULT)? as usize;
            let part = self.0.get(start..).ok_or(Errno::EFAULT)?;
            let end = part.iter().position(|b| *b == 0).ok_or(Errno::EFAULT)?;
            if end >= limit { Err(Errno::ENAMETOOLONG) } else { Ok(part[..end].to_vec()) }
        }
    }

    fn run(name: &str, args: [u64; 6], memory: &[u8]) -> Result<Option<Call>, Errno> {
        decode(name, &args, &Fake(memory.to_vec()))
    }

    const CWD: u64 = super::CWD as u32 as u64;

    #[test]
    fn spellings_come_out_alike() {
        let file = b"file\0";
        let want = Target::Path { dirfd: libc::AT_FDCWD, path: b"file".to_vec(), follow: true };
        let calls = [
            run("chmod", [0x1000, 0o644, 0, 0, 0, 0], file),
            run("fchmodat", [CWD, 0x1000, 0o644, 0, 0, 0], file),
            run("fchmodat2", [CWD, 0x1000, 0o644, 0, 0, 0], file),
        ];
        for call in calls {
            let Ok(Some(Call::Metadata { target, change: Change::Mode(mode) })) = call else {
                panic!("{call:?}");
            };
            assert_eq!((target, mode), (want.clone(), 0o644));
        }
    }

    #[test]
    fn empty_paths_mean_the_descriptor_only_with_the_flag() {
        let flag = libc::AT_EMPTY_PATH as u64;
        let args = |flags| [7, 0x1000, 0, 0, flags, 0];
        assert!(matches!(
            run("fchownat", args(flag), b"\0"),
            Ok(Some(Call::Metadata { target: Target::Fd(7), .. }))
        ));
        assert!(matches!(run("fchownat", args(0), b"\0"), Err(Errno::ENOENT)));
        assert!(matches!(run("fchownat", args(0x8000), b"\0"), Err(Errno::EINVAL)));
        assert!(matches!(
            run("utimensat", [7, 0, 0, 0, 0, 0], b""),
            Ok(Some(Call::Metadata { target: Target::Fd(7), change: Change::Times(None) }))
        ));
    }

    #[test]
    fn unreadable_arguments_are_efault_and_long_ones_their_own_error() {
        assert!(matches!(run("chmod", [0, 0, 0, 0, 0, 0], b""), Err(Errno::EFAULT)));
        assert!(matches!(run("connect", [3, 0x9000, 16, 0, 0, 0], b""), Err(Errno::EFAULT)));
        assert!(matches!(run("connect", [3, 0x1000, 4_096, 0, 0, 0], b""), Err(Errno::EINVAL)));
        assert!(matches!(run("connect", [3, 0x1000, u64::MAX, 0, 0, 0], b""), Err(Errno::EINVAL)));
        let mut long = vec![b'x'; 5_000];
        long.push(0);
        assert!(matches!(run("chmod", [0x1000, 0, 0, 0, 0, 0], &long), Err(Errno::ENAMETOOLONG)));
        let args = [0x1000, 0x1000, 0x1000, 1 << 20, 0, 0];
        assert!(matches!(run("setxattr", args, b"a\0"), Err(Errno::E2BIG)));
        assert!(matches!(run("read", [0; 6], b""), Ok(None)));
    }

    #[test]
    fn times_are_converted() {
        let mut memory = Vec::new();
        for word in [5i64, 7, 9, 999_999] {
            memory.extend_from_slice(&word.to_ne_bytes());
        }
        memory.extend_from_slice(b"f\0");
        let path = 0x1000 + 32;
        let Ok(Some(Call::Metadata { change: Change::Times(Some([access, modify])), .. })) =
            run("utimes", [path, 0x1000, 0, 0, 0, 0], &memory)
        else {
            panic!()
        };
        assert_eq!((access.tv_sec, access.tv_nsec), (5, 7_000));
        assert_eq!((modify.tv_sec, modify.tv_nsec), (9, 999_999_000));
    }

    #[test]
    fn the_table_hands_over_nothing_that_is_not_decoded() {
        use crate::isolation::filter::Arch;
        use crate::isolation::syscalls::{Class, Outcome, Profile, table};
        for arch in [Arch::X86_64, Arch::Aarch64] {
            for tcp in [false, true] {
                for landlock_abi in 1..=7 {
                    let profile = Profile { tcp, landlock_abi, ..Profile::default() };
                    for syscall in table().iter().filter(|s| s.number(arch).is_some()) {
                        let rules = syscall.outcomes(&profile, arch);
                        let guarded = matches!(syscall.class, Class::Guard)
                            || rules.otherwise == Outcome::Guard
                            || rules.rules.iter().any(|r| r.action == Outcome::Guard);
                        let known = run(syscall.name, [0x1000; 6], &[0; 8_192]);
                        if guarded {
                            assert!(!matches!(known, Ok(None)), "{}", syscall.name);
                        }
                    }
                }
            }
        }
    }
}
