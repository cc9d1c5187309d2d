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

use axum::Router;
use axum::routing::{get, post};
use daybook_bus::{Inspector, SharedProducer};
use daybook_kernel::{Registry, Secret};
use daybook_log::Log;
use daybook_messages::lanes_group;

use crate::producers::Producers;
use crate::{HandlerConfig, HandlerParts};
use admission::Limit;
pub(crate) use waiting::{ReplySlots, Waiters};
use webhooks::Webhooks;

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
    producers: Producers,
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
    /// `waiting`: whoever waits for replies.
    pub(crate) fn new(
        parts: &HandlerParts,
        logs: Vec<Log>,
        registry: Arc<Registry>,
        secret: Secret,
        producers: Producers,
        inspector: Inspector,
        waiting: ReplySlots,
    ) -> Self {
        let services = logs
            .into_iter()
            .map(|log| {
                (
                    log.service().to_string(),
                    Route { topic: parts.bus.messages(log.service()).into(), group: lanes_group(&parts.bus, log.service()), log },
                )
            })
            .collect();
        Self(Arc::new(Inner {
            config: parts.config.clone(),
            registry,
            secret,
            services,
            producers,
            inspector,
            waiting,
            in_flight: AtomicUsize::new(0),
            limit: Limit::new(parts.config.max_in_flight, std::time::Instant::now()),
        }))
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

    /// By which producer a command goes now.
    fn producer(&self) -> &SharedProducer {
        self.0.producers.repeatable(self.0.in_flight.load(Ordering::Relaxed))
    }

    /// Why commands can't be taken now.
    pub(crate) fn kafka_problem(&self) -> Option<String> {
        if !self.producer().get().brokers_up() {
            return Some("no broker answers".to_owned());
        }
        (!self.0.waiting.is_listening()).then(|| "replies are not being read".to_owned())
    }
}
