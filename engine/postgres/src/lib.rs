//! Ways to reach a Postgres: which one, over TLS or not, under which role, alone or by a pool; and what an install has in it.
//!
//! | to … | use |
//! |---|---|
//! | know where a log partition or the read models are | [`Databases`] |
//! | connect | [`Connector`]; [`OwnConnection`] for a session that ends with its owner |
//! | share connections with the whole process | [`Databases::pool`] |
//! | have a pool of one's own | [`Connector::pool`] |
//! | look whether a URL can be one | [`Connector::check`] |
//! | bring a database to what this build needs | [`migrate_install`]; [`Migrating`] for a schema of one's own |
//! | have the install's secret | [`read_secret`] |
//!
//! A connection URL is `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=FILE`; its `sslmode` is
//! one of libpq's ([`TlsMode`]).

mod connector;
mod databases;
mod error;
mod migrate;
mod own;
mod pool;
mod pools;
mod role;
mod secret;
mod text;
mod tls;
mod url;

pub use connector::Connector;
pub use databases::{Databases, ServiceDatabases};
pub use error::{DatabaseError, Unreachable, describe};
pub use migrate::{Migrating, connect_owner, migrate_install};
pub use own::OwnConnection;
pub use pool::Pool;
pub use role::Role;
pub use secret::read_secret;
pub use text::storable;
pub use tls::TlsMode;
