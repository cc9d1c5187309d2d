//! The net between Daybook and Postgres, which can be broken: a small TCP proxy with a port of its own for each process.

mod connection;
mod link;
mod postgres;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

pub use link::{Fired, Link, Mode};

/// All links to one Postgres.
#[derive(Debug)]
pub struct Proxy {
    server: Arc<Mutex<SocketAddr>>,
    links: Mutex<BTreeMap<String, Arc<Link>>>,
}

impl Proxy {
    /// A proxy without links.
    pub fn new(server: SocketAddr) -> Self {
        Self { server: Arc::new(Mutex::new(server)), links: Mutex::default() }
    }

    /// Where new connections go from now on.
    pub fn set_server(&self, server: SocketAddr) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// The link of this name, which is made when it is not there; it passes everything.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn link(&self, name: &str) -> std::io::Result<Arc<Link>> {
        if let Some(link) = self.links.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(link.clone());
        }
        let link = Arc::new(Link::listen(name, self.server.clone()).await?);
        self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), link.clone());
        Ok(link)
    }

    /// Forgets a link; its connections end when the last who holds it lets it go.
    pub fn remove(&self, name: &str) {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Every link, by name.
    pub fn links(&self) -> Vec<Arc<Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
