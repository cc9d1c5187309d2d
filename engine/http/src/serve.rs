//! Listening, and stopping in order: requests that have begun are answered, nothing new is begun.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use daybook_process::Shutdown;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket};

use crate::front::{Chain, Connection, Front};
use crate::wire::Wire;
use crate::{Cors, Gate};

/// Longest that requests in flight may take to end once a stop was asked for.
const GRACE: Duration = Duration::from_secs(35);

/// Connections that may wait to be taken; the system holds it to a limit of its own (Linux: `net.core.somaxconn`, 4,096). Tokio's 128 are full when a
/// burst begins: each further client then hears nothing, and asks again a second later (measured: p99 of 512 clients that begin at once 1,045 ms).
const WAITING: u32 = 4_096;

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A process that is started again takes the address of the one before.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// An address that is bound and not served yet, with the gate that all its requests pass.
pub struct Surface {
    listener: TcpListener,
    address: SocketAddr,
    gate: Gate,
    cors: Option<Cors>,
}

impl Surface {
    /// Binds an address; port 0 takes any that is free.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr, gate: Gate) -> std::io::Result<Self> {
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, gate, cors: None })
    }

    /// The listening address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For web pages of these origins too.
    pub fn with_cors(self, cors: Option<Cors>) -> Self {
        Self { cors, ..self }
    }

    /// Serves until the shutdown, then ends the requests that have begun.
    pub async fn serve(self, router: Router, shutdown: Shutdown) {
        self.serve_chain(None, router, shutdown).await;
    }

    /// [Serves](Self::serve) routes that are asked only for requests that the front leaves to them.
    pub async fn serve_behind(self, front: Front, router: Router, shutdown: Shutdown) {
        self.serve_chain(Some(front), router, shutdown).await;
    }

    async fn serve_chain(self, front: Option<Front>, router: Router, shutdown: Shutdown) {
        let Self { mut listener, gate, cors, .. } = self;
        let chain = Arc::new(Chain { gate, front, router, cors });
        let graceful = GracefulShutdown::new();
        let mut server = auto::Builder::new(TokioExecutor::new());
        // A client that sends nothing more may still wait for its answer.
        server.http1().half_close(true);
        let mut stop = std::pin::pin!(shutdown.requested());
        loop {
            let (stream, peer) = tokio::select! {
                accepted = axum::serve::Listener::accept(&mut listener) => accepted,
                () = &mut stop => break,
            };
            // Answers are small and waited for: Nagle's algorithm would hold them back.
            let _ = stream.set_nodelay(true);
            let wire = Wire::new(stream);
            let service = Connection { chain: chain.clone(), peer, client: wire.client() };
            let connection = server.serve_connection(TokioIo::new(wire), service);
            let connection = graceful.watch(connection.into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::trace!(%error, "a connection ended early");
                }
            });
        }
        drop(listener);
        if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests were still open after the time given to them");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use axum::Extension;
    use axum::body::Bytes;
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse as _;
    use axum::routing::get;
    use daybook_proto::v1::{Caller, Who};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::Problem;

    /// Nobody takes them, so that none gets its place from another.
    #[tokio::test]
    async fn a_burst_of_clients_is_connected_before_the_first_of_them_is_taken() {
        let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn").ok().and_then(|text| text.trim().parse::<usize>().ok());
        let Some(most) = most.filter(|most| *most >= 1_024) else {
            eprintln!("NOT RUN: the system lets {most:?} connections wait");
            return;
        };
        let surface = Surface::bind(([127, 0, 0, 1], 0).into(), Gate::new(|_| Err(Problem::new(StatusCode::UNAUTHORIZED, "nobody"))));
        let surface = surface.await.expect("a free port");
        let burst = most.min(600);
        let connecting: Vec<_> = (0..burst).map(|_| tokio::spawn(TcpStream::connect(surface.address()))).collect();
        let mut connected = Vec::new();
        for client in connecting {
            let client = tokio::time::timeout(std::time::Duration::from_secs(20), client).await.expect("there is room for it");
            connected.push(client.expect("it does not panic").expect("it is connected"));
        }
        assert_eq!(connected.len(), burst);
    }

    const ORIGIN: &str = "Origin: https://shop.example\r\nAccess-Control-Request-Method: POST\r\n";

    /// Counts of requests that have come as far as each part of a surface.
    #[derive(Default)]
    struct Reached {
        gate: AtomicUsize,
        front: AtomicUsize,
        routes: AtomicUsize,
    }

    /// A surface on a port of its own, until the sender beside it is dropped: `/held` is answered at once, `/routed` by a route.
    async fn surface(
        reached: &Arc<Reached>,
        pass: impl Fn(&str) -> Result<Caller, Problem> + Send + Sync + 'static,
    ) -> (SocketAddr, tokio::sync::watch::Sender<bool>) {
        let (counted, front_counted, routes_counted) = (reached.clone(), reached.clone(), reached.clone());
        let gate = Gate::new(move |head| {
            counted.gate.fetch_add(1, SeqCst);
            let name = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            pass(name).map(Arc::new)
        });
        let surface = Surface::bind(([127, 0, 0, 1], 0).into(), gate).await.expect("a free port");
        let surface = surface.with_cors(Cors::of(["https://shop.example"]).expect("an origin"));
        let front: Front = Arc::new(move |head, caller| {
            front_counted.front.fetch_add(1, SeqCst);
            (head.uri.path() == "/held").then(|| format!("held for {}", caller.name()).into_response())
        });
        let routed = async |Extension(caller): Extension<Arc<Caller>>, _body: Bytes| format!("routed for {}", caller.name());
        let routes = Router::new().route("/routed", get(routed).post(routed)).layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                routes_counted.routes.fetch_add(1, SeqCst);
                next.run(request)
            },
        ));
        let address = surface.address();
        let (stop, shutdown) = daybook_process::shutdown();
        tokio::spawn(surface.serve_behind(front, routes, shutdown));
        (address, stop)
    }

    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    fn request(method: &str, path: &str, headers: &str) -> String {
        format!("{method} {path} HTTP/1.1\r\nHost: daybook\r\nConnection: close\r\nContent-Length: 2\r\n{headers}\r\n{{}}")
    }

    #[tokio::test]
    async fn nothing_is_answered_before_the_gate_but_preflights_of_the_origins_that_are_set() {
        let reached = Arc::<Reached>::default();
        let nobody = |_: &str| Err(Problem::new(StatusCode::UNAUTHORIZED, "nobody is let in"));
        let (address, _stop) = surface(&reached, nobody).await;
        let mut requests = Vec::new();
        for path in ["/held", "/routed", "/nothing", "/", "*", "/%FF"] {
            for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "QUERY", "BREW", "get", "OPTIONS"] {
                requests.push(request(method, path, ""));
            }
            // Half a preflight, and one of another origin's page, are requests like others.
            requests.push(request("OPTIONS", path, "Origin: https://shop.example\r\n"));
            requests.push(request("OPTIONS", path, &ORIGIN.replace("shop", "other")));
            requests.push(request("GET", path, ORIGIN));
        }
        requests.push(request("CONNECT", "daybook:80", ""));
        requests.push("GET /held HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned());
        requests.push(request("GET", "/held", "Host: another\r\n"));
        requests.push(request("OPTIONS", "/held", &format!("{ORIGIN}Host: another\r\n")));
        requests.push("GET /held HTTP/1.0\r\n\r\n".to_owned());
        for request in &requests {
            let answer = ask(address, request).await;
            assert!(answer.split(' ').nth(1) == Some("401") && answer.contains("application/problem+json"), "{request}\n{answer}");
        }
        let counts = || [&reached.gate, &reached.front, &reached.routes].map(|n| n.load(SeqCst));
        assert_eq!(counts(), [requests.len(), 0, 0], "gate, front, routes");
        // A page may read why it was refused.
        assert!(ask(address, &request("GET", "/held", ORIGIN)).await.contains("access-control-allow-origin: https://shop.example"));
        // The same to every path, there or not.
        for path in ["/held", "/routed", "/nothing"] {
            let answer = ask(address, &request("OPTIONS", path, ORIGIN)).await;
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        }
        assert_eq!(counts(), [requests.len() + 1, 0, 0], "a preflight has no caller");
    }

    #[tokio::test]
    async fn what_the_gate_lets_in_is_answered_for_its_caller() {
        let reached = Arc::<Reached>::default();
        let known = |name: &str| match name {
            "" => Ok(Caller::anonymous()),
            name => Ok(Caller { kind: Who::Customer.into(), id: name.to_owned(), ..Caller::default() }),
        };
        let (address, _stop) = surface(&reached, known).await;
        for (headers, caller) in [("", Caller::anonymous().name()), ("Authorization: c-1\r\n", "CUSTOMER c-1".to_owned())] {
            for (path, by) in [("/held", "held"), ("/routed", "routed")] {
                let answer = ask(address, &request("GET", path, headers)).await;
                assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(&format!("{by} for {caller}")), "{answer}");
            }
        }
        assert!(ask(address, &request("BREW", "/held", "")).await.starts_with("HTTP/1.1 501"));
        assert_eq!([&reached.front, &reached.routes].map(|n| n.load(SeqCst)), [4, 2], "what memory holds goes by no route");
    }
}
