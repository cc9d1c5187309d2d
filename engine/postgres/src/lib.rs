//! How a Postgres is reached: which one, over TLS or not, under which role, alone or by a pool.
//!
//! | to … | use |
//! |---|---|
//! | know where a log partition or the read models are | [`Databases`] |
//! | connect | [`Connector`]; [`OwnConnection`] for a session that ends with who asked for it |
//! | share connections | [`Connector::pool`] |
//!
//! A connection URL is `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=FILE`; its `sslmode` is
//! that of libpq ([`TlsMode`]).

mod connector;
mod databases;
mod error;
mod own;
mod role;
mod tls;

pub use connector::Connector;
pub use databases::{Databases, ServiceDatabases};
pub use error::{DatabaseError, describe};
pub use own::OwnConnection;
pub use role::Role;
pub use tls::TlsMode;
