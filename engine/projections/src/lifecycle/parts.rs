//! All parts of a read model, as a tool reads them.

use daybook_postgres::{Databases, OwnConnection, Role};

use super::{LifecycleError, live_generation, sql};

/// Parts that are read at once.
const AT_ONCE: i64 = 10_000;

/// Hands over every part of the generation that is served: its key and its bytes, in the order of keys. What changes meanwhile is seen as it
/// was, or as it is.
///
/// # Errors
/// When the read database does not answer, or was never migrated.
pub async fn each_part(databases: &Databases, model: &str, mut part: impl FnMut(&str, &[u8])) -> Result<(), LifecycleError> {
    let client = OwnConnection::new(databases.read_url(), Some(Role::Query), &[], "daybook report").await?;
    let live = live_generation(&client, model).await?;
    let statement = client.prepare(&sql::READ_PARTS.replace("{parts}", &live.parts)).await?;
    let mut place = (String::new(), String::new());
    loop {
        let rows = client.query(&statement, &[&place.0, &place.1, &AT_ONCE]).await?;
        for row in &rows {
            part(row.get(0), row.get(2));
        }
        match rows.last() {
            Some(last) => place = (last.get(0), last.get(1)),
            None => return Ok(()),
        }
    }
}
