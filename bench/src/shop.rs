//! Products to read: made, and changed, through the command endpoint.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::Connection;

/// Products that are made at once.
const AT_ONCE: u64 = 64;

/// Products of one run of a measurement.
pub(crate) struct Shop {
    run: String,
    pub(crate) products: u64,
    commands: SocketAddr,
    keys: AtomicU64,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// Of the product's stream, after it.
    pub(crate) version: u64,
    pub(crate) token: String,
}

impl Shop {
    /// Makes the products, each with stock in two warehouses, and waits until their pages are there.
    ///
    /// # Errors
    /// When a command is not accepted, or a page does not come.
    pub(crate) async fn open(commands: SocketAddr, queries: SocketAddr, products: u64) -> anyhow::Result<Arc<Self>> {
        let run = Uuid::new_v4().simple().to_string()[..8].to_owned();
        let shop = Arc::new(Self { run, products, commands, keys: AtomicU64::new(0) });
        let making = (0..AT_ONCE).map(|first| {
            let shop = shop.clone();
            tokio::spawn(async move {
                let mut connection = Connection::new(shop.commands);
                let mut last = Vec::new();
                for n in (first..shop.products).step_by(AT_ONCE as usize) {
                    last = shop.make(&mut connection, n).await?;
                }
                anyhow::Ok(last)
            })
        });
        let mut tokens = Vec::new();
        for made in making.collect::<Vec<_>>() {
            tokens.extend(made.await.context("a client panicked")??);
        }
        let mut connection = Connection::new(queries);
        for token in tokens {
            let request =
                format!("GET /v1/product-pages/none HTTP/1.1\r\nHost: daybook\r\nPrefer: wait=30\r\nConsistency-Token: {token}\r\n\r\n");
            let answer = connection.send(request.as_bytes()).await?;
            if answer.status != 404 {
                bail!("the pages have not got to {token}: {}", String::from_utf8_lossy(answer.body));
            }
        }
        Ok(shop)
    }

    /// The address for commands.
    pub(crate) fn address(&self) -> SocketAddr {
        self.commands
    }

    /// The n-th product's SKU.
    pub(crate) fn sku(&self, n: u64) -> String {
        format!("bench-{}-{n}", self.run)
    }

    /// Asks for the n-th product's page as it is at this token, or later.
    pub(crate) fn page_request(&self, n: u64, token: &str) -> String {
        let sku = self.sku(n);
        format!("GET /v1/product-pages/{sku} HTTP/1.1\r\nHost: daybook\r\nPrefer: wait=10\r\nConsistency-Token: {token}\r\n\r\n")
    }

    async fn make(&self, connection: &mut Connection, n: u64) -> anyhow::Result<Vec<String>> {
        let sku = self.sku(n);
        let attributes: serde_json::Map<String, Value> =
            (0..12).map(|a| (format!("attribute {a}"), format!("value {} of {n}", a * 7).into())).collect();
        let create = json!({
            "sku": sku, "title": format!("Product {n} of a measurement, in a colour that people like"),
            "description": "It does what one expects of it, it keeps for years, and it can be mended. ".repeat(5),
            "brand": format!("Brand {}", n % 50), "category": format!("Bench/Category {}", n % 20),
            "price": { "currency": "EUR", "minorUnits": 1_000 }, "attributes": attributes,
        });
        let mut tokens = vec![self.post(connection, "catalog/create-product", &create).await?.token];
        for warehouse in ["w-1", "w-2"] {
            let receive = json!({ "sku": sku, "warehouse": warehouse, "quantity": 100 });
            tokens.push(self.post(connection, "inventory/receive-stock", &receive).await?.token);
        }
        Ok(tokens)
    }

    /// Gives the n-th product a list price of `minor_units`, and a sale price of one less.
    ///
    /// # Errors
    /// When the command is not accepted.
    pub(crate) async fn reprice(&self, connection: &mut Connection, n: u64, minor_units: u64) -> anyhow::Result<Changed> {
        let body = json!({
            "sku": self.sku(n), "price": { "currency": "EUR", "minorUnits": minor_units }, "sale": { "minorUnits": minor_units - 1 },
        });
        self.post(connection, "catalog/reprice-product", &body).await
    }

    /// Posts a command, again until it is decided.
    ///
    /// # Errors
    /// When it is not accepted.
    pub(crate) async fn post(&self, connection: &mut Connection, command: &str, body: &Value) -> anyhow::Result<Changed> {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let body = body.to_string();
        let request = format!(
            "POST /v1/{command} HTTP/1.1\r\nHost: daybook\r\nContent-Type: application/json\r\nPrefer: wait=30\r\n\
             Idempotency-Key: {}-{key}\r\nContent-Length: {}\r\n\r\n{body}",
            self.run,
            body.len()
        );
        // The server may be closing idle connections, or be shedding: the same key again does no harm.
        for _ in 0..50 {
            match connection.send(request.as_bytes()).await {
                Ok(answer) if answer.status == 200 => {
                    let said: Value = serde_json::from_slice(answer.body)?;
                    let token = said["token"].as_str().context("an answer has a token")?.to_owned();
                    return Ok(Changed { version: said["version"].as_u64().context("an answer has a version")?, token });
                }
                Ok(answer) if matches!(answer.status, 429 | 503) => {}
                Ok(answer) => bail!("{command}: {}", String::from_utf8_lossy(answer.body)),
                Err(_) => {}
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        bail!("{command} was not answered")
    }
}
