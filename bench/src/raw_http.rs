//! HTTP alone: the same server and the same load generator, and between them nothing. The server is a process
//! of its own, as Daybook is.

use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context as _;
use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::routing::{get, post};
use bytes::Bytes;

use crate::running::Server;

/// The server's answer: about the same as a command's.
const ANSWER: &str = r#"{"commandId":"00000000-0000-0000-0000-000000000000","events":[{"offset":123456,"type":"shop.inventory.v1.StockReceived"}],"service":"inventory","stream":"stock/0000-1234@w-1","token":"inventory/0:123456@1","version":12}"#;

/// Starts the server. It answers every GET with these bytes, from memory: header lines, an empty line, and the body; and every command
/// with the same answer.
///
/// # Errors
/// When this program can't be started once more.
pub(crate) fn start(body: &[u8]) -> anyhow::Result<Server> {
    let mut again = Command::new(std::env::current_exe().context("this program does not know where it is")?);
    again.arg("static");
    Server::start(again, &[&(body.len() as u64).to_le_bytes()[..], body].concat())
}

/// An answer, taken apart.
fn headers_and_body(answer: &[u8]) -> (HeaderMap, Bytes) {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
    let lines = String::from_utf8_lossy(&answer[..end]).into_owned();
    let pairs = lines.lines().filter_map(|line| line.split_once(':'));
    let headers =
        pairs.filter_map(|(name, value)| Some((name.trim().parse::<HeaderName>().ok()?, value.trim().parse::<HeaderValue>().ok()?)));
    (headers.collect(), Bytes::copy_from_slice(&answer[end..]))
}

/// The server: reads its answer, prints its address, and serves until its standard input ends.
///
/// # Errors
/// When it can't listen.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let mut length = [0; 8];
    std::io::stdin().read_exact(&mut length)?;
    let mut body = vec![0; usize::try_from(u64::from_le_bytes(length))?];
    std::io::stdin().read_exact(&mut body)?;
    let (headers, body) = headers_and_body(&body);
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let answer = |_: Bytes| async { ([(header::CONTENT_TYPE, "application/json")], ANSWER) };
    let page = move || {
        let (headers, body) = (headers.clone(), body.clone());
        async move { (headers, body) }
    };
    let router = Router::new().route("/v1/{service}/{command}", post(answer).merge(get(page)));
    // axum's own server: nothing of ours is in it.
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, router).await?)
}
