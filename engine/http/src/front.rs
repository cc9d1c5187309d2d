//! A request's way through a surface: the gate, then answers from memory, then the routes.
//!
//! Most requests of some surfaces are answered from memory. To find their route, to take their path apart for a handler and to
//! box its future takes longer than such an answer itself.
//!
//! Rules of every route stand here too: the methods, the answer to OPTIONS, the time that answers may be kept.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use daybook_proto::v1::Caller;
use futures_util::future::Either;
use hyper::body::Incoming;
use tower_service::Service as _;

use crate::wire::Client;
use crate::{Cors, Gate, Problem};

/// Answers a caller's request at once where it can; none: the routes answer. It must not say anything else than they would.
pub type Front = Arc<dyn Fn(&Parts, &Caller) -> Option<Response> + Send + Sync>;

/// An answer that says nothing else is of its moment: no cache may keep it.
const FORGET: HeaderValue = HeaderValue::from_static("no-store");

/// The stages of a surface, for all of its connections.
pub(crate) struct Chain {
    pub(crate) gate: Gate,
    pub(crate) front: Option<Front>,
    pub(crate) router: Router,
    pub(crate) cors: Option<Cors>,
}

/// One connection, and the stages that answer it.
pub(crate) struct Connection {
    pub(crate) chain: Arc<Chain>,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    pub(crate) client: Client,
}

impl hyper::service::Service<axum::http::Request<Incoming>> for Connection {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>>;

    fn call(&self, request: axum::http::Request<Incoming>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let chain = &self.chain;
        let asked = chain.cors.as_ref().map(|cors| (cors.clone(), cors.asked(&head.headers)));
        let caller = match chain.at_once(&head) {
            ControlFlow::Continue(caller) => caller,
            ControlFlow::Break(response) => return Either::Left(ready(Ok(told(response, asked)))),
        };
        // Handlers take it as `Extension<Arc<Caller>>`.
        head.extensions.insert(caller);
        head.extensions.insert(ConnectInfo(self.peer));
        if head.version < Version::HTTP_2 {
            // Of others hyper hears itself when they end: it reads while it answers.
            head.extensions.insert(self.client.clone());
        }
        let (mut router, options) = (chain.router.clone(), head.method == Method::OPTIONS);
        let request = Request::from_parts(head, Body::new(body));
        Either::Right(Box::pin(async move {
            let response = match router.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            Ok(told(allowing(response, options), asked))
        }))
    }
}

impl Chain {
    /// The answer of a request that needs no route, or the caller of one that does.
    fn at_once(&self, head: &Parts) -> ControlFlow<Response, Arc<Caller>> {
        // The gate's one exception. It tells the setting of origins, whatever the path, and nothing of the routes.
        if let Some(response) = self.cors.as_ref().and_then(|cors| cors.preflight(head)).filter(|_| refused(head).is_none()) {
            return ControlFlow::Break(response);
        }
        let caller = match self.gate.pass(head) {
            Ok(caller) => caller,
            Err(problem) => return ControlFlow::Break(problem.into_response()),
        };
        if let Some(problem) = refused(head) {
            return ControlFlow::Break(problem.into_response());
        }
        if head.method == Method::OPTIONS && head.uri.path() == "*" {
            return ControlFlow::Break((StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, OPTIONS, POST")]).into_response());
        }
        match self.front.as_ref().and_then(|front| front(head, &caller)) {
            Some(response) => ControlFlow::Break(response),
            None => ControlFlow::Continue(caller),
        }
    }
}

/// A request's refusal, whatever its path.
fn refused(head: &Parts) -> Option<Problem> {
    let known = [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE];
    // QUERY is younger than the library's list.
    if !known.contains(&head.method) && head.method.as_str() != "QUERY" {
        let title = format!("there is no method {} here", head.method.as_str().chars().take(40).collect::<String>());
        return Some(Problem::new(StatusCode::NOT_IMPLEMENTED, title));
    }
    // RFC 9112, 3.2: a request that does not name its host once was cut together somewhere.
    if head.version == Version::HTTP_11 && head.headers.get_all(header::HOST).iter().take(2).count() != 1 {
        return Some(Problem::invalid("Host", "must be sent once"));
    }
    None
}

/// OPTIONS tells the same as 405: the path's methods.
fn allowing(mut response: Response, options: bool) -> Response {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allow = response.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok()).unwrap_or_default();
    let mut methods: Vec<&str> = allow.split(',').map(str::trim).filter(|method| !method.is_empty()).collect();
    methods.push("OPTIONS");
    methods.sort_unstable();
    let allow = HeaderValue::try_from(methods.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"));
    if options {
        response = StatusCode::NO_CONTENT.into_response();
    }
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

fn told(mut response: Response, asked: Option<(Cors, Option<HeaderValue>)>) -> Response {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(FORGET);
    if let Some((cors, allowed)) = asked {
        cors.tell(allowed, &mut response);
    }
    response
}
