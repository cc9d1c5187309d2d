//! Ports that a process keeps over its restarts.

use std::net::{Ipv4Addr, TcpListener};

use rand::RngExt as _;

/// A free port that is not in `taken`. Below the range that the kernel takes ports of outgoing connections from, so nobody
/// gets it by chance while its process is down.
pub(super) fn free(taken: &[u16]) -> std::io::Result<u16> {
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for _ in 0..100 {
        let port = rand::rng().random_range(12_000..32_000);
        if taken.contains(&port) {
            continue;
        }
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}
