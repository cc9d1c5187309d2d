//! `/healthz`, `/readyz`, `/metrics` and `/openapi.json`: the same on every surface.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use crate::Problem;

/// Whether a process can do its work, check by check.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// (what, why it is not so; none: it is so)
    pub checks: Vec<(String, Option<String>)>,
}

impl Readiness {
    /// Adds a check.
    pub fn check(mut self, what: impl Into<String>, problem: Option<String>) -> Self {
        self.checks.push((what.into(), problem));
        self
    }

    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, problem)| problem.is_none())
    }
}

type Ask = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Readiness> + Send>> + Send + Sync>;

/// What the operations routes answer from.
#[derive(Clone)]
pub struct Operations {
    ready: Ask,
    metrics: Arc<dyn Fn() -> String + Send + Sync>,
    openapi: Arc<Value>,
}

impl Operations {
    /// `ready` is asked at each `/readyz`, `metrics` gives Prometheus' text.
    pub fn new<F: Future<Output = Readiness> + Send + 'static>(
        ready: impl Fn() -> F + Send + Sync + 'static,
        metrics: Arc<dyn Fn() -> String + Send + Sync>,
        openapi: Value,
    ) -> Self {
        Self { ready: Arc::new(move || Box::pin(ready())), metrics, openapi: Arc::new(openapi) }
    }
}

/// A surface's routes with these beside them, and what is answered where there is no route.
pub fn operations(o: Operations, routes: Router) -> Router {
    let Operations { ready, metrics, openapi } = o;
    // The fallbacks hold for the routes that stand before them.
    routes
        .route("/healthz", get(|| async { axum::Json(json!({ "status": "alive" })) }))
        .route("/readyz", get(move || readyz(ready.clone())))
        .route("/metrics", get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics()) }))
        .route("/openapi.json", get(move || async move { axum::Json((*openapi).clone()) }))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is nothing at this path: see /openapi.json") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method: Allow names those that it takes")
        })
}

async fn readyz(ready: Ask) -> Response {
    let readiness = ready().await;
    let checks: serde_json::Map<String, Value> =
        readiness.checks.iter().map(|(what, problem)| (what.clone(), problem.as_deref().map_or(json!("ok"), |p| json!(p)))).collect();
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(json!({ "status": if readiness.is_ready() { "ready" } else { "not ready" }, "checks": checks }))).into_response()
}
