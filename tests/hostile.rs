//! Programs that go about it the long way: each test runs a part of this binary in a sandbox (see
//! [`part`]) and looks at what came of it.
#![cfg(target_os = "linux")]

use std::env;
use std::ffi::c_int;
use std::mem::{size_of, zeroed};

use evalbox::{Executor, Limits, Output, Plan, Status};

/// Not a test of its own: what runs inside.
#[test]
fn part() {
    let code = match env::var("EVALBOX_HOSTILE").as_deref() {
        Ok("bind_unspec") => bind_unspec(),
        Ok("listen_after_connection") => listen_after_connection(),
        _ => return,
    };
    std::process::exit(code);
}

/// This binary as a plan; `part` ends with 0 if it got what it wanted.
fn plan(part: &str) -> Plan {
    let me = env::current_exe().unwrap();
    Plan::new([me.as_os_str(), "part".as_ref(), "--exact".as_ref(), "--nocapture".as_ref()])
        .env("EVALBOX_HOSTILE", part)
        .limits(Limits { memory: Some(256 << 20), ..Limits::default() })
}

fn run(plan: &Plan, landlock: Option<u32>) -> Output {
    match landlock {
        Some(abi) => Executor::with_landlock_abi(abi).unwrap().run(plan).unwrap(),
        None => plan.run().unwrap(),
    }
}

const REFUSED: i32 = 7;

fn port() -> u16 {
    env::var("PORT").unwrap().parse().unwrap()
}

fn address(family: c_int, ip: u32, port: u16) -> libc::sockaddr_in {
    // SAFETY: all-zero is a valid address.
    let mut address: libc::sockaddr_in = unsafe { zeroed() };
    address.sin_family = family as u16;
    address.sin_addr.s_addr = ip.to_be();
    address.sin_port = port.to_be();
    address
}

type SocketCall = unsafe extern "C" fn(c_int, *const libc::sockaddr, libc::socklen_t) -> c_int;

fn with(call: SocketCall, socket: c_int, address: &libc::sockaddr_in) -> bool {
    let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: a live address and its size.
    unsafe { call(socket, std::ptr::from_ref(address).cast(), size) == 0 }
}

fn stream() -> c_int {
    // SAFETY: numbers only.
    unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }
}

fn listens(socket: c_int) -> i32 {
    // SAFETY: numbers only.
    if unsafe { libc::listen(socket, 1) } == 0 { 0 } else { REFUSED }
}

/// `bind` takes AF_UNSPEC for 0.0.0.0.
fn bind_unspec() -> i32 {
    let socket = stream();
    if !with(libc::bind, socket, &address(libc::AF_UNSPEC, 0, port())) {
        return REFUSED;
    }
    listens(socket)
}

#[test]
fn an_address_without_a_family_is_not_every_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let plan = plan("bind_unspec").env("PORT", free.to_string());
    for abi in [None, Some(3)] {
        for (connect, bind) in [(None, Some("127.0.0.1:*")), (Some("127.0.0.1:1"), None)] {
            let mut plan = plan.clone();
            plan = connect.into_iter().fold(plan, Plan::connect);
            plan = bind.into_iter().fold(plan, Plan::bind);
            assert_eq!(run(&plan, abi).status, Status::Exited(REFUSED), "{abi:?} {bind:?}");
        }
    }
}

/// A socket tells the port of its last connection, which is no longer its own.
fn listen_after_connection() -> i32 {
    let socket = stream();
    let _ = with(libc::connect, socket, &address(libc::AF_INET, 0x7f00_0001, port()));
    let _ = with(libc::connect, socket, &address(libc::AF_UNSPEC, 0, 0));
    listens(socket)
}

#[test]
fn a_connection_grant_is_no_grant_to_listen() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let endpoint = format!("127.0.0.1:{port}");
    let plan = plan("listen_after_connection").env("PORT", port.to_string()).connect(endpoint);
    assert_eq!(run(&plan, None).status, Status::Exited(REFUSED));
    drop(server);
    assert_eq!(run(&plan, None).status, Status::Exited(REFUSED));
}
