//! Work beside a surface's own: health, readiness and its document on a surface, and an operations address with the details.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use daybook_process::Readiness;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::Problem;

type Asked = Pin<Box<dyn Future<Output = Readiness> + Send>>;

/// Asks a role whether it can do its work. Cheap to clone.
#[derive(Clone)]
pub struct Probe(Arc<dyn Fn() -> Asked + Send + Sync>);

impl Probe {
    /// `readiness` is asked of the role each time.
    pub fn new<R, F>(role: R, readiness: impl Fn(R) -> F + Send + Sync + 'static) -> Self
    where
        R: Clone + Send + Sync + 'static,
        F: Future<Output = Readiness> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(readiness(role.clone()))))
    }

    /// The role's readiness now.
    pub async fn ask(&self) -> Readiness {
        (self.0)().await
    }
}

/// A surface's routes with `/healthz`, `/readyz` and `/openapi.json` beside them, and the answer where there is no route.
/// Health and readiness are told in a word: why a process is not ready is told on its operations address alone.
pub fn surface_routes(routes: Router, role: Probe, openapi: Value) -> Router {
    let openapi = Arc::new(openapi);
    let routes = routes
        .route("/readyz", get(move || readyz(vec![role.clone()], false)))
        .route("/openapi.json", get(move || async move { axum::Json((*openapi).clone()) }));
    alive(routes, "see /openapi.json")
}

/// The routes of an operations address: `/healthz`, `/readyz` with each check of the process's roles, and `/metrics`, which is
/// Prometheus' text.
pub fn operations_routes(roles: Vec<Probe>, metrics: Arc<dyn Fn() -> String + Send + Sync>) -> Router {
    let routes = Router::new()
        .route("/readyz", get(move || readyz(roles.clone(), true)))
        .route("/metrics", get(move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics()) }));
    alive(routes, "/healthz, /readyz and /metrics are here")
}

fn alive(routes: Router, there: &'static str) -> Router {
    // The fallbacks hold for the routes that stand before them.
    routes
        .route("/healthz", get(|| async { axum::Json(json!({ "status": "alive" })) }))
        .fallback(move || async move { Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at this path: {there}")) })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method: Allow names those that it takes")
        })
}

async fn readyz(roles: Vec<Probe>, with_checks: bool) -> Response {
    let readiness = join_all(roles.iter().map(Probe::ask)).await.into_iter().fold(Readiness::default(), Readiness::and);
    let (status, word) = (if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, readiness.status());
    let mut body = json!({ "status": word });
    if with_checks {
        let checks = readiness.checks.into_iter().map(|(what, problem)| (what, problem.unwrap_or_else(|| "ok".to_owned())));
        let checks: serde_json::Map<String, Value> = checks.chain(readiness.degraded).map(|(what, said)| (what, json!(said))).collect();
        body["checks"] = checks.into();
    }
    (status, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked<const N: usize>(roles: [Readiness; N], with_checks: bool) -> (StatusCode, Value) {
        let roles = roles.into_iter().map(|role| Probe::new(role, std::future::ready)).collect();
        let response = readyz(roles, with_checks).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        (status, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn a_part_that_waits_is_named_and_does_not_take_the_process_out_of_service() {
        let good = Readiness::default().check("kafka", None);
        assert_eq!(asked([good.clone()], true).await, (StatusCode::OK, json!({ "status": "ready", "checks": { "kafka": "ok" } })));
        let degraded = good.waits("catalog/3", "waits for a client".to_owned());
        let body = json!({ "status": "degraded", "checks": { "kafka": "ok", "catalog/3": "waits for a client" } });
        assert_eq!(asked([degraded.clone()], true).await, (StatusCode::OK, body));
        let (status, body) = asked([degraded.check("postgres", Some("is away".to_owned()))], true).await;
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("not ready")), "a check that fails counts more");
    }

    #[tokio::test]
    async fn a_surface_tells_its_readiness_in_a_word() {
        let good = Readiness::default().check("postgres", None);
        assert_eq!(asked([good.clone()], false).await, (StatusCode::OK, json!({ "status": "ready" })));
        let degraded = good.waits("catalog/3", "waits for a client".to_owned());
        assert_eq!(asked([degraded.clone()], false).await, (StatusCode::OK, json!({ "status": "degraded" })));
        let lost = degraded.check("kafka", Some("no broker answers".to_owned()));
        assert_eq!(asked([lost], false).await, (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not ready" })));
    }

    #[tokio::test]
    async fn every_role_of_a_process_counts_and_none_hides_what_another_says() {
        let database = |problem: Option<&str>| Readiness::default().check("database", problem.map(str::to_owned));
        for roles in [[database(Some("is away")), database(None)], [database(None), database(Some("is away"))]] {
            let (status, body) = asked(roles, true).await;
            assert_eq!((status, &body["checks"]["database"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("is away")));
        }
        let (_, body) = asked([database(Some("is away")), database(Some("is full"))], true).await;
        assert_eq!(body["checks"]["database"], "is away; is full");
        let waits = Readiness::default().waits("catalog/3", "waits".to_owned());
        let (status, body) = asked([database(None), waits], true).await;
        assert_eq!((status, body), (StatusCode::OK, json!({ "status": "degraded", "checks": { "database": "ok", "catalog/3": "waits" } })));
    }
}
