//! Answers: a request's headers and parameters, waiting for its tokens, reading, and the response.

pub(crate) mod consistency;
pub(crate) mod events;
pub(crate) mod list;
mod live;
pub(crate) mod made;
pub(crate) mod negotiate;
pub(crate) mod past;
pub(crate) mod response;
mod serving;

pub(crate) use live::LiveQueries;
pub(crate) use serving::Serving;
