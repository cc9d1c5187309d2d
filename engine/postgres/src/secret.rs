//! The install's secret, which handles, page tokens and the engine's own messages are signed by. It stands in the default database.

use daybook_kernel::Secret;
use tokio_postgres::Client;

use crate::{Connector, DatabaseError, Databases, Role};

/// Makes the secret where there is none.
pub(crate) async fn make(client: &Client) -> Result<(), DatabaseError> {
    // Two random UUIDs of the server's strong source: 244 random bits.
    let sql = "INSERT INTO daybook.secret (name, value) SELECT 'mac', sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) ON CONFLICT DO NOTHING";
    client.execute(sql, &[]).await?;
    Ok(())
}

/// The install's secret.
///
/// # Errors
/// When the database can't be reached, or was not migrated.
pub async fn read_secret(databases: &Databases, role: Role) -> Result<Secret, DatabaseError> {
    let (client, connection) = Connector::new(databases.default_url(), Some(role), &[], "daybook")?.connect().await?;
    let driving = tokio::spawn(connection);
    let row = client.query_one("SELECT value FROM daybook.secret WHERE name = 'mac'", &[]).await?;
    drop(client);
    let _ = driving.await;
    Ok(Secret::new(row.get::<_, Vec<u8>>(0)))
}
