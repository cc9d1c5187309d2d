//! One connection through the proxy.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{Notify, watch};

use super::link::{Cut, Mode, Shared};
use super::postgres::{Acknowledgement, Appends};

/// The longest that Postgres may take to accept.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest that a swallowed page may take to be acknowledged.
const COMMIT: Duration = Duration::from_secs(5);
const CHUNK: usize = 16 * 1024;

#[derive(Default)]
struct State {
    /// Bytes have vanished: no more may follow them.
    lost: [AtomicBool; 2],
    /// Answers of Postgres are kept back from now on.
    swallowing: AtomicBool,
    begun: Notify,
    acknowledged: Notify,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Ends a connection with a reset instead of a farewell.
pub(super) fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Carries one connection until it ends or is cut.
pub(super) async fn carry(mut client: TcpStream, shared: Arc<Shared>, mut cuts: watch::Receiver<Cut>) {
    let address = *shared.server.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(Ok(mut server)) = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await else {
        return reset(client);
    };
    let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
    shared.open.fetch_add(1, Relaxed);
    let ended = between(&mut client, &mut server, &shared, &mut cuts).await;
    shared.open.fetch_sub(1, Relaxed);
    if ended.is_err() {
        reset(client);
        reset(server);
    }
}

/// Ok when both sides have said goodbye, an error when the connection is to be reset.
async fn between(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared, cuts: &mut watch::Receiver<Cut>) -> io::Result<()> {
    let state = State::default();
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let passing = async {
        let up = pump(Way::ToServer, from_client, to_server, shared, &state);
        let down = pump(Way::ToClient, from_server, to_client, shared, &state);
        tokio::try_join!(up, down).map(|_| ())
    };
    tokio::select! {
        ended = passing => ended,
        () = cut(&state, cuts) => {
            shared.counters.cut.fetch_add(1, Relaxed);
            Err(io::ErrorKind::ConnectionReset.into())
        }
        () = swallowed(&state) => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// Until this connection is to be cut.
async fn cut(state: &State, cuts: &mut watch::Receiver<Cut>) {
    let begun = *cuts.borrow();
    let meant = |now: &Cut| now.all != begun.all || (now.lost != begun.lost && state.lost.iter().any(|lost| lost.load(Relaxed)));
    if cuts.wait_for(meant).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Until a page has been swallowed.
async fn swallowed(state: &State) {
    state.begun.notified().await;
    let _ = tokio::time::timeout(COMMIT, state.acknowledged.notified()).await;
}

async fn pump(way: Way, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, shared: &Shared, state: &State) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let (mut appends, mut acknowledgement) = (Appends::default(), Acknowledgement::default());
    loop {
        let read = from.read(&mut chunk).await?;
        let bytes = &chunk[..read];
        if vanishes(way, shared, state) {
            if read == 0 {
                // Nobody hears of its end either.
                std::future::pending::<()>().await;
            }
            continue;
        }
        if read == 0 {
            return to.shutdown().await;
        }
        if let Mode::Delay(pause) = shared.mode() {
            shared.counters.delayed.fetch_add(1, Relaxed);
            tokio::time::sleep(pause).await;
        }
        // Watched even when nothing is armed: a statement is prepared long before it is used.
        if way == Way::ToServer && appends.seen_in(bytes) && shared.take_swallow() {
            state.swallowing.store(true, Relaxed);
            state.begun.notify_one();
        }
        if way == Way::ToClient && state.swallowing.load(Relaxed) {
            if acknowledgement.seen_in(bytes) {
                shared.counters.swallowed.fetch_add(1, Relaxed);
                state.acknowledged.notify_one();
            }
            continue;
        }
        to.write_all(bytes).await?;
    }
}

/// Whether what was just read is to vanish, because of the link's mode or because bytes before it have.
fn vanishes(way: Way, shared: &Shared, state: &State) -> bool {
    let lost = &state.lost[way as usize];
    let now = match (shared.mode(), way) {
        (Mode::Vanish { to_server, .. }, Way::ToServer) => to_server,
        (Mode::Vanish { to_client, .. }, Way::ToClient) => to_client,
        _ => false,
    };
    if now && !lost.swap(true, Relaxed) && !state.lost[1 - way as usize].load(Relaxed) {
        shared.counters.vanished.fetch_add(1, Relaxed);
    }
    lost.load(Relaxed)
}
