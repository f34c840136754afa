//! The audit log: a line of JSON for each decision.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::json::Json;
use crate::wire::Decided;

/// Appends one line, whole.
pub(super) fn write(file: BorrowedFd<'_>, decided: &Decided) -> Result<(), Errno> {
    let line = format!("{}\n", line(decided));
    let mut left = line.as_bytes();
    while !left.is_empty() {
        match nix::unistd::write(file, left) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                let mut one = [PollFd::new(file, PollFlags::POLLOUT)];
                let _ = poll(&mut one, PollTimeout::NONE);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn line(decided: &Decided) -> Json {
    let micros = i128::try_from(decided.latency.as_micros()).unwrap_or(i128::MAX);
    Json::Object(vec![
        ("time", Json::text(rfc3339(decided.time))),
        ("pid", Json::number(decided.pid)),
        ("syscall", Json::text(&decided.syscall)),
        ("operation", Json::text(decided.context.operation())),
        // Bytes that are no text are escaped, as in every message.
        ("target", Json::text(decided.context.target())),
        ("decision", Json::text(&decided.decision)),
        ("asked", Json::Bool(decided.asked)),
        ("rule", Json::maybe(decided.rule.as_ref(), Json::text)),
        ("reason", Json::maybe(decided.reason.as_ref(), Json::text)),
        ("latency_us", Json::Number(micros)),
    ])
}

/// A time since 1970 as RFC 3339 writes it, in UTC.
fn rfc3339(time: Duration) -> String {
    let (days, rest) = (time.as_secs() / 86_400, time.as_secs() % 86_400);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    let (year, month, day) = date(days);
    let micros = time.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Days since 1970 as a date. In years that begin with March, a leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::SyscallContext;

    #[test]
    fn times_are_written_as_rfc_3339_wants_them() {
        let at = |seconds, micros: u32| rfc3339(Duration::new(seconds, micros * 1_000));
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(951_782_400, 5), "2000-02-29T00:00:00.000005Z");
        assert_eq!(at(1_795_478_399, 999_999), "2026-11-23T23:59:59.999999Z");
        assert_eq!(at(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
    }

    #[test]
    fn a_line_holds_whatever_the_names_are() {
        use std::os::unix::ffi::OsStringExt;
        let name = std::ffi::OsString::from_vec(b"/a\"\n\x1b\xff".to_vec());
        let decided = Decided {
            time: Duration::ZERO,
            pid: 7,
            syscall: "unlink".into(),
            context: SyscallContext::Delete { path: name.into() },
            decision: "deny".into(),
            asked: true,
            rule: None,
            reason: Some("no \"way\"\n".into()),
            latency: Duration::from_micros(12),
        };
        assert_eq!(
            line(&decided).to_string(),
            r#"{"time":"1970-01-01T00:00:00.000000Z","pid":7,"syscall":"unlink","operation":"delete","target":"\"/a\\\"\\n\\x1b\\xff\"","decision":"deny","asked":true,"rule":null,"reason":"no \"way\"\n","latency_us":12}"#
        );
    }
}
