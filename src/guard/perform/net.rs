//! connect, bind and listen on the target's own socket, with the guard's copy of the address.
//!
//! The socket is fetched with `pidfd_getfd`. Where that is refused (Docker's default profile), the
//! guard makes the sockets itself and keeps a copy of each until it is connected or listens: a copy
//! kept longer would hold back the end of the connection and the port.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, readlinkat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockaddrStorage, getpeername};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};

use super::Answer;
use super::names::into_path;
use crate::guard::context::{Context, Refusal, grant};
use crate::guard::decode::{Place, Target};
use crate::guard::lane::Lanes;
use crate::guard::resolve::{Name, View, same};
use crate::guard::subject::{Object, Subject};
use crate::isolation::landlock::resolved;
use crate::plan::{Endpoint, escape};
use crate::policy::{self, Facts, SyscallContext};
use crate::sys::metadata::{handle_name, set_mode};
use crate::sys::notify::Notification;
use crate::sys::{fd as fds, pidfd, socket};

/// Copies beyond this are looked through for sockets that their owner has closed.
const MANY_COPIES: usize = 64;
/// Copies beyond this are refused.
const MAX_COPIES: usize = 1_024;

/// Sockets without a copy that are remembered.
const MAX_GONE: usize = 1_024;
/// Names of the sandbox's own that are remembered; each takes a descriptor.
const MAX_OWN: usize = 256;

/// What the guard knows of the sandbox's sockets.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// Copies of sockets that the guard made, by inode.
    copies: Mutex<HashMap<u64, Kept>>,
    /// Sockets whose copy has gone, so that calls on them can still be answered as the kernel would.
    gone: Mutex<VecDeque<(u64, Gone)>>,
    /// The files that binding a unix socket to a path has made.
    own: Mutex<VecDeque<Own>>,
}

/// A socket's file. Pinned, or its number could become that of somebody else's file.
#[derive(Debug)]
struct Own {
    handle: OwnedFd,
    object: FileStat,
}

/// Why a copy has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    Connected,
    Listens,
}

#[derive(Debug)]
struct Kept {
    copy: OwnedFd,
    /// A connection is being made; the copy goes as soon as that is over.
    connecting: bool,
}

/// Makes a socket for the target. Only reached where sockets can't be fetched.
pub(crate) fn make(
    context: &Context,
    family: i32,
    kind: i32,
    protocol: i32,
) -> Result<Answer, Refusal> {
    let mut copies = context.sockets.lock();
    if copies.len() >= MANY_COPIES {
        sweep(context, &mut copies);
    }
    if copies.len() >= MAX_COPIES {
        return Err(Errno::EMFILE.into());
    }
    let fd = socket::create(family, kind | libc::SOCK_CLOEXEC, protocol)?;
    let inode = fstat(&fd)?.st_ino;
    let copy = fds::dup_above(fd.as_fd(), crate::sys::child::FIRST_OWN_FD)?;
    context.sockets.is_new(inode);
    copies.insert(inode, Kept { copy, connecting: false });
    Ok(Answer::Descriptor { fd, cloexec: kind & libc::SOCK_CLOEXEC != 0 })
}

/// Forgets copies of sockets that no process of the sandbox has open any more.
fn sweep(context: &Context, copies: &mut HashMap<u64, Kept>) {
    let mut alive = std::collections::HashSet::new();
    for pid in context.membership().processes().unwrap_or_default() {
        for fd in 0..context.open_files {
            let name = format!("{pid}/fd/{fd}");
            if let Ok(link) = readlinkat(&context.procfs, name.as_str()) {
                alive.extend(socket_inode(link.as_encoded_bytes()));
            }
        }
    }
    copies.retain(|inode, _| alive.contains(inode));
}

impl Sockets {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Kept>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a copy waits for its connection, so that [`Sockets::settle`] must be called soon.
    pub(crate) fn unsettled(&self) -> bool {
        self.lock().values().any(|kept| kept.connecting)
    }

    /// Drops the copies whose connection has been made or refused meanwhile.
    pub(crate) fn settle(&self) {
        self.lock().retain(|inode, kept| {
            let mut one = [PollFd::new(kept.copy.as_fd(), PollFlags::POLLOUT)];
            if !kept.connecting || poll(&mut one, PollTimeout::ZERO) == Ok(0) {
                return true;
            }
            kept.connecting = false;
            // SO_ERROR would take the error away from the program.
            let failed = getpeername::<SockaddrStorage>(kept.copy.as_raw_fd()).is_err();
            if !failed {
                self.remember(*inode, Gone::Connected);
            }
            // It may try again on the same socket.
            failed
        });
    }

    fn remember(&self, inode: u64, why: Gone) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.push_back((inode, why));
        if gone.len() > MAX_GONE {
            gone.pop_front();
        }
    }

    /// What is remembered under this number was of another socket.
    fn is_new(&self, inode: u64) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.retain(|(known, _)| *known != inode);
    }

    fn is_gone(&self, inode: u64, why: Gone) -> bool {
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        gone.contains(&(inode, why))
    }

    fn forget(&self, inode: u64, why: Gone) {
        self.lock().remove(&inode);
        self.remember(inode, why);
    }

    fn set_connecting(&self, inode: u64) {
        if let Some(kept) = self.lock().get_mut(&inode) {
            kept.connecting = true;
        }
    }

    fn add_own(&self, handle: OwnedFd, object: FileStat) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= MAX_OWN {
            own.retain(|own| fstat(&own.handle).is_ok_and(|now| now.st_nlink > 0));
        }
        if own.len() >= MAX_OWN {
            own.pop_front();
        }
        own.push_back(Own { handle, object });
    }

    fn is_own(&self, object: &FileStat) -> bool {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.iter().any(|own| same(&own.object, object))
    }
}

/// The target's socket, pinned: whatever its descriptor table does meanwhile, this is the one that
/// is judged and used.
fn fetch(context: &Context, call: &Notification, fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::EBADF);
    }
    let socket = if context.kernel.pidfd_getfd {
        let pidfd = match pidfd::open_thread(call.tid) {
            Ok(pidfd) => pidfd,
            Err(Errno::EINVAL | Errno::ENOENT) => {
                pidfd::open(context.membership().process_of(call.tid)?)?
            }
            Err(errno) => return Err(errno),
        };
        pidfd::get_fd(pidfd.as_fd(), fd)?
    } else {
        let inode = inode_of(context, call, fd)?;
        let copies = context.sockets.lock();
        // A socket that isn't known (accepted, say) can't be judged.
        let unknown = || match context.sockets.is_gone(inode, Gone::Connected) {
            true => Errno::EISCONN,
            false => Errno::EACCES,
        };
        copies.get(&inode).ok_or_else(unknown)?.copy.try_clone().map_err(|_| Errno::EMFILE)?
    };
    if !context.listener.still_waiting(call.id) {
        return Err(Errno::ESRCH);
    }
    Ok(socket)
}

fn inode_of(context: &Context, call: &Notification, fd: i32) -> Result<u64, Errno> {
    let link = readlinkat(&context.procfs, format!("{}/fd/{fd}", call.tid).as_str())
        .map_err(|errno| if errno == Errno::ENOENT { Errno::EBADF } else { errno })?;
    socket_inode(link.as_encoded_bytes()).ok_or(Errno::ENOTSOCK)
}

fn socket_inode(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// What an address is.
#[derive(Debug, PartialEq, Eq)]
enum Address<'a> {
    Inet(IpAddr, u16),
    UnixPath(&'a [u8]),
    UnixAbstract(&'a [u8]),
    /// `AF_UNSPEC` dissolves an association; an unnamed unix address; anything the kernel refuses.
    Other,
}

fn parse(bytes: &[u8]) -> Address<'_> {
    let Some((family, rest)) = bytes.split_at_checked(2) else { return Address::Other };
    let port = || rest.get(..2).map(|p| u16::from_be_bytes([p[0], p[1]]));
    match i32::from(u16::from_ne_bytes([family[0], family[1]])) {
        libc::AF_INET => match (rest.get(2..6), port()) {
            (Some(&[a, b, c, d]), Some(port)) => {
                Address::Inet(Ipv4Addr::new(a, b, c, d).into(), port)
            }
            _ => Address::Other,
        },
        libc::AF_INET6 => match (rest.get(6..22).map(<[u8; 16]>::try_from), port()) {
            (Some(Ok(octets)), Some(port)) => Address::Inet(Ipv6Addr::from(octets).into(), port),
            _ => Address::Other,
        },
        libc::AF_UNIX => match rest.split_first() {
            None => Address::Other,
            Some((0, name)) => Address::UnixAbstract(name),
            Some(_) => Address::UnixPath(rest.split(|b| *b == 0).next().unwrap_or_default()),
        },
        _ => Address::Other,
    }
}

/// A connection to be made, its socket and its address pinned.
#[derive(Debug)]
pub(crate) struct Connect {
    call: Notification,
    socket: OwnedFd,
    address: Vec<u8>,
    to: To,
}

/// Where an address leads.
#[derive(Debug)]
enum To {
    Inet(IpAddr, u16),
    Socket(OwnedFd),
    Abstract(Vec<u8>),
    Other,
}

impl Connect {
    pub(crate) fn look(
        context: &Context,
        call: &Notification,
        view: View<'_>,
        fd: i32,
        address: &[u8],
    ) -> Result<Self, Refusal> {
        let socket = fetch(context, call, fd)?;
        let to = match parse(address) {
            Address::Inet(ip, port) => To::Inet(ip, port),
            Address::UnixPath(path) => {
                let path = path.to_vec();
                let path = Target::Path { dirfd: libc::AT_FDCWD, path, follow: true };
                To::Socket(view.pin(&path)?)
            }
            Address::UnixAbstract(name) => To::Abstract(name.to_vec()),
            Address::Other => To::Other,
        };
        Ok(Self { call: *call, socket, address: address.to_vec(), to })
    }

    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let (address, objects) = match &self.to {
            To::Inet(ip, port) => (inet(reached(*ip), *port), Vec::new()),
            To::Socket(handle) => {
                let path = into_path(resolved(handle.as_fd())?);
                (policy::Address::Unix(path), vec![Object::of(handle)?])
            }
            To::Abstract(_) | To::Other => return Ok(None),
        };
        let context = SyscallContext::Connect { address, host: None };
        Ok(Some(Subject { context, facts: Facts::default(), objects }))
    }

    pub(crate) fn perform(
        mut self,
        context: &Arc<Context>,
        lanes: &Lanes,
        approved: bool,
    ) -> Result<Answer, Refusal> {
        match &self.to {
            To::Inet(ip, port) => {
                if !approved && !context.network.may_connect(*ip, *port) {
                    let endpoint = std::net::SocketAddr::new(ip.to_canonical(), *port).to_string();
                    return Err(denied(
                        Errno::EACCES,
                        endpoint.clone(),
                        format!("connect(\"{endpoint}\")"),
                    ));
                }
            }
            To::Socket(handle) => {
                if !approved {
                    may_connect_to(context, handle)?;
                }
                // The handle's own name leads to exactly this socket, whatever its path does now.
                let name = handle_name(handle.as_fd());
                let family = (libc::AF_UNIX as u16).to_ne_bytes();
                self.address = [&family[..], name.as_bytes_with_nul()].concat();
            }
            To::Abstract(name) if context.kernel.landlock < 6 => {
                let target = format!("abstract unix socket {}", escape(name));
                return Err(Refusal::Denied { errno: Errno::EPERM, target, grant: None });
            }
            // Abstract sockets are scoped by Landlock.
            To::Abstract(_) | To::Other => {}
        }
        let flags = OFlag::from_bits_truncate(fcntl(&self.socket, FcntlArg::F_GETFL)?);
        if flags.contains(OFlag::O_NONBLOCK) {
            self.run(context).map_err(Refusal::Failed)?;
            return Ok(Answer::Value(0));
        }
        let context = Arc::clone(context);
        lanes.run(Box::new(move || {
            // ENOENT: the caller died meanwhile.
            let _ = match self.run(&context) {
                Ok(()) => context.listener.value(self.call.id, 0),
                Err(errno) => context.listener.errno(self.call.id, errno),
            };
        }))?;
        Ok(Answer::Later)
    }

    fn run(&self, context: &Context) -> Result<(), Errno> {
        let result = socket::connect(self.socket.as_fd(), &self.address);
        if !context.kernel.pidfd_getfd {
            let inode = fstat(&self.socket)?.st_ino;
            match result {
                Ok(()) => context.sockets.forget(inode, Gone::Connected),
                Err(Errno::EINPROGRESS) => context.sockets.set_connecting(inode),
                Err(_) => {}
            }
        }
        result
    }
}

/// The kernel takes a connection to no address for one to this machine.
fn reached(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

fn inet(ip: IpAddr, port: u16) -> policy::Address {
    policy::Address::Inet(std::net::SocketAddr::new(ip.to_canonical(), port))
}

/// Whether a socket's file may be connected to: a process of this sandbox has bound it, or it is granted by its path. Where it lies says nothing: other programs of the user
/// have sockets below writable grants (`/tmp`, the home directory), from where they can be moved.
fn may_connect_to(context: &Context, handle: &OwnedFd) -> Result<(), Refusal> {
    let object = fstat(handle)?;
    let granted = context.network.connect.iter().any(|endpoint| match endpoint {
        Endpoint::Unix { path } => std::ffi::CString::new(path.as_slice())
            .ok()
            .and_then(|path| {
                let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
                open(path.as_c_str(), flags, Mode::empty()).ok()
            })
            .and_then(|wanted| fstat(&wanted).ok())
            .is_some_and(|wanted| same(&wanted, &object)),
        Endpoint::Tcp { .. } => false,
    });
    if object.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFSOCK.bits() {
        return Err(Errno::ECONNREFUSED.into());
    }
    if granted || context.sockets.is_own(&object) {
        return Ok(());
    }
    let path = resolved(handle.as_fd())?;
    let grant = grant("connect", &[b"unix:", path.as_slice()].concat());
    Err(Refusal::Denied { errno: Errno::EACCES, target: escape(&path), grant })
}

/// A socket to be bound.
#[derive(Debug)]
pub(crate) struct Bind {
    socket: OwnedFd,
    unix: bool,
    address: Vec<u8>,
    /// The name of a unix socket's file, pinned, and what the name is resolved from.
    name: Option<(Name, OwnedFd)>,
}

impl Bind {
    pub(crate) fn look(
        context: &Context,
        call: &Notification,
        view: View<'_>,
        fd: i32,
        address: &[u8],
    ) -> Result<Self, Refusal> {
        let socket = fetch(context, call, fd)?;
        let unix = socket::family(socket.as_fd())? == libc::AF_UNIX;
        let name = match parse(address) {
            Address::UnixPath(path) if unix => {
                let place = Place { dirfd: libc::AT_FDCWD, path: path.to_vec() };
                Some((view.parent(&place)?, view.cwd()?))
            }
            _ => None,
        };
        Ok(Self { socket, unix, address: address.to_vec(), name })
    }

    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let (address, objects) = match (parse(&self.address), &self.name) {
            (Address::Inet(ip, port), _) => (inet(ip, port), Vec::new()),
            (_, Some((name, _))) if !name.is_special() => {
                (policy::Address::Unix(into_path(name.path()?)), vec![Object::of(&name.dir)?])
            }
            _ => return Ok(None),
        };
        let context = SyscallContext::Bind { address };
        Ok(Some(Subject { context, facts: Facts::default(), objects }))
    }

    pub(crate) fn perform(
        self,
        context: &Context,
        umask: u32,
        approved: bool,
    ) -> Result<Answer, Refusal> {
        match parse(&self.address) {
            // The kernel takes AF_UNSPEC for 0.0.0.0 here, with a port.
            Address::Other if !self.unix => return Err(Errno::EAFNOSUPPORT.into()),
            Address::Inet(ip, port) if !approved && !context.network.may_bind(ip, port) => {
                let endpoint = std::net::SocketAddr::new(ip.to_canonical(), port).to_string();
                let grant = format!("bind(\"{endpoint}\")");
                return Err(denied(Errno::EACCES, endpoint, grant));
            }
            // Programs outside trust abstract names, which anybody may take. A name of the kernel's
            // choice, for an address without one, is none that anybody knows.
            Address::UnixAbstract(name) if self.unix => {
                let target = format!("abstract unix socket {}", escape(name));
                return Err(Refusal::Denied { errno: Errno::EPERM, target, grant: None });
            }
            _ => {}
        }
        match &self.name {
            Some((name, cwd)) => bind_path(context, &self, name, cwd, umask)?,
            None => socket::bind(self.socket.as_fd(), &self.address)?,
        }
        Ok(Answer::Value(0))
    }
}

/// Marks the file of a socket that is being bound. It means nothing on a socket, and programs
/// can't set it there ([`metadata`](super::metadata)).
const MARK: u32 = libc::S_ISVTX;

/// Binds a unix socket to a path, and remembers the file which that makes.
fn bind_path(
    context: &Context,
    bind: &Bind,
    name: &Name,
    cwd: &OwnedFd,
    umask: u32,
) -> Result<(), Errno> {
    let family = (libc::AF_UNIX as u16).to_ne_bytes();
    // The name must be what the program gave, so it is resolved from the program's directory; but
    // where a policy has judged the place, it must be that place. This thread alone uses the
    // guard's working directory.
    let address = if context.judges {
        nix::unistd::fchdir(&name.dir)?;
        [&family[..], name.leaf.as_bytes_with_nul()].concat()
    } else {
        nix::unistd::fchdir(cwd)?;
        bind.address.clone()
    };
    // Bound sockets can't be asked for their file, and the path may lead elsewhere a moment later:
    // to a socket of the host that the program moved there. Only the new file has the mark.
    let socket = &bind.socket;
    let mode = fstat(socket)?.st_mode & 0o777;
    fchmod(socket, Mode::from_bits_truncate(mode | MARK))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(umask));
    let result = socket::bind(socket.as_fd(), &address);
    fchmod(socket, Mode::from_bits_truncate(mode))?;
    result?;
    if let Ok(handle) = name.pin()
        && let Ok(object) = fstat(&handle)
        && object.st_mode & (SFlag::S_IFMT.bits() | MARK) == SFlag::S_IFSOCK.bits() | MARK
    {
        set_mode(handle.as_fd(), object.st_mode & 0o777)?;
        context.sockets.add_own(handle, object);
    }
    Ok(())
}

/// A socket that is to listen.
#[derive(Debug)]
pub(crate) struct Listen {
    /// `None`: it listens already, and only the backlog would change.
    socket: Option<OwnedFd>,
    backlog: i32,
}

impl Listen {
    pub(crate) fn look(
        context: &Context,
        call: &Notification,
        fd: i32,
        backlog: i32,
    ) -> Result<Self, Errno> {
        let listens = !context.kernel.pidfd_getfd
            && context.sockets.is_gone(inode_of(context, call, fd)?, Gone::Listens);
        let socket = if listens { None } else { Some(fetch(context, call, fd)?) };
        Ok(Self { socket, backlog })
    }

    /// One that isn't bound gets an address and a port.
    pub(crate) fn subject(&self) -> Result<Option<Subject>, Errno> {
        let Some(socket) = &self.socket else { return Ok(None) };
        let Address::Inet(ip, 0) = parse(&socket::local_address(socket.as_fd())?) else {
            return Ok(None);
        };
        let context = SyscallContext::Bind { address: inet(ip, 0) };
        Ok(Some(Subject { context, facts: Facts::default(), objects: Vec::new() }))
    }

    pub(crate) fn perform(self, context: &Context, approved: bool) -> Result<Answer, Refusal> {
        let Some(socket) = self.socket else { return Ok(Answer::Value(0)) };
        if socket::family(socket.as_fd())? != libc::AF_UNIX && !approved {
            must_be_bound(context, socket.as_fd())?;
        }
        socket::listen(socket.as_fd(), self.backlog)?;
        if !context.kernel.pidfd_getfd {
            context.sockets.forget(fstat(&socket)?.st_ino, Gone::Listens);
        }
        Ok(Answer::Value(0))
    }
}

/// A socket that isn't bound would listen on every address and a port of the kernel's choice. The
/// address it tells may be that of a connection it had before, so it is bound to that: a bound one
/// says EINVAL, and any other is bound then, to what is granted.
fn must_be_bound(context: &Context, socket: BorrowedFd<'_>) -> Result<(), Refusal> {
    let refused = || denied(Errno::EACCES, "any port".into(), "bind(\"127.0.0.1:0\")".into());
    let mut address = socket::local_address(socket)?;
    let Address::Inet(ip, port) = parse(&address) else { return Err(refused()) };
    if port == 0 {
        return Err(refused());
    }
    if !context.network.may_bind(ip, port) {
        // It may have asked for any port, and got this one.
        if !context.network.may_bind(ip, 0) {
            return Err(refused());
        }
        address[2..4].fill(0);
    }
    match socket::bind(socket, &address) {
        Ok(()) | Err(Errno::EINVAL) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn denied(errno: Errno, target: String, grant: String) -> Refusal {
    Refusal::Denied { errno, target, grant: Some(grant) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_reads_them() {
        let mut v4 = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        v4.extend_from_slice(&[0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(parse(&v4), Address::Inet("127.0.0.1".parse().unwrap(), 80));
        let mut v6 = (libc::AF_INET6 as u16).to_ne_bytes().to_vec();
        v6.extend_from_slice(&[1, 187, 0, 0, 0, 0]);
        v6.extend_from_slice(&Ipv6Addr::LOCALHOST.octets());
        v6.extend_from_slice(&[0; 4]);
        assert_eq!(parse(&v6), Address::Inet("::1".parse().unwrap(), 443));
        let unix = |name: &[u8]| [&(libc::AF_UNIX as u16).to_ne_bytes()[..], name].concat();
        assert_eq!(parse(&unix(b"/run/x\0junk")), Address::UnixPath(b"/run/x"));
        assert_eq!(parse(&unix(b"rel")), Address::UnixPath(b"rel"));
        assert_eq!(parse(&unix(b"\0name")), Address::UnixAbstract(b"name"));
        assert_eq!(parse(&unix(b"")), Address::Other);
    }

    #[test]
    fn short_and_odd_addresses_are_nothing() {
        for length in 0..40 {
            for family in [libc::AF_UNSPEC, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK] {
                let mut bytes = (family as u16).to_ne_bytes().to_vec();
                bytes.resize(length, 0);
                let _ = parse(&bytes);
            }
        }
        assert_eq!(parse(&v4_cut()), Address::Other);
    }

    fn v4_cut() -> Vec<u8> {
        let mut bytes = (libc::AF_INET as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&[0, 80, 127]);
        bytes
    }
}
