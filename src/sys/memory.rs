//! Reading a target's memory (`process_vm_readv(2)`), and what the machine says of its own.

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use std::io::IoSliceMut;

const PAGE: usize = 4096;

/// A task whose memory is read once, into a copy that decisions are made on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory(pub(crate) i32);

impl Memory {
    /// Reads exactly `buffer.len()` bytes, or fails with EFAULT.
    pub(crate) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let read = self.some(address, buffer)?;
        if read == buffer.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Reads a string up to its NUL, which is not returned. `ENAMETOOLONG` beyond `limit` bytes.
    pub(crate) fn string(&self, address: u64, limit: usize) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        let mut at = address;
        // Never across a page border in one go: the next page may not be mapped.
        while text.len() < limit {
            let in_page = PAGE - (at as usize % PAGE);
            let want = in_page.min(limit - text.len());
            let mut part = vec![0; want];
            let read = self.some(at, &mut part)?;
            if read == 0 {
                return Err(Errno::EFAULT);
            }
            if let Some(end) = part[..read].iter().position(|b| *b == 0) {
                text.extend_from_slice(&part[..end]);
                return Ok(text);
            }
            if read < want {
                return Err(Errno::EFAULT);
            }
            text.extend_from_slice(&part);
            at = at.checked_add(read as u64).ok_or(Errno::EFAULT)?;
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// Writes, where the target itself could.
    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let remote = [RemoteIoVec { base, len: bytes.len() }];
        let local = [std::io::IoSlice::new(bytes)];
        process_vm_writev(Pid::from_raw(self.0), &local, &remote).map(drop)
    }

    fn some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
        let remote = [RemoteIoVec { base, len: buffer.len() }];
        process_vm_readv(Pid::from_raw(self.0), &mut [IoSliceMut::new(buffer)], &remote)
    }
}

/// Maps the program's own text ahead of its use, so that a guard made in advance does not fault it
/// in page by page while a launch waits. Only speed: an older kernel (before 5.14) ignores it.
pub(crate) fn map_program() {
    const POPULATE_READ: libc::c_int = 22;
    const PIECE: usize = 256 * 1024;
    let here = map_program as *const () as usize & !(PAGE - 1);
    // A window around this code; parts that aren't mapped are passed over.
    for at in (here.saturating_sub(1 << 20)..here + (1 << 20)).step_by(PIECE) {
        // SAFETY: changes no content; an unmapped range is an error and no harm.
        let _ = unsafe { libc::madvise(at as *mut libc::c_void, PIECE, POPULATE_READ) };
    }
}

/// Shared memory of the whole machine, files in memory included (`sysinfo(2)`).
pub(crate) fn shared_everywhere() -> u64 {
    // SAFETY: all-zero is a valid value.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    // SAFETY: writes one struct.
    match super::check(unsafe { libc::sysinfo(std::ptr::from_mut(&mut info)).into() }) {
        // The types of the fields differ between architectures.
        #[allow(clippy::unnecessary_cast)]
        Ok(_) => (info.sharedram as u64).saturating_mul((info.mem_unit as u64).max(1)),
        Err(_) => 0,
    }
}
