//! Read models: their parts in Postgres, and what the query API says of each key.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use crate::evidence::{Part, Served};
use crate::history::Answer;
use crate::shop::Keys;
use crate::workload::{Http, Server};

/// The parts of every read model's live generation.
///
/// # Errors
/// When Postgres does not answer.
pub(super) async fn parts(client: &Client) -> anyhow::Result<BTreeMap<String, Vec<Part>>> {
    let mut all = BTreeMap::new();
    for row in client.query("SELECT projection, parts FROM read.generation WHERE state = 'live'", &[]).await? {
        let (model, table): (String, String) = (row.get(0), row.get(1));
        let rows = client.query(&format!("SELECT key, part, bytes FROM read.{table} ORDER BY key, part"), &[]).await?;
        let parts = rows.iter().map(|r| Part { key: r.get(0), part: r.get(1), bytes: r.get(2) }).collect();
        all.insert(model, parts);
    }
    Ok(all)
}

/// Answers of every query API for every key that was ever named, and all that it finds.
///
/// # Errors
/// When one of them does not answer.
pub(super) async fn served(http: &Http, queries: &[Server], keys: &Keys) -> anyhow::Result<Vec<Served>> {
    let mut all = Vec::new();
    for at in queries {
        for (model, keys, is_list) in keys.of_models() {
            for key in keys {
                // A list is read page by page, and told as one.
                let (status, body) = match is_list {
                    true => (200, whole_list(http, at, model, key, "").await?),
                    false => match http.page(at, model, key, "", &[]).await {
                        Answer::Page { status, body, .. } => (status, body),
                        told => anyhow::bail!("{model}/{key} of {}: {told:?}", at.name),
                    },
                };
                all.push(Served { model: model.to_owned(), key: key.clone(), at: at.name.clone(), status, body });
            }
        }
        let (model, key, query) = Keys::search();
        let body = whole_list(http, at, model, key, query).await?;
        all.push(Served { model: model.to_owned(), key: key.to_owned(), at: at.name.clone(), status: 200, body });
    }
    Ok(all)
}

async fn whole_list(http: &Http, at: &Server, model: &str, key: &str, filter: &str) -> anyhow::Result<serde_json::Value> {
    let mut items = Vec::new();
    let mut next = String::new();
    loop {
        let told = http.page(at, model, key, &format!("{filter}page_size=100&page_token={next}"), &[]).await;
        let Answer::Page { status: 200, mut body, .. } = told else { anyhow::bail!("{model}/{key} of {}: {told:?}", at.name) };
        items.extend(body["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        match body["nextPageToken"].as_str() {
            Some(token) if !token.is_empty() => next = token.to_owned(),
            _ => return Ok(serde_json::json!({ "items": items })),
        }
    }
}
