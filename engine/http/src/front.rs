//! What stands before a surface's routes: most requests of some surfaces are answered from memory, at once. To find their
//! route, to take their path apart for a handler and to box what that waits for takes longer than such an answer itself.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures_util::future::Either;
use tower_service::Service;

/// Answers what it can at once; none: the routes answer. It must not say anything else than they would.
pub type Front = Arc<dyn Fn(&Request) -> Option<Response> + Send + Sync>;

/// A surface, for every connection.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) front: Option<Front>,
    pub(crate) router: Router,
}

/// A surface, for one connection.
#[derive(Clone)]
pub(crate) struct Connection {
    surface: Surface,
    /// Who asks.
    peer: SocketAddr,
}

impl<L: Listener<Addr = SocketAddr>> Service<IncomingStream<'_, L>> for Surface {
    type Response = Connection;
    type Error = Infallible;
    type Future = Ready<Result<Connection, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        ready(Ok(Connection { surface: self.clone(), peer: *stream.remote_addr() }))
    }
}

impl Service<Request> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, <Router as Service<Request>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let Surface { front, router } = &mut self.surface;
        if let Some(response) = front.as_ref().and_then(|front| front(&request)) {
            return Either::Left(ready(Ok(response)));
        }
        request.extensions_mut().insert(ConnectInfo(self.peer));
        Either::Right(router.call(request))
    }
}
