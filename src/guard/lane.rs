//! A few threads for calls that may block: the guard itself never does.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};
use nix::errno::Errno;

const MAX_LANES: usize = 4;
const STACK: usize = 128 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that are started when there is something to do. They inherit the guard's Landlock
/// domain. The queue is bounded by the sandbox's tasks: each waits in one call at most.
#[derive(Debug)]
pub(crate) struct Lanes {
    queue: Sender<Job>,
    jobs: Receiver<Job>,
    busy: std::sync::Arc<AtomicUsize>,
    threads: AtomicUsize,
}

impl Lanes {
    pub(crate) fn new() -> Self {
        let (queue, jobs) = unbounded();
        let busy = std::sync::Arc::new(AtomicUsize::new(0));
        Self { queue, jobs, busy, threads: AtomicUsize::new(0) }
    }

    /// Runs a job on a lane. It answers its call itself.
    pub(crate) fn run(&self, job: Job) -> Result<(), Errno> {
        let threads = self.threads.load(Ordering::Relaxed);
        if threads < MAX_LANES && self.busy.load(Ordering::Acquire) >= threads {
            match self.start() {
                Ok(()) => {}
                // With no lane at all the call would never be answered.
                Err(errno) if threads == 0 => return Err(errno),
                Err(_) => {}
            }
        }
        self.busy.fetch_add(1, Ordering::AcqRel);
        self.queue.send(job).map_err(|_| Errno::EIO)
    }

    fn start(&self) -> Result<(), Errno> {
        let (jobs, busy) = (self.jobs.clone(), std::sync::Arc::clone(&self.busy));
        std::thread::Builder::new()
            .name("lane".into())
            .stack_size(STACK)
            .spawn(move || {
                for job in jobs {
                    job();
                    busy.fetch_sub(1, Ordering::AcqRel);
                }
            })
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EAGAIN)))?;
        self.threads.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
