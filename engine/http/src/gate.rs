//! The gate of a surface: a request's caller is known before anything is answered.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;
use daybook_proto::v1::Caller;

use crate::Problem;

type Pass = dyn Fn(&Parts) -> Result<Arc<Caller>, Problem> + Send + Sync;

/// Gives each request its caller, by the request's head, or the problem that it is answered with. Cheap to clone.
///
/// Every answer of a surface comes after it, 404, 405, 501 and answers from memory too. Two things have no caller and so come
/// before it: a browser's preflight of CORS, which carries no credentials (Fetch standard), and bytes that are no HTTP request at all.
#[derive(Clone)]
pub struct Gate(Arc<Pass>);

impl Gate {
    /// A gate that works a caller out. It is asked once a request, on the connection's task: it must not block.
    pub fn new(pass: impl Fn(&Parts) -> Result<Arc<Caller>, Problem> + Send + Sync + 'static) -> Self {
        Self(Arc::new(pass))
    }

    /// Lets everybody in, as [`Caller::anonymous`].
    pub fn anonymous() -> Self {
        let anybody = Arc::new(Caller::anonymous());
        Self::new(move |_| Ok(anybody.clone()))
    }

    pub(crate) fn pass(&self, head: &Parts) -> Result<Arc<Caller>, Problem> {
        (self.0)(head)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}
