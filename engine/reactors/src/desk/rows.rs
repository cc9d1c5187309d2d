//! Rows, as calls that this build can do.

use std::sync::Arc;

use daybook_follow::Event;
use daybook_kernel::ServiceMessage;

use super::Shared;
use crate::call::{AT_ONCE, Call, Work};
use crate::common::places;
use crate::store::CallRow;
use crate::{ReactorError, Rule};

/// What a row is to this build.
pub(super) enum Read {
    /// A call.
    Call(Box<Call>),
    /// A call that another build has noted, and this one can't do.
    Stays(String),
    /// The log has other events there, or none: it was restored.
    OfAnotherPast,
}

impl Shared {
    /// A row, and the event that has asked for it.
    pub(super) async fn read(&self, row: CallRow) -> Result<Read, ReactorError> {
        let (due_at, offset, outcome_id) = row.at;
        let events = self.log.read_events(offset, 1).await?;
        let Some(stored) = events.into_iter().find(|event| event.offset == offset) else { return Ok(Read::OfAnotherPast) };
        let event = Arc::new(Event::stored(stored)?);
        let (_, place) = places(&self.log, &event);
        if self.rule.outcome_id(&place, row.deadline.as_deref(), row.target.as_str()) != outcome_id {
            return Ok(Read::OfAnotherPast);
        }
        if let Some((type_name, bytes)) = row.outcome {
            // It needs no rule any more, so another build's will do.
            let Some((service, _)) = self.common.targets.get_key_value(row.service.as_str()) else {
                return Ok(Read::Stays(format!("its outcome is for {}, which is no service of this build", row.service)));
            };
            let type_name = match self.common.command_type(&type_name) {
                Ok(type_name) => type_name,
                Err(why) => return Ok(Read::Stays(why.to_string())),
            };
            let outcome = Some(ServiceMessage { service, type_name, bytes, target: row.target.clone() });
            let work = row.deadline.map_or(Work::Read(Vec::new()), Work::Wait);
            return Ok(Read::Call(Box::new(Call { event, service, target: row.target, outcome_id, due_at, work, outcome })));
        }
        if due_at != AT_ONCE {
            return Ok(Read::Stays("it has no command".to_owned()));
        }
        let asked = match &self.rule {
            Rule::Lookup(lookup) => self.common.call(&**lookup, &self.log, &event),
            Rule::Effect(effect) => self.common.outward(&**effect, &self.log, &event),
            Rule::Reactor(_) | Rule::Deadlines(_) => Ok(None),
        };
        Ok(match asked {
            Ok(Some(call)) if call.outcome_id == outcome_id => Read::Call(Box::new(call)),
            Ok(_) => Read::Stays("this build's rule does not ask for it".to_owned()),
            Err(why) => Read::Stays(why.to_string()),
        })
    }
}
