//! The aggregates that this build knows, found by service, command, event.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::{AccessError, access_of_command};
use crate::fields::{FieldError, Messages};
use crate::ids::EventPlace;
use crate::{Aggregate, Consequence, DecodedOnce, EventAt, Rule};
use daybook_proto::JsonValue;

/// Every aggregate of this build. One visible list makes it (see `domain`).
#[derive(Clone, Default)]
pub struct Registry {
    by_name: BTreeMap<&'static str, BTreeMap<&'static str, Arc<dyn Aggregate>>>,
    by_command: BTreeMap<&'static str, Arc<dyn Aggregate>>,
    by_event: BTreeMap<&'static str, Arc<dyn Aggregate>>,
    by_refusal: BTreeMap<&'static str, Arc<dyn Aggregate>>,
    /// (service, kebab-case command) to full name.
    commands: BTreeMap<(&'static str, String), &'static str>,
    /// By the service and the aggregate whose events they hear.
    rules: BTreeMap<(&'static str, &'static str), Vec<Rule>>,
}

/// A list of aggregates that can't be served together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Command names are unique in a service.
    #[error("service {service} has two commands named {command}: rename one")]
    CommandTwice {
        /// The service.
        service: String,
        /// Kebab-case.
        command: String,
    },
    /// Each command says who may send it.
    #[error("a command {0}")]
    Access(#[from] AccessError),
    /// Field rules that say whose something is can be held.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Stream ids begin with the aggregate's name.
    #[error("service {service} has two aggregates named {aggregate}: rename one")]
    AggregateTwice {
        /// The service.
        service: String,
        /// The aggregate.
        aggregate: String,
    },
}

impl Registry {
    /// Of a list of aggregates.
    ///
    /// # Errors
    /// When two of them can't stand beside each other.
    pub fn new(aggregates: impl IntoIterator<Item = Arc<dyn Aggregate>>) -> Result<Self, RegistryError> {
        let mut registry = Self::default();
        for aggregate in aggregates {
            let (service, pool) = (aggregate.service(), aggregate.descriptors());
            let mut commands = Vec::new();
            for full in aggregate.command_types() {
                commands.push((*full, access_of_command(pool, full)?));
                let name = kebab(full);
                if registry.commands.insert((service, name.clone()), full).is_some() {
                    return Err(RegistryError::CommandTwice { service: service.to_owned(), command: name });
                }
                registry.by_command.insert(full, aggregate.clone());
            }
            let (events, refusals) = (aggregate.event_types(), aggregate.refusal_types());
            Messages { pool, commands: &commands, events, refusals, state: aggregate.state_type() }.check()?;
            registry.by_event.extend(aggregate.event_types().iter().map(|t| (*t, aggregate.clone())));
            registry.by_refusal.extend(aggregate.refusal_types().iter().map(|t| (*t, aggregate.clone())));
            let name = aggregate.name();
            if registry.by_name.entry(service).or_default().insert(name, aggregate).is_some() {
                return Err(RegistryError::AggregateTwice { service: service.to_owned(), aggregate: name.to_owned() });
            }
        }
        Ok(registry)
    }

    /// Only these services; names that this build does not know are passed over.
    pub fn only(&self, services: &[String]) -> Self {
        let kept = self.by_name.iter().filter(|(s, _)| services.iter().any(|w| w == *s)).flat_map(|(_, a)| a.values().cloned());
        Self { rules: self.rules.clone(), ..Self::new(kept).expect("a part of a sound list is sound") }
    }

    /// The same, which also knows what follows from events.
    #[must_use]
    pub fn with_rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        for rule in rules {
            self.rules.entry((rule.service(), rule.aggregate())).or_default().push(rule);
        }
        self
    }

    /// The rules that it knows of.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().flatten()
    }

    /// Whether a rule of this build hears the events of an aggregate.
    pub fn has_rules(&self, service: &str, aggregate: &str) -> bool {
        self.rules.keys().any(|(s, a)| (*s, *a) == (service, aggregate))
    }

    /// The commands that rules of this build send because of an event, each with its rule's name. None of a rule that can't react to it:
    /// there the event's stream waits.
    pub fn consequences(
        &self,
        (type_name, payload): (&str, &[u8]),
        at: &EventAt<'_>,
        place: &EventPlace,
    ) -> Vec<(&'static str, Consequence)> {
        let Some(aggregate) = self.by_event.get(type_name) else { return Vec::new() };
        let Some(rules) = self.rules.get(&(aggregate.service(), aggregate.name())) else { return Vec::new() };
        let decoded = DecodedOnce::default();
        let of = |rule: &Rule| {
            let (name, sent) = (rule.name(), rule.sends((type_name, payload), &decoded, at, place).unwrap_or_default());
            sent.into_iter().map(move |consequence| (name, consequence))
        };
        rules.iter().flat_map(of).collect()
    }

    /// Every service's name, sorted.
    pub fn services(&self) -> Vec<&'static str> {
        self.by_name.keys().copied().collect()
    }

    /// Every aggregate.
    pub fn aggregates(&self) -> impl Iterator<Item = &Arc<dyn Aggregate>> {
        self.by_name.values().flat_map(BTreeMap::values)
    }

    /// The aggregate of this name.
    pub fn aggregate(&self, service: &str, name: &str) -> Option<&Arc<dyn Aggregate>> {
        self.by_name.get(service)?.get(name)
    }

    /// The aggregate that decides a command, by its full protobuf name.
    pub fn of_command(&self, type_name: &str) -> Option<&Arc<dyn Aggregate>> {
        self.by_command.get(type_name)
    }

    /// The aggregate whose streams hold an event, by its full protobuf name.
    pub fn of_event(&self, type_name: &str) -> Option<&Arc<dyn Aggregate>> {
        self.by_event.get(type_name)
    }

    /// The full protobuf name of a command by the name that stands in its URL.
    pub fn command_type(&self, service: &str, kebab: &str) -> Option<&'static str> {
        self.commands.iter().find(|((s, n), _)| *s == service && n == kebab).map(|(_, full)| *full)
    }

    /// A service's commands, as URLs name them, with their full protobuf names.
    pub fn commands(&self, service: &str) -> impl Iterator<Item = (&str, &'static str)> {
        self.commands.iter().filter(move |((s, _), _)| *s == service).map(|((_, name), full)| (name.as_str(), *full))
    }

    /// A refusal's members, by the protobuf JSON mapping; nothing for a refusal that this build does not know.
    pub fn refusal_json(&self, type_name: &str, payload: &[u8]) -> Option<JsonValue> {
        self.by_refusal.get(type_name)?.refusal_json(type_name, payload).ok()
    }
}

/// `shop.catalog.v1.CreateProduct` as `create-product`.
pub fn kebab(full_name: &str) -> String {
    let name = full_name.rsplit('.').next().unwrap_or(full_name);
    let mut out = String::with_capacity(name.len() + 4);
    for (i, c) in name.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use daybook_proto::{DescriptorPool, SetError};

    use super::*;
    use crate::{AnyState, Command, CommandFault, Context, Digest, ErasedDecision};

    /// An aggregate that is asked for its descriptors alone.
    struct Described(&'static DescriptorPool);

    impl Aggregate for Described {
        fn service(&self) -> &'static str {
            "t"
        }
        fn name(&self) -> &'static str {
            "a"
        }
        fn command_types(&self) -> &'static [&'static str] {
            &["t.Do"]
        }
        fn event_types(&self) -> &'static [&'static str] {
            &["t.Done"]
        }
        fn refusal_types(&self) -> &'static [&'static str] {
            &["t.No"]
        }
        fn state_type(&self) -> &'static str {
            "t.State"
        }
        fn descriptors(&self) -> &'static DescriptorPool {
            self.0
        }
        fn fingerprint(&self) -> Digest {
            unreachable!()
        }
        fn new_state(&self) -> AnyState {
            unreachable!()
        }
        fn decode_state(&self, _: &[u8]) -> Result<AnyState, SetError> {
            unreachable!()
        }
        fn encode_state(&self, _: &AnyState) -> Vec<u8> {
            unreachable!()
        }
        fn state_json(&self, _: &AnyState) -> JsonValue {
            unreachable!()
        }
        fn read_command(&self, _: &str, _: &[u8]) -> Result<Command, CommandFault> {
            unreachable!()
        }
        fn read_json(&self, _: &str, _: &[u8]) -> Result<Command, CommandFault> {
            unreachable!()
        }
        fn evolve(&self, _: &mut AnyState, _: &str, _: &[u8]) -> Result<(), SetError> {
            unreachable!()
        }
        fn decide(&self, _: &mut AnyState, _: &Command, _: &Context) -> ErasedDecision {
            unreachable!()
        }
        fn command_json(&self, _: &str, _: &[u8]) -> Result<JsonValue, SetError> {
            unreachable!()
        }
        fn event_json(&self, _: &str, _: &[u8]) -> Result<JsonValue, SetError> {
            unreachable!()
        }
        fn refusal_json(&self, _: &str, _: &[u8]) -> Result<JsonValue, SetError> {
            unreachable!()
        }
    }

    #[test]
    fn a_build_whose_personal_field_names_nobody_does_not_start() {
        let of = |subject: &str| -> Arc<dyn Aggregate> {
            let name = format!("string name = 2 [(daybook.v1.rules).personal = {subject:?}];");
            let command = "option (daybook.v1.access) = {who: [PROCESS]};";
            let pool = crate::fields::tests::pool(&format!(
                "message Do {{ {command} }} message Done {{ {name} }} message No {{}} message State {{}}"
            ));
            Arc::new(Described(Box::leak(Box::new(pool))))
        };
        assert!(Registry::new([of("STREAM")]).is_ok());
        let error = Registry::new([of("customer")]).err().expect("there is no such field").to_string();
        assert!(error.starts_with("t.Done, field name: personal: \"customer\""), "{error}");
    }
}
