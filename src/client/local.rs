//! The daemon of this process, and the sandboxes it has made in advance.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::find;
use crate::daemon::{SERVE, VERSION, remove_base};
use crate::error::{Error, Result, SessionError, Unavailable};
use crate::plan::Confinement;
use crate::sys::channel::{Channel, Inbox, Received};
use crate::sys::entry::{DAEMON_NAME, is_privileged};
use crate::sys::process::spawn_with_channel;
use crate::wire::{Greeting, Hello, ToDaemon, decode, encode};

/// Sandboxes kept ready for one kind of plan.
const SPARES: usize = 2;
/// How old a sandbox made in advance may be. Its guard waits for a minute.
const FRESH: Duration = Duration::from_secs(50);
/// Kinds of plans that have sandboxes ready.
const KINDS: usize = 8;
/// Kinds of plans that are remembered.
const REMEMBERED: usize = 256;
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    channel: Channel,
    pub(crate) hello: Hello,
    pub(crate) path: PathBuf,
    pool: Mutex<HashMap<Arc<Confinement>, Ready>>,
    spares: bool,
}

/// One kind of plan.
#[derive(Debug)]
struct Ready {
    /// Each with when it was made.
    channels: Vec<(Channel, Instant)>,
    /// Runs that have ended. After the first one sandbox is made ready: there may be no second.
    runs: usize,
    used: Instant,
}

/// The daemons of this process and of the processes it was forked from. A forked child finds a
/// slot of its own, so that it never waits for a lock that a lost thread holds.
struct Slot {
    owner: u32,
    daemon: Mutex<Option<Arc<Daemon>>>,
    next: OnceLock<Box<Slot>>,
}

static SLOTS: OnceLock<Box<Slot>> = OnceLock::new();

fn slot() -> &'static Slot {
    let me = std::process::id();
    let new = || Box::new(Slot { owner: me, daemon: Mutex::new(None), next: OnceLock::new() });
    let mut slot = SLOTS.get_or_init(new);
    while slot.owner != me {
        slot = slot.next.get_or_init(new);
    }
    slot
}

/// The daemon of this process, started on first use and again if it has died.
pub(crate) fn current() -> Result<Arc<Daemon>> {
    let mut current = lock(&slot().daemon);
    if let Some(daemon) = current.as_ref().filter(|daemon| daemon.is_alive()) {
        return Ok(Arc::clone(daemon));
    }
    if let Some(dead) = current.take() {
        dead.clean_up();
    }
    let daemon = Arc::new(Daemon::start(true)?);
    *current = Some(Arc::clone(&daemon));
    Ok(daemon)
}

impl Daemon {
    /// Starts a daemon of its own for one executor, whose kernel is taken to be older than it is.
    pub(crate) fn masked(landlock_abi: u32) -> Result<Self> {
        let mut daemon = Self::start(false)?;
        daemon.tell(&ToDaemon::MaskLandlock(landlock_abi), None)?;
        daemon.hello.landlock_abi = daemon.hello.landlock_abi.min(landlock_abi.max(1));
        Ok(daemon)
    }

    /// Starts a daemon of its own that continues judged calls, if it is built for tests.
    pub(crate) fn racy() -> Result<Self> {
        let daemon = Self::start(false)?;
        daemon.tell(&ToDaemon::ContinueRacily, None)?;
        Ok(daemon)
    }

    /// Starts a daemon that makes no sandbox in advance.
    #[cfg(feature = "cli")]
    pub(crate) fn without_spares() -> Result<Self> {
        Self::start(false)
    }

    fn start(spares: bool) -> Result<Self> {
        let path = find::daemon()?;
        let (ours, theirs) = Channel::pair().map_err(no_descriptors)?;
        let failed = |errno: Errno| {
            let source = io::Error::from(errno);
            Error::Unavailable(Unavailable::DaemonStart { path: path.clone(), source })
        };
        let program = c_path(&path).map_err(failed)?;
        // Whoever starts a program with more rights than theirs does not say where its files go.
        let temp = std::env::var_os("TMPDIR").filter(|_| !is_privileged());
        let temp = temp.map(|dir| [b"TMPDIR=", dir.as_bytes()].concat());
        let env: Vec<CString> = temp.into_iter().filter_map(|v| CString::new(v).ok()).collect();
        let channel = theirs.as_fd().as_raw_fd();
        let child =
            spawn_with_channel(&program, &[DAEMON_NAME, SERVE], &env, channel).map_err(failed)?;
        drop(theirs);
        let greeting = read_greeting(&ours);
        // The child has forked the daemon and ended, or it is no daemon.
        if greeting.is_none() {
            let _ = nix::sys::signal::kill(Pid::from_raw(child), nix::sys::signal::SIGKILL);
        }
        let _ = waitpid(Pid::from_raw(child), None);
        let wrong_version = |found: String| {
            let wanted = VERSION.to_owned();
            Error::Unavailable(Unavailable::DaemonVersion { path: path.clone(), found, wanted })
        };
        let greeting = greeting.ok_or_else(|| wrong_version("nothing".into()))?;
        if greeting.version != VERSION {
            return Err(wrong_version(greeting.version));
        }
        let hello = greeting.hello.map_err(Unavailable::Machine)?;
        Ok(Self { channel: ours, hello, path, pool: Mutex::new(HashMap::new()), spares })
    }

    /// A channel to a sandbox of this kind. `ready`: one made in advance, if there is one.
    pub(crate) fn sandbox(
        &self,
        confinement: &Confinement,
        ready: bool,
    ) -> Result<(Channel, bool)> {
        if ready {
            let mut pool = lock(&self.pool);
            if let Some(kind) = pool.get_mut(confinement) {
                kind.used = Instant::now();
                // An older one may be going away just now.
                kind.channels.retain(|(_, made)| made.elapsed() < FRESH);
                if let Some((channel, _)) = kind.channels.pop() {
                    return Ok((channel, true));
                }
            }
        }
        Ok((self.arm(confinement)?, false))
    }

    /// Makes sandboxes of this kind in advance, since it has been used.
    pub(crate) fn keep_ready(&self, confinement: &Arc<Confinement>) {
        if !self.spares {
            return;
        }
        let mut pool = lock(&self.pool);
        if !pool.contains_key(confinement) {
            make_room(&mut pool);
            let kind = Ready { channels: Vec::new(), runs: 0, used: Instant::now() };
            pool.insert(Arc::clone(confinement), kind);
        }
        let Some(kind) = pool.get_mut(confinement) else { return };
        kind.runs = kind.runs.saturating_add(1);
        while kind.channels.len() < kind.runs.min(SPARES) {
            // Ready sandboxes are a convenience: without them the next run takes a little longer.
            let Ok(channel) = self.arm(confinement) else { return };
            kind.channels.insert(0, (channel, Instant::now()));
        }
    }

    fn arm(&self, confinement: &Confinement) -> Result<Channel> {
        let (ours, theirs) = Channel::pair().map_err(no_descriptors)?;
        self.tell(&ToDaemon::Arm(Box::new(confinement.clone())), Some(&theirs))?;
        Ok(ours)
    }

    fn tell(&self, message: &ToDaemon, channel: Option<&Channel>) -> Result<()> {
        let message = encode(message).map_err(SessionError::Protocol)?;
        let fds: Vec<_> = channel.into_iter().map(AsFd::as_fd).collect();
        self.channel.send(&message, &fds, true).map_err(|errno| match errno {
            Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN => {
                Error::Session(SessionError::GuardDied)
            }
            Errno::EMFILE | Errno::ENFILE => no_descriptors(errno),
            errno => Error::Session(SessionError::Io { call: "sendmsg", source: errno.into() }),
        })
    }

    fn is_alive(&self) -> bool {
        let mut one = [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)];
        // The daemon never speaks after its greeting, so anything here is its end.
        poll(&mut one, PollTimeout::ZERO) == Ok(0)
    }

    /// Removes what a killed daemon could not.
    fn clean_up(&self) {
        // Its guards are ending, and empty their workspaces themselves.
        remove_base(Path::new(OsStr::from_bytes(&self.hello.base)));
    }
}

fn make_room(pool: &mut HashMap<Arc<Confinement>, Ready>) {
    let with_spares = pool.values().filter(|kind| !kind.channels.is_empty()).count();
    let oldest = |pool: &HashMap<Arc<Confinement>, Ready>, spares: bool| {
        pool.iter()
            .filter(|(_, kind)| !spares || !kind.channels.is_empty())
            .min_by_key(|(_, kind)| kind.used)
            .map(|(confinement, _)| Arc::clone(confinement))
    };
    if with_spares >= KINDS
        && let Some(key) = oldest(pool, true)
        && let Some(kind) = pool.get_mut(&key)
    {
        kind.channels.clear();
    }
    if pool.len() >= REMEMBERED
        && let Some(key) = oldest(pool, false)
    {
        pool.remove(&key);
    }
}

fn read_greeting(channel: &Channel) -> Option<Greeting> {
    let end = Instant::now() + GREETING_TIMEOUT;
    loop {
        let mut one = [PollFd::new(channel.as_fd(), PollFlags::POLLIN)];
        let left = end.saturating_duration_since(Instant::now());
        match poll(&mut one, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return None,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
        let mut inbox = Inbox::default();
        match channel.receive(&mut inbox) {
            Ok(Received::Message) => return decode(inbox.message()).ok(),
            Ok(Received::Nothing) => {}
            Ok(Received::Closed) | Err(_) => return None,
        }
    }
}

/// For `EMFILE` and `ENFILE`.
pub(crate) fn no_descriptors(errno: Errno) -> Error {
    Error::Unavailable(Unavailable::Resources {
        what: "no file descriptor is left",
        hint: "close files or raise the limit on open files, ulimit -n",
        source: errno.into(),
    })
}

fn c_path(path: &Path) -> std::result::Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
