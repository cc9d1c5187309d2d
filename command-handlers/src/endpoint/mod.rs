//! The command endpoint. Holds no state that matters: it checks, produces, and waits on a slot in memory for the reply.

mod admission;
mod deferred;
#[cfg(test)]
mod fuzz;
mod headers;
mod next;
pub(crate) mod openapi;
mod post;
mod render;
mod sending;
mod waiting;
mod webhooks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use daybook_bus::{Inspector, ProducerOptions, SharedProducer};
use daybook_kernel::{Registry, Secret};
use daybook_log::Log;
use daybook_messages::lanes_group;
use daybook_process::Shutdown;

use crate::{HandlerConfig, HandlerError, HandlerParts};
use admission::Limit;
use waiting::ReplySlots;
pub(crate) use waiting::Waiters;
use webhooks::Webhooks;

/// While no more commands than this are under way, each goes to Kafka at once.
const EAGER_UP_TO: usize = 16;

/// One service as the endpoint sees it.
pub(crate) struct Route {
    log: Log,
    topic: Arc<str>,
    /// The group of its lanes: what it has committed says how far they are.
    group: String,
}

struct Inner {
    config: HandlerConfig,
    registry: Arc<Registry>,
    secret: Secret,
    services: BTreeMap<String, Route>,
    /// Sends at once: for when little is under way.
    eager: SharedProducer,
    /// Waits a moment for company: under load the requests to the broker count, not the messages.
    patient: SharedProducer,
    inspector: Inspector,
    waiting: ReplySlots,
    /// Commands under way, and how many there may be.
    in_flight: AtomicUsize,
    limit: Limit,
}

/// The endpoint of one process. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

impl Endpoint {
    /// Starts listening for replies.
    pub(crate) async fn start(
        parts: &HandlerParts,
        logs: Vec<Log>,
        registry: Arc<Registry>,
        secret: Secret,
        inspector: Inspector,
        waiters: Waiters,
        shutdown: Shutdown,
    ) -> Result<Self, HandlerError> {
        // A record gives up 2 s after the longest wait: nothing runs long after its answer.
        let message_timeout = parts.config.max_wait + Duration::from_secs(2);
        // A command that arrives twice takes effect once, and none relies on the order of two that are under way.
        let options = |linger| ProducerOptions { linger, message_timeout, idempotent: false, ..Default::default() };
        let eager = SharedProducer::new(&parts.bus, options(Duration::ZERO))?;
        let patient = SharedProducer::new(&parts.bus, options(parts.config.linger))?;
        let waiting = ReplySlots::start(&parts.bus, waiters, shutdown).await?;
        let services = logs
            .into_iter()
            .map(|log| {
                (
                    log.service().to_string(),
                    Route { topic: parts.bus.messages(log.service()).into(), group: lanes_group(&parts.bus, log.service()), log },
                )
            })
            .collect();
        Ok(Self(Arc::new(Inner {
            config: parts.config.clone(),
            registry,
            secret,
            services,
            eager,
            patient,
            inspector,
            waiting,
            in_flight: AtomicUsize::new(0),
            limit: Limit::new(parts.config.max_in_flight, std::time::Instant::now()),
        })))
    }

    /// The routes of commands and webhooks.
    pub(crate) fn routes(&self) -> Router {
        let commands = Router::new()
            .route("/v1/commands/{handle}", get(deferred::get_deferred))
            .route("/v1/{service}/{command}", post(post::post_command).fallback(post::other_method))
            .with_state(self.clone());
        self.0.config.webhooks.iter().fold(commands, |routes, webhook| {
            let of = Webhooks { endpoint: self.clone(), webhook: Arc::new(webhook.clone()) };
            let route = post(webhooks::take).fallback(webhooks::other_method).with_state(of);
            routes.route(&format!("/v1/webhooks/{}", webhook.name), route)
        })
    }

    /// By which producer a command goes now. Commands have no order among each other, so changing between two is harmless.
    fn producer(&self) -> &SharedProducer {
        if self.0.in_flight.load(Ordering::Relaxed) > EAGER_UP_TO { &self.0.patient } else { &self.0.eager }
    }

    /// Why commands can't be taken now.
    pub(crate) fn kafka_problem(&self) -> Option<String> {
        if !self.producer().get().brokers_up() {
            return Some("no broker answers".to_owned());
        }
        (!self.0.waiting.is_listening()).then(|| "replies are not being read".to_owned())
    }
}
