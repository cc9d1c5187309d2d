//! What stands before a surface's routes: most requests of some surfaces are answered from memory, at once. To find their
//! route, to take their path apart for a handler and to box what that waits for takes longer than such an answer itself.
//!
//! And what holds for every route: which methods there are, what OPTIONS tells, how long answers may be kept.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::Either;
use hyper::body::Incoming;
use tower_service::Service as _;

use crate::wire::Client;
use crate::{Cors, Problem};

/// Answers what it can at once; none: the routes answer. It must not say anything else than they would.
pub type Front = Arc<dyn Fn(&Parts) -> Option<Response> + Send + Sync>;

/// An answer that says nothing else is of its moment: no cache may keep it.
const FORGET: HeaderValue = HeaderValue::from_static("no-store");

/// A surface, for every connection.
#[derive(Clone)]
pub(crate) struct Surface {
    pub(crate) front: Option<Front>,
    pub(crate) router: Router,
    pub(crate) cors: Option<Cors>,
}

/// A surface, for one connection.
pub(crate) struct Connection {
    pub(crate) surface: Arc<Surface>,
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
        let surface = &self.surface;
        let asked = surface.cors.as_ref().map(|cors| (cors.clone(), cors.asked(&head.headers)));
        if let Some(response) = surface.at_once(&head) {
            return Either::Left(ready(Ok(told(response, asked))));
        }
        head.extensions.insert(ConnectInfo(self.peer));
        if head.version < Version::HTTP_2 {
            // Of others hyper hears itself when they end: it reads while it answers.
            head.extensions.insert(self.client.clone());
        }
        let (mut router, options) = (surface.router.clone(), head.method == Method::OPTIONS);
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

impl Surface {
    fn at_once(&self, head: &Parts) -> Option<Response> {
        if let Some(problem) = refused(head) {
            return Some(problem.into_response());
        }
        if head.method == Method::OPTIONS {
            if let Some(response) = self.cors.as_ref().and_then(|cors| cors.preflight(head)) {
                return Some(response);
            }
            if head.uri.path() == "*" {
                return Some((StatusCode::NO_CONTENT, [(header::ALLOW, "GET, HEAD, OPTIONS, POST")]).into_response());
            }
        }
        self.front.as_ref().and_then(|front| front(head))
    }
}

/// What is refused whatever its path.
fn refused(head: &Parts) -> Option<Problem> {
    let known = [Method::GET, Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE];
    // QUERY is younger than the library's list.
    if !known.contains(&head.method) && head.method.as_str() != "QUERY" {
        let title = format!("there is no method {} here", head.method.as_str().chars().take(40).collect::<String>());
        return Some(Problem::new(StatusCode::NOT_IMPLEMENTED, title));
    }
    // RFC 9112, 3.2: a request that does not say once for whom it is was cut together somewhere.
    if head.version == Version::HTTP_11 && head.headers.get_all(header::HOST).iter().take(2).count() != 1 {
        return Some(Problem::invalid("Host", "must be sent once"));
    }
    None
}

/// OPTIONS tells what 405 would: what the path takes.
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
