//! What a tree has in the buffers of its unix sockets and pipes, which is nobody's by any size that
//! a process shows. First a census of what is queued on the whole machine, for all runs together;
//! only if that could exceed a limit, a look at the tree's descriptors.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::tree::{in_flight, tables};
use crate::sys::diag::{UnixSocket, UnixSockets};

/// Between two censuses.
const INTERVAL: Duration = Duration::from_millis(40);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// A census may take this part of the time.
const SHARE: u32 = 20;
/// What a socket's queue holds at most: the default of `net.core.wmem_default`, which programs
/// can't change, and one message on top.
const QUEUE: u64 = 256 << 10;
/// A pipe of a user who has many is two pages.
pub(super) const PIPE: u64 = 8 << 10;

/// What is queued in unix sockets, whoever they belong to.
#[derive(Debug, Default)]
pub(super) struct Queued {
    /// By inode. Sockets with nothing in them are left out.
    sockets: HashMap<u64, UnixSocket>,
    pub(super) total: u64,
}

impl Queued {
    fn add(&mut self, socket: UnixSocket) {
        let bytes = held(&socket);
        if bytes > 0 || socket.to_read > 0 {
            self.sockets.insert(socket.inode, socket);
        }
        self.total = self.total.saturating_add(bytes);
    }
}

/// Memory is charged to who sent it. Once that one is gone, only the bytes are known, and a single
/// byte may take a kilobyte. Of what is sent to connections that nobody has accepted, not even that.
fn held(socket: &UnixSocket) -> u64 {
    if socket.listens {
        return socket.to_read.saturating_mul(QUEUE);
    }
    let left = if socket.peer == 0 { socket.to_read.saturating_mul(1_024).min(QUEUE) } else { 0 };
    socket.sent.saturating_add(left)
}

/// Counts what is queued, again and again.
#[derive(Debug)]
pub(super) struct Census {
    asked: Option<UnixSockets>,
    under_way: Queued,
    spent: Duration,
    pub(super) latest: Rc<Queued>,
    /// Which census that is.
    pub(super) serial: u64,
    due: Instant,
}

impl Census {
    pub(super) fn new() -> Self {
        Self {
            asked: None,
            under_way: Queued::default(),
            spent: Duration::ZERO,
            latest: Rc::default(),
            serial: 0,
            due: Instant::now(),
        }
    }

    /// Goes on until then.
    pub(super) fn advance(&mut self, until: Instant) {
        let begun = Instant::now();
        if self.asked.is_none() {
            if begun < self.due {
                return;
            }
            self.under_way = Queued::default();
            self.spent = Duration::ZERO;
            self.asked = UnixSockets::ask().ok();
        }
        let ended = loop {
            match self.asked.as_mut().map(UnixSockets::next) {
                Some(Ok(Some(piece))) => piece.into_iter().for_each(|s| self.under_way.add(s)),
                Some(Ok(None)) => break true,
                // Nothing is known then.
                None | Some(Err(_)) => {
                    self.under_way = Queued::default();
                    break true;
                }
            }
            if Instant::now() >= until {
                break false;
            }
        };
        self.spent = self.spent.saturating_add(begun.elapsed());
        if ended {
            self.asked = None;
            self.latest = Rc::new(std::mem::take(&mut self.under_way));
            self.serial = self.serial.wrapping_add(1);
            let pause = self.spent.saturating_mul(SHARE).clamp(INTERVAL, LONGEST_PAUSE);
            self.due = Instant::now() + pause;
        }
    }
}

/// A look at a tree's descriptors, under way.
#[derive(Debug)]
pub(super) struct Buffers {
    processes: Vec<i32>,
    queued: Rc<Queued>,
    seen: HashSet<u64>,
    /// Bytes of what the tree holds.
    bytes: u64,
    /// Of that, in sockets.
    in_sockets: u64,
    /// Something of the tree may hold more sockets than its descriptors say.
    more: bool,
}

impl Buffers {
    pub(super) fn begin(processes: Vec<i32>, queued: Rc<Queued>) -> Self {
        Self { processes, queued, seen: HashSet::new(), bytes: 0, in_sockets: 0, more: false }
    }

    /// Does a process. Returns whether that was the last one.
    pub(super) fn step(&mut self) -> bool {
        let Some(pid) = self.processes.pop() else { return true };
        for place in tables(pid) {
            match fs::read_dir(format!("{place}/fd")) {
                Ok(fds) => fds.flatten().for_each(|fd| self.add(&place, &fd)),
                Err(_) => self.more = true,
            }
        }
        false
    }

    fn add(&mut self, place: &str, fd: &fs::DirEntry) {
        let Ok(link) = fs::read_link(fd.path()) else { return };
        let Some((kind, inode)) = link.to_str().and_then(nameless) else { return };
        if !self.seen.insert(inode) {
            return;
        }
        if kind == "pipe" {
            self.bytes = self.bytes.saturating_add(PIPE);
        } else if let Some(socket) = self.queued.sockets.get(&inode) {
            self.in_sockets = self.in_sockets.saturating_add(held(socket));
            if socket.to_read > 0 && !socket.listens && !self.more {
                let number = fd.file_name();
                self.more = in_flight(place, number.to_str().unwrap_or_default()) > 0;
            }
        }
    }

    pub(super) fn used(&self) -> u64 {
        // Sockets that are on their way through sockets, or of a program that may not be read,
        // can't be told from strangers'.
        let sockets = if self.more { self.queued.total } else { self.in_sockets };
        self.bytes.saturating_add(sockets)
    }
}

/// `socket:[1234]` and `pipe:[1234]`.
fn nameless(link: &str) -> Option<(&str, u64)> {
    let (kind, inode) = link.split_once(":[")?;
    let inode = inode.strip_suffix(']')?.parse().ok()?;
    matches!(kind, "socket" | "pipe").then_some((kind, inode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn mine() -> u64 {
        let mut census = Census::new();
        census.advance(Instant::now() + Duration::from_secs(5));
        assert_eq!(census.serial, 1);
        let me = nix::unistd::getpid().as_raw();
        let mut buffers = Buffers::begin(vec![me], Rc::clone(&census.latest));
        while !buffers.step() {}
        buffers.in_sockets
    }

    #[test]
    fn what_is_queued_counts_with_its_sender_open_or_closed_and_before_it_is_accepted() {
        let (mut a, b) = UnixStream::pair().unwrap();
        a.write_all(&[1; 100_000]).unwrap();
        assert!(mine() >= 100_000);
        drop(a);
        assert!(mine() >= 100_000);
        drop(b);
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("s")).unwrap();
        let mut client = UnixStream::connect(dir.path().join("s")).unwrap();
        client.write_all(&[1; 100_000]).unwrap();
        drop(client);
        assert!(mine() >= 100_000);
        drop(listener);
    }
}
