use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A server that says back what it hears, and before it `INSERT 0 1` where it is asked to.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    if buffer[..read].contains(&b'B') {
                        stream.write_all(b"C\0\0\0\x0fINSERT 0 1\0").await.expect("open");
                    }
                    stream.write_all(&buffer[..read]).await.expect("open");
                }
            });
        }
    });
    address
}

async fn linked() -> (Proxy, Arc<Link>) {
    let proxy = Proxy::new(echo().await);
    let link = proxy.link("one").await.expect("a port");
    (proxy, link)
}

async fn say(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut heard = vec![0; text.len()];
    stream.read_exact(&mut heard).await?;
    Ok(heard)
}

/// Nothing comes, and nothing ends: what a half-open connection is. There is no event to wait for, so a moment must do.
async fn hears_nothing(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(200), stream.read_u8()).await.is_err()
}

async fn connect(link: &Link) -> TcpStream {
    TcpStream::connect(link.address()).await.expect("the proxy listens")
}

#[tokio::test]
async fn it_passes_everything_and_says_goodbye_for_both_sides() {
    let (_proxy, link) = linked().await;
    let mut stream = connect(&link).await;
    assert_eq!(say(&mut stream, b"hello").await.expect("passed"), b"hello");
    assert_eq!(link.open(), 1);
    stream.shutdown().await.expect("open");
    assert_eq!(stream.read(&mut [0; 8]).await.expect("a farewell, no reset"), 0);
    assert_eq!(link.fired(), Fired::default());
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_what_comes_after_passes() {
    let (_proxy, link) = linked().await;
    let mut stream = connect(&link).await;
    say(&mut stream, b"hello").await.expect("passed");
    link.cut();
    let ended = stream.read_u8().await.expect_err("no byte comes");
    assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(link.fired().cut, 1);
    assert_eq!(say(&mut connect(&link).await, b"again").await.expect("passed"), b"again");
}

#[tokio::test]
async fn half_open_loses_bytes_in_one_direction_and_never_mends_what_lost_some() {
    let (_proxy, link) = linked().await;
    let (mut stream, mut idle) = (connect(&link).await, connect(&link).await);
    say(&mut stream, b"hello").await.expect("passed");
    say(&mut idle, b"hello").await.expect("passed");
    link.set_mode(Mode::Vanish { to_server: false, to_client: true });
    stream.write_all(b"lost").await.expect("open");
    assert!(hears_nothing(&mut stream).await);
    link.set_mode(Mode::Pass);
    stream.write_all(b"more").await.expect("open");
    assert!(hears_nothing(&mut stream).await, "what follows a gap would be misread");
    assert_eq!(link.fired().vanished, 1);
    link.cut_lost();
    assert!(stream.read_u8().await.is_err());
    assert_eq!(say(&mut idle, b"here").await.expect("it had lost nothing"), b"here");
}

#[tokio::test]
async fn refused_connections_are_reset_and_open_ones_go_on() {
    let (_proxy, link) = linked().await;
    let mut stream = connect(&link).await;
    say(&mut stream, b"hello").await.expect("passed");
    link.set_mode(Mode::Refuse);
    assert!(say(&mut connect(&link).await, b"hello").await.is_err());
    assert_eq!(link.fired().refused, 1);
    assert_eq!(say(&mut stream, b"still").await.expect("passed"), b"still");
}

#[tokio::test]
async fn a_delay_is_counted_and_loses_nothing() {
    let (_proxy, link) = linked().await;
    link.set_mode(Mode::Delay(Duration::from_millis(5)));
    assert_eq!(say(&mut connect(&link).await, b"hello").await.expect("passed"), b"hello");
    assert_eq!(link.fired().delayed, 2);
}

#[tokio::test]
async fn a_swallowed_page_reaches_the_server_and_its_answer_nobody() {
    let (_proxy, link) = linked().await;
    let mut stream = connect(&link).await;
    let prepare = b"\0\0\0\x08\0\x03\0\0P\0\0\0\x28s1\0INSERT INTO catalog.page_3 (x)\0\0\0";
    say(&mut stream, prepare).await.expect("passed");
    link.swallow(1);
    stream.write_all(b"B\0\0\0\x08\0s1\0").await.expect("open");
    assert!(stream.read_u8().await.is_err(), "no answer, but a reset");
    assert_eq!(link.fired(), Fired { swallowed: 1, ..Fired::default() });
    let mut next = connect(&link).await;
    say(&mut next, prepare).await.expect("only one was asked for");
}
