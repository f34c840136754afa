//! The daemon: one private process per host process, which forks a guard for each sandbox, meters
//! the guards' trees, cleans up after guards that died, and ends with its host. It has one thread,
//! no capability and no secret; it performs nothing for a target and takes no path from one.

mod base;
mod meter;
mod orphans;
mod probe;
mod server;

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::Mode;

use crate::error::Machine;
use crate::sys::channel::Channel;
use crate::sys::child::{FIRST_OWN_FD, STDIO_SLOTS};
use crate::sys::process::{Side, become_subreaper, exit_now, fork_single_threaded, set_name};
use crate::sys::{caps, fd, socket};
use crate::wire::{Greeting, encode};

/// The argument that starts a daemon; descriptor 3 is then its channel.
pub(crate) const SERVE: &CStr = c"--serve";

pub(crate) use base::remove_own as remove_base;

/// What both ends must agree on.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the daemon in this process, for ever.
pub(crate) fn main() -> ! {
    let Ok(channel) = take_channel() else {
        eprintln!("evalbox-daemon is started by evalbox itself; see https://docs.rs/evalbox");
        exit_now(2)
    };
    // The host reaps this process at once; the daemon is nobody's child, so that it never shows up
    // in the host's own waits.
    match fork_single_threaded() {
        Ok(Side::Child) => {}
        Ok(Side::Parent(_)) => exit_now(0),
        Err(errno) => {
            greet_failure(&channel, Machine::Start { what: "fork".into(), errno: errno as i32 })
        }
    }
    let server = match start(&channel) {
        Ok(server) => server,
        Err(machine) => greet_failure(&channel, machine),
    };
    let code = server.run(channel);
    exit_now(code)
}

/// Descriptor 3, moved out of the way of what becomes the targets' streams.
fn take_channel() -> Result<Channel, Errno> {
    let given = fd::inherited(STDIO_SLOTS[0])?;
    socket::peer_pid(given.as_fd())?;
    let channel = fd::dup_above(given.as_fd(), FIRST_OWN_FD)?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    let null = fd::dup_above(null.as_fd(), FIRST_OWN_FD)?;
    drop(given);
    for number in STDIO_SLOTS {
        fd::place(&null, number)?;
    }
    Ok(Channel::from_fd(channel))
}

fn start(channel: &Channel) -> Result<server::Server, Machine> {
    let failed = |what: &'static str| {
        move |errno: Errno| Machine::Start { what: what.into(), errno: errno as i32 }
    };
    // Whatever TMPDIR the host has is where its temporary files go.
    let temp = base::temp_dir();
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(failed("/dev/null"))?;
    for number in 0..3 {
        fd::place(&null, number).map_err(failed("dup3"))?;
    }
    drop(null);
    use std::os::fd::AsRawFd;
    fd::close_all_but(FIRST_OWN_FD, &mut [channel.as_fd().as_raw_fd()])
        .map_err(failed("close_range"))?;
    nix::unistd::setsid().map_err(failed("setsid"))?;
    nix::unistd::chdir("/").map_err(failed("chdir"))?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)
        .map_err(failed("sigprocmask"))?;
    caps::drop_all().map_err(|errno| Machine::Capabilities { errno: errno as i32 })?;
    become_subreaper().map_err(failed("PR_SET_CHILD_SUBREAPER"))?;
    set_name(c"evalbox-daemon");
    raise_descriptor_limit();
    // Not 0: a crash handler behind a pipe in core_pattern is run at 0, and not at 1.
    let _ = setrlimit(Resource::RLIMIT_CORE, 1, 1);
    let kernel = probe::kernel(channel.as_fd())?;
    let host = socket::peer_pid(channel.as_fd()).map_err(failed("SO_PEERCRED"))?;
    let host_pidfd: OwnedFd = crate::sys::pidfd::open(host).map_err(failed("pidfd_open"))?;
    let base = base::Base::create(&temp)?;
    let server = server::Server::new(kernel, host_pidfd, base).map_err(failed("epoll"))?;
    let hello = server.hello();
    send_greeting(channel, Ok(hello));
    Ok(server)
}

/// The daemon holds a channel per guard; the targets' own limit is set apart.
fn raise_descriptor_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn send_greeting(channel: &Channel, hello: Result<crate::wire::Hello, Machine>) {
    let greeting = Greeting { version: VERSION.to_owned(), hello };
    if let Ok(message) = encode(&greeting) {
        // A host that is gone is noticed in the loop.
        let _ = channel.send(&message, &[], true);
    }
}

fn greet_failure(channel: &Channel, machine: Machine) -> ! {
    send_greeting(channel, Err(machine));
    exit_now(1)
}
