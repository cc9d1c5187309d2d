//! A read model that is served: its name, its message, the form of its keys.

mod items;
mod key;

use std::sync::Arc;

use daybook_kernel::{Finisher, ReadModel};
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
    /// The parts of another read model that the items of a list, or of a page, get when they are served.
    pub fill: Option<Fill>,
    /// The last step before a page is served.
    pub finisher: Option<Finisher>,
}

/// Parts of another read model that are appended to each item: their fields must be the item's own, under the same numbers, or such
/// that the finisher does not read.
#[derive(Clone, Debug)]
pub struct Fill {
    /// The field that repeats the items.
    pub items: String,
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
            fill: model.fill.map(Fill::from),
            finisher: model.finisher.clone(),
        }
    }
}

impl From<daybook_kernel::Fill> for Fill {
    fn from(fill: daybook_kernel::Fill) -> Self {
        let daybook_kernel::Fill { items, by, model, parts } = fill;
        Self { items: items.to_owned(), by: by.to_owned(), model: model.to_owned(), parts: parts.to_owned() }
    }
}

/// A read model that is served.
pub(crate) struct ServedModel {
    pub(crate) model: QueryModel,
    /// The message that is served: what its parts merge to, or what the finisher makes of that.
    pub(crate) message: MessageDescriptor,
    /// The form of its keys.
    pub(crate) key_form: TextForm,
    /// Where it is a list: it has no root, and one field that repeats.
    pub(crate) items: Option<Items>,
    /// Where it is a page that is filled: the field whose items are.
    pub(crate) filled: Option<Items>,
    pub(crate) observers: Arc<Observers>,
}

impl ServedModel {
    /// A read model whose messages are described here.
    ///
    /// # Errors
    /// When one of them is not, or it can't be filled as it wants to be.
    pub(crate) fn new(model: QueryModel, descriptors: &DescriptorPool, observers: Observers) -> Result<Self, QueryError> {
        let merged = model.message(descriptors)?;
        let message = match &model.finisher {
            Some(finisher) => model.described(descriptors, finisher.message)?,
            None => merged.clone(),
        };
        let items = Items::of(&merged).filter(|_| model.root.is_none());
        let filled = match &model.fill {
            Some(fill) if items.is_none() => {
                let unlike =
                    || QueryError::Configuration(format!("{}: {} is no field of messages that is repeated", model.name, fill.items));
                Some(Items::named(&merged, &fill.items).ok_or_else(unlike)?)
            }
            _ => None,
        };
        Ok(Self { key_form: daybook_proto::key_form(&merged), items, filled, model, message, observers: Arc::new(observers) })
    }

    /// Whether its pages are made of more than the bytes of their parts: they are filled, or finished.
    pub(crate) fn is_made(&self) -> bool {
        self.filled.is_some() || self.model.finisher.is_some()
    }
}

impl QueryModel {
    /// The message that its parts merge to.
    ///
    /// # Errors
    /// When it is not described.
    pub(crate) fn message(&self, descriptors: &DescriptorPool) -> Result<MessageDescriptor, QueryError> {
        self.described(descriptors, &self.message)
    }

    fn described(&self, descriptors: &DescriptorPool, message: &str) -> Result<MessageDescriptor, QueryError> {
        let unknown = || QueryError::UnknownMessage { model: self.name.clone(), message: message.to_owned() };
        descriptors.get_message_by_name(message).ok_or_else(unknown)
    }
}
