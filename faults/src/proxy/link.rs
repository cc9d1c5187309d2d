//! One process's way to Postgres: what is done to it, and how often that really happened.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connection;

/// The behaviour of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    #[default]
    Pass,
    /// Bytes vanish in these directions, and the sockets stay open: a host that is gone without a word. A connection that has
    /// lost bytes never carries any again: `cut_lost` ends it, as the host's kernel does when it is back.
    Vanish {
        /// Bytes from Daybook.
        to_server: bool,
        /// Bytes from Postgres.
        to_client: bool,
    },
    /// New connections are reset; open ones go on.
    Refuse,
    /// Each chunk waits so long, in both directions.
    Delay(Duration),
}

/// The number of times that things really happened on a link since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// Connections that were reset while they were open.
    pub cut: u64,
    /// Connections that lost bytes.
    pub vanished: u64,
    /// New connections that were reset.
    pub refused: u64,
    /// Chunks that waited.
    pub delayed: u64,
    /// Pages that Postgres acknowledged, and whose acknowledgement never arrived.
    pub swallowed: u64,
}

/// One process's way to Postgres. Its connections end when it goes.
#[derive(Debug)]
pub struct Link {
    name: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// The part that a link's connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) server: Arc<Mutex<SocketAddr>>,
    mode: Mutex<Mode>,
    /// Moves when connections are to end.
    pub(super) cuts: watch::Sender<Cut>,
    pub(super) open: AtomicU64,
    pub(super) counters: Counters,
    armed: AtomicU64,
}

/// Which connections are to end, as numbers that grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) all: u64,
    pub(super) lost: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) cut: AtomicU64,
    pub(super) vanished: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) delayed: AtomicU64,
    pub(super) swallowed: AtomicU64,
}

impl Shared {
    pub(super) fn mode(&self) -> Mode {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of the swallowings that were asked for.
    pub(super) fn take_swallow(&self) -> bool {
        self.armed.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok()
    }
}

impl Link {
    pub(super) async fn listen(name: &str, server: Arc<Mutex<SocketAddr>>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            mode: Mutex::default(),
            cuts: watch::Sender::default(),
            open: AtomicU64::default(),
            counters: Counters::default(),
            armed: AtomicU64::default(),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { name: name.to_owned(), address, shared, accepting })
    }

    /// Its owner.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of open connections.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Relaxed)
    }

    /// Things that have happened here, counted.
    pub fn fired(&self) -> Fired {
        let counters = &self.shared.counters;
        Fired {
            cut: counters.cut.load(Relaxed),
            vanished: counters.vanished.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            delayed: counters.delayed.load(Relaxed),
            swallowed: counters.swallowed.load(Relaxed),
        }
    }

    /// From now on, for open connections too.
    pub fn set_mode(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }

    /// Resets every open connection.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cut| cut.all += 1);
    }

    /// Resets the connections that have lost bytes: what comes after a gap would be misread.
    pub fn cut_lost(&self) {
        self.shared.cuts.send_modify(|cut| cut.lost += 1);
    }

    /// The answers to the next `pages` pages that this process appends never arrive: they are committed, and the connection
    /// is reset. 0: no more.
    pub fn swallow(&self, pages: u64) {
        self.shared.armed.store(pages, Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) if shared.mode() == Mode::Refuse => {
                shared.counters.refused.fetch_add(1, Relaxed);
                connection::reset(client);
            }
            Ok((client, _)) => {
                // Before the first await: a cut that comes now is seen.
                let cuts = shared.cuts.subscribe();
                tokio::spawn(connection::carry(client, shared.clone(), cuts));
            }
            // Out of descriptors, for example: later there may be some.
            Err(error) => {
                tracing::warn!(%error, "the proxy can't accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
