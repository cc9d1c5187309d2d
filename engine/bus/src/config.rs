//! Kafka's addresses and settings, and the only place that names a topic or a group.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Kafka's addresses and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusConfig {
    /// Bootstrap addresses, `host:port`, comma-separated.
    pub brokers: String,
    /// Put before every topic and group name, so that installs and tests can share a cluster. Empty by default.
    pub prefix: String,
    /// This process's name for the brokers (their logs and quotas).
    pub client_id: String,
    /// Passed to librdkafka as they are, to every client (`security.protocol`, `sasl.*`, …). They override tuning,
    /// never the settings that correctness rests on (idempotence, acknowledgements, offset handling).
    pub properties: BTreeMap<String, String>,
}

impl BusConfig {
    /// A cluster without prefix or further properties.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), prefix: String::new(), client_id: "daybook".to_owned(), properties: BTreeMap::new() }
    }

    /// The same cluster, every topic and group named with `prefix` before it.
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// The same cluster under another client id.
    pub fn with_client_id(self, client_id: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), ..self }
    }

    /// `<service>.messages`: the commands on their way to the lanes.
    pub fn messages(&self, service: &str) -> String {
        self.named(&format!("{service}.messages"))
    }

    /// `<service>.events`: the log, published.
    pub fn events(&self, service: &str) -> String {
        self.named(&format!("{service}.events"))
    }

    /// `<service>.messages.rejected`: messages that could not be read, or were keyed wrongly, with the reason.
    pub fn rejected(&self, service: &str) -> String {
        self.named(&format!("{service}.messages.rejected"))
    }

    /// `command.replies`: results on their way to the endpoints that wait for them.
    pub fn replies(&self) -> String {
        self.named("command.replies")
    }

    /// `read.<projection>`: changed parts and markers, on their way to the query API.
    pub fn read(&self, projection: &str) -> String {
        self.named(&format!("read.{projection}"))
    }

    /// `query.pods`: reports of the query API's processes on themselves.
    pub fn query_pods(&self) -> String {
        self.named("query.pods")
    }

    /// A consumer group's full name.
    pub fn group(&self, name: &str) -> String {
        self.named(name)
    }

    fn named(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A client's configuration: `defaults` may be overridden by [`properties`](Self::properties), `invariants` not.
    pub(crate) fn client(&self, defaults: &[(&str, &str)], invariants: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // `debug` among the properties asks for more; otherwise librdkafka is quiet until something is wrong.
        let debugged = self.properties.contains_key("debug");
        config.set_log_level(if debugged { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
        // A broker that restarts is found again within a second, not ten; a dead address is given up in time.
        config.set("reconnect.backoff.ms", "50");
        config.set("reconnect.backoff.max.ms", "1000");
        config.set("socket.connection.setup.timeout.ms", "5000");
        config.set("socket.keepalive.enable", "true");
        config.set("socket.nagle.disable", "true");
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", &self.client_id);
        for (key, value) in invariants {
            config.set(*key, *value);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_override_tuning_and_never_what_correctness_rests_on() {
        let mut bus = BusConfig::new("here:1");
        for (key, value) in [("linger.ms", "7"), ("acks", "0"), ("bootstrap.servers", "elsewhere:1"), ("security.protocol", "ssl")] {
            bus.properties.insert(key.to_owned(), value.to_owned());
        }
        let config = bus.client(&[("linger.ms", "0"), ("batch.size", "1")], &[("acks", "all")]);
        let set = ["linger.ms", "batch.size", "acks", "bootstrap.servers", "security.protocol"].map(|key| config.get(key));
        assert_eq!(set, [Some("7"), Some("1"), Some("all"), Some("here:1"), Some("ssl")]);
    }
}
