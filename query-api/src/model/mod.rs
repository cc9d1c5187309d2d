//! A read model that is served: its name, its message, the form of its keys.

mod items;
mod key;

use std::sync::Arc;

use daybook_kernel::ReadModel;
use daybook_proto::TextForm;
use prost_reflect::{DescriptorPool, MessageDescriptor};

pub(crate) use items::Items;
pub(crate) use key::{KEY, MAX_KEY, key};

use crate::QueryError;
use crate::observers::Observers;

/// One read model, as far as serving it needs to know.
#[derive(Clone, Debug)]
pub struct QueryModel {
    /// As URLs name it, for example `product-pages`.
    pub name: String,
    /// Full protobuf name of the message that its parts merge to.
    pub message: String,
    /// Parts whose id begins with this must be there, or the key does not exist. None: a list, which always does.
    pub root: Option<String>,
    /// The services whose logs it reads: positions in others are no matter of it.
    pub services: Vec<String>,
    /// The parts of another read model that the items of a list get when they are served.
    pub fill: Option<Fill>,
}

/// Parts of another read model that are appended to each item of a list: their fields must be the item's own, under
/// the same numbers.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The item's field that holds the other one's key.
    pub by: String,
    /// The other read model.
    pub model: String,
    /// The beginning of the ids of its parts.
    pub parts: String,
}

impl From<&ReadModel> for QueryModel {
    fn from(model: &ReadModel) -> Self {
        Self {
            name: model.name.to_owned(),
            message: model.message.to_owned(),
            root: model.root.map(str::to_owned),
            services: model.services().into_iter().map(str::to_owned).collect(),
            fill: model.fill.map(|f| Fill { by: f.by.to_owned(), model: f.model.to_owned(), parts: f.parts.to_owned() }),
        }
    }
}

/// A read model that is served.
pub(crate) struct ServedModel {
    pub(crate) model: QueryModel,
    pub(crate) message: MessageDescriptor,
    /// The form of its keys.
    pub(crate) key_form: TextForm,
    /// Where it is a list: it has no root, and one field that repeats.
    pub(crate) items: Option<Items>,
    pub(crate) observers: Arc<Observers>,
}

impl ServedModel {
    /// A read model whose parts merge to this message.
    pub(crate) fn new(model: QueryModel, message: MessageDescriptor, observers: Observers) -> Self {
        let items = Items::of(&message).filter(|_| model.root.is_none());
        Self { key_form: daybook_proto::key_form(&message), items, model, message, observers: Arc::new(observers) }
    }
}

impl QueryModel {
    /// The message that its parts merge to.
    ///
    /// # Errors
    /// When it is not described.
    pub(crate) fn message(&self, descriptors: &DescriptorPool) -> Result<MessageDescriptor, QueryError> {
        let unknown = || QueryError::UnknownMessage { model: self.name.clone(), message: self.message.clone() };
        descriptors.get_message_by_name(&self.message).ok_or_else(unknown)
    }
}
