//! `/healthz`, `/readyz`, `/metrics` and `/openapi.json`: the same on every surface.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use daybook_process::Readiness;
use serde_json::{Value, json};

use crate::Problem;

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
    let (status, word) = (if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, readiness.status());
    let checks = readiness.checks.into_iter().map(|(what, problem)| (what, problem.unwrap_or_else(|| "ok".to_owned())));
    let checks: serde_json::Map<String, Value> = checks.chain(readiness.degraded).map(|(what, said)| (what, json!(said))).collect();
    (status, axum::Json(json!({ "status": word, "checks": checks }))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_waits_is_named_and_does_not_take_the_process_out_of_service() {
        let asked = |readiness: Readiness| async move {
            let response = readyz(Arc::new(move || Box::pin(std::future::ready(readiness.clone())))).await;
            let status = response.status();
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
            (status, serde_json::from_slice::<Value>(&body).expect("JSON"))
        };
        let good = Readiness::default().check("kafka", None);
        assert_eq!(asked(good.clone()).await, (StatusCode::OK, json!({ "status": "ready", "checks": { "kafka": "ok" } })));
        let degraded = good.waits("catalog/3", "waits for a client".to_owned());
        let body = json!({ "status": "degraded", "checks": { "kafka": "ok", "catalog/3": "waits for a client" } });
        assert_eq!(asked(degraded.clone()).await, (StatusCode::OK, body));
        let (status, body) = asked(degraded.check("postgres", Some("is away".to_owned()))).await;
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("not ready")), "a check that fails counts more");
    }
}
