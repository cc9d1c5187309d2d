//! Access to commands and read models, as the `.proto` files declare it (`daybook/v1/access.proto`). Checked when a process starts, so
//! that none runs with something that nobody has thought about.

use daybook_proto::DescriptorPool;
use daybook_proto::v1::{Access, Owner, Who};
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _};

/// A message that says wrongly, or does not say, who may use it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} {problem}")]
pub struct AccessError {
    /// Full protobuf name of the command, or of the read model's message.
    pub message: String,
    /// The fault, and the remedy.
    pub problem: String,
}

/// Kinds of messages with access: each has owners of its own kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Thing {
    Command,
    ReadModel,
}

/// The access to a command: as it says itself, or else as its file says.
///
/// # Errors
/// When neither says so, or the declaration can't be right.
pub fn access_of_command(pool: &DescriptorPool, type_name: &str) -> Result<Access, AccessError> {
    let message = described(pool, type_name)?;
    let own = extension(&message.options(), "daybook.v1.access");
    let of_file = || extension(&message.parent_file().options(), "daybook.v1.commands_access");
    checked(&message, own.or_else(of_file), Thing::Command)
}

/// The access to a read model, by its message.
///
/// # Errors
/// When it does not say so, or its declaration can't be right.
pub fn access_of_read_model(pool: &DescriptorPool, type_name: &str) -> Result<Access, AccessError> {
    let message = described(pool, type_name)?;
    checked(&message, extension(&message.options(), "daybook.v1.access"), Thing::ReadModel)
}

pub(crate) fn described(pool: &DescriptorPool, type_name: &str) -> Result<MessageDescriptor, AccessError> {
    let missing = || AccessError { message: type_name.to_owned(), problem: "is not among the descriptors of this build".to_owned() };
    pool.get_message_by_name(type_name).ok_or_else(missing)
}

/// An option by its full name, where it is set.
pub(crate) fn extension<T: prost::Message + Default>(options: &DynamicMessage, name: &str) -> Option<T> {
    let extension = options.descriptor().parent_pool().get_extension_by_name(name)?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message()?.transcode_to().ok()
}

fn checked(message: &MessageDescriptor, access: Option<Access>, thing: Thing) -> Result<Access, AccessError> {
    let wrong = |problem: String| Err(AccessError { message: message.full_name().to_owned(), problem });
    let Some(access) = access else {
        let way = if thing == Thing::Command { ", or its file option (daybook.v1.commands_access)" } else { "" };
        return wrong(format!("does not say who may use it: give it option (daybook.v1.access){way}"));
    };
    let has = |any: &[Who]| access.who().any(|who| any.contains(&who));
    if access.who.is_empty() || has(&[Who::Unspecified]) {
        return wrong("names nobody who may use it: say who, for example who: [STAFF]".to_owned());
    }
    if has(&[Who::Staff, Who::Machine]) == access.scope.is_empty() {
        return wrong("needs a scope with STAFF or MACHINE, and with nobody else".to_owned());
    }
    let allowed: &[Owner] = match thing {
        Thing::Command => &[Owner::NoOwner, Owner::Claims, Owner::Holds],
        Thing::ReadModel => &[Owner::NoOwner, Owner::Key, Owner::Field],
    };
    let owner = access.owner();
    if !allowed.contains(&owner) {
        let names: Vec<&str> = allowed[1..].iter().map(Owner::as_str_name).collect();
        return wrong(format!("can't have the owner {}: take {}", owner.as_str_name(), names.join(" or ")));
    }
    if has(&[Who::Guest, Who::Customer]) && owner == Owner::NoOwner {
        return wrong("needs an owner with GUEST or CUSTOMER: what is one's is not another's".to_owned());
    }
    let field = (owner == Owner::Field).then_some(access.owner_field.as_str());
    if field.map_or(!access.owner_field.is_empty(), |name| message.get_field_by_name(name).is_none()) {
        return wrong("needs the name of one of its fields as owner_field with FIELD, and with nothing else".to_owned());
    }
    Ok(access)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(access: Access, thing: Thing) -> Result<Access, String> {
        let message = daybook_proto::descriptors().get_message_by_name("daybook.v1.Caller").expect("it is there");
        checked(&message, Some(access), thing).map_err(|error| error.problem)
    }

    fn access(who: &[Who], scope: &str, owner: Owner, owner_field: &str) -> Access {
        let who = who.iter().map(|who| i32::from(*who)).collect();
        Access { who, scope: scope.to_owned(), owner: owner.into(), owner_field: owner_field.to_owned() }
    }

    #[test]
    fn what_says_enough_is_taken() {
        let none = Owner::NoOwner;
        for (good, thing) in [
            (access(&[Who::Public], "", none, ""), Thing::ReadModel),
            (access(&[Who::Process], "", none, ""), Thing::Command),
            (access(&[Who::Staff, Who::Machine], "stock.write", none, ""), Thing::Command),
            (access(&[Who::Guest, Who::Customer, Who::Staff], "cart.write", Owner::Claims, ""), Thing::Command),
            (access(&[Who::Customer], "", Owner::Holds, ""), Thing::Command),
            (access(&[Who::Customer], "", Owner::Key, ""), Thing::ReadModel),
            (access(&[Who::Customer], "", Owner::Field, "id"), Thing::ReadModel),
        ] {
            assert_eq!(check(good.clone(), thing), Ok(good));
        }
    }

    #[test]
    fn what_says_too_little_or_what_can_t_be_is_refused_with_the_remedy() {
        let none = Owner::NoOwner;
        for (bad, thing, says) in [
            (access(&[], "", none, ""), Thing::Command, "names nobody"),
            (access(&[Who::Unspecified], "", none, ""), Thing::Command, "names nobody"),
            (access(&[Who::Staff], "", none, ""), Thing::Command, "needs a scope"),
            (access(&[Who::Process], "stock.write", none, ""), Thing::Command, "needs a scope"),
            (access(&[Who::Guest], "", none, ""), Thing::Command, "needs an owner"),
            (access(&[Who::Customer], "", none, ""), Thing::ReadModel, "needs an owner"),
            (access(&[Who::Customer], "", Owner::Key, ""), Thing::Command, "take CLAIMS or HOLDS"),
            (access(&[Who::Customer], "", Owner::Holds, ""), Thing::ReadModel, "take KEY or FIELD"),
            (access(&[Who::Customer], "", Owner::Field, ""), Thing::ReadModel, "owner_field"),
            (access(&[Who::Customer], "", Owner::Field, "name"), Thing::ReadModel, "owner_field"),
            (access(&[Who::Customer], "", Owner::Key, "id"), Thing::ReadModel, "owner_field"),
        ] {
            let why = check(bad.clone(), thing).expect_err("it is refused");
            assert!(why.contains(says), "{bad:?}: {why}");
        }
        let message = daybook_proto::descriptors().get_message_by_name("daybook.v1.Caller").expect("it is there");
        let error = checked(&message, None, Thing::Command).expect_err("it says nothing").to_string();
        assert!(error.contains("daybook.v1.Caller") && error.contains("daybook.v1.access"), "{error}");
    }
}
