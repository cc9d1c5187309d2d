//! A shop with one lamp at 19.99 and one warehouse, a payment provider and a carrier beside it, and what people do there, over HTTP.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use daybook_process::shutdown;
use daybook_testkit::eventually;
use reqwest::StatusCode;
use serde_json::{Value, json};
use shop_simulators::{Captures, NoticesTo, Options, Running, signature, start_carrier, start_payment_provider};

use crate::support::{Install, Process};

/// The secret that notices are signed with.
const SECRET: &str = "a secret of the tests, and long enough";

pub(crate) struct Shop {
    pub(crate) install: Install,
    pub(crate) up: Process,
    /// Of the payment provider.
    provider: SocketAddr,
    carrier: SocketAddr,
    _running: (Running, Running),
    _stop: tokio::sync::watch::Sender<bool>,
}

/// The page that was seen last: told where a wait for something else ends in vain.
#[derive(Default)]
struct Last(Mutex<Option<Value>>);

impl Last {
    fn seen(&self, page: Option<Value>) -> Option<Value> {
        self.0.lock().expect("nobody panics with it").clone_from(&page);
        page
    }
}

impl Drop for Last {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seen last: {:?}", self.0.lock());
        }
    }
}

impl Shop {
    /// With 100 lamps.
    pub(crate) async fn open() -> Self {
        Self::with(Captures::Many, &[]).await
    }

    /// With a provider that captures so, and these waits.
    pub(crate) async fn with(captures: Captures, waits: &[&str]) -> Self {
        Self::set_up(captures, waits, |_| {}).await
    }

    /// The same, with other variables of its processes.
    pub(crate) async fn set_up(captures: Captures, waits: &[&str], vary: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Self {
        let mut install = Install::new().await;
        let port = free_port();
        let (stop, stopped) = shutdown();
        let options = |of: &str| Options {
            listen: "127.0.0.1:0".parse().expect("an address"),
            notices: Some(NoticesTo { url: format!("http://127.0.0.1:{port}/v1/webhooks/{of}"), secret: SECRET.into() }),
            answer: Duration::from_millis(5),
            state: None,
        };
        let provider = start_payment_provider(options("payment"), captures, stopped.clone()).await.expect("a free port");
        let carrier = start_carrier(options("carrier"), stopped).await.expect("a free port");
        let secret = std::env::temp_dir().join(format!("daybook-webhook-{}", uuid::Uuid::new_v4()));
        std::fs::write(&secret, SECRET).expect("a file");
        let secret = secret.to_str().expect("a path").to_owned();
        install.variables.extend([
            ("DAYBOOK_COMMANDS_LISTEN", format!("127.0.0.1:{port}")),
            ("DAYBOOK_QUERIES_LISTEN", "127.0.0.1:0".to_owned()),
            ("DAYBOOK_PAYMENT_URL", format!("http://{}", provider.address())),
            ("DAYBOOK_CARRIER_URL", format!("http://{}", carrier.address())),
            ("DAYBOOK_PAYMENT_WEBHOOK_SECRET_FILE", secret.clone()),
            ("DAYBOOK_CARRIER_WEBHOOK_SECRET_FILE", secret),
            ("DAYBOOK_WAITS", waits.join(",")),
        ]);
        install.variables.retain(|(name, value)| *name != "DAYBOOK_WAITS" || !value.is_empty());
        vary(&mut install.variables);
        let up = install.start(&["up"]).await;
        let addresses = (provider.address(), carrier.address());
        let shop = Self { install, up, provider: addresses.0, carrier: addresses.1, _running: (provider, carrier), _stop: stop };
        shop.done("inventory/open-warehouse", &json!({ "warehouse": "w-1", "priority": 1, "countries": ["DE"] })).await;
        shop.done("catalog/create-product", &lamp(1999)).await;
        shop.receive("A-1", "w-1", 100).await;
        eventually("the warehouse to be listed", || async {
            shop.page("warehouses", "DE").await.filter(|list| list["items"].as_array().is_some_and(|all| !all.is_empty()))
        })
        .await;
        shop
    }

    /// Another process takes the place of this one, which is killed.
    pub(crate) async fn die_and_start_again(&mut self) {
        self.up.signal("KILL");
        self.up.ended_by().await;
        self.up = self.install.start(&["up"]).await;
    }

    /// Pieces come, and their page shows them.
    pub(crate) async fn receive(&self, sku: &str, warehouse: &str, quantity: u32) {
        let result = self.done("inventory/receive-stock", &json!({ "sku": sku, "warehouse": warehouse, "quantity": quantity })).await;
        self.at("product-pages", sku, &result["token"]).await;
    }

    /// A command that is answered with this status. Each has a key of its own.
    pub(crate) async fn command(&self, path: &str, body: &Value) -> (u16, Value) {
        let key = uuid::Uuid::new_v4().to_string();
        self.install.post(&self.up.commands, path, &key, body).await.expect("the endpoint answers")
    }

    pub(crate) async fn done(&self, path: &str, body: &Value) -> Value {
        let (status, result) = self.command(path, body).await;
        assert_eq!(status, 200, "{path} {body}: {result}");
        result
    }

    /// The refusal's code.
    pub(crate) async fn refused(&self, path: &str, body: &Value) -> (String, Value) {
        let (status, problem) = self.command(path, body).await;
        assert_eq!(status, 409, "{path} {body}: {problem}");
        let code = problem["type"].as_str().and_then(|t| t.strip_prefix("urn:daybook:refusal:")).expect("a refusal").to_owned();
        (code, problem)
    }

    pub(crate) async fn page(&self, model: &str, key: &str) -> Option<Value> {
        let request = self.install.client.get(format!("{}/v1/{model}/{key}", self.up.queries));
        let response = request.send().await.expect("the query API answers");
        if response.status() == StatusCode::OK { Some(response.json().await.expect("JSON")) } else { None }
    }

    /// A page that shows what this token rests on.
    pub(crate) async fn at(&self, model: &str, key: &str, token: &Value) -> Option<Value> {
        let token = token.as_str().expect("a token").to_owned();
        let request = self.install.client.get(format!("{}/v1/{model}/{key}", self.up.queries)).header("Consistency-Token", token);
        let response = request.header("Prefer", "wait=20").send().await.expect("the query API answers");
        if response.status() == StatusCode::OK { Some(response.json().await.expect("JSON")) } else { None }
    }

    /// Waits until an order is in this state.
    pub(crate) async fn order(&self, id: &str, status: &str) -> Value {
        let what = format!("order {id} to be {status}");
        let status = format!("ORDER_STATUS_{status}");
        let last = Last::default();
        eventually(&what, || async { last.seen(self.page("orders", id).await).filter(|order| order["status"] == status.as_str()) }).await
    }

    /// Waits until nothing is under way any more, but deadlines that are not due.
    pub(crate) async fn quiet(&self) {
        eventually("all to be done", || async {
            let mut open = 0;
            for service in ["catalog", "inventory", "customer", "cart", "order", "payment", "shipping"] {
                open += self.install.count(&format!("SELECT count(*) FROM \"{service}\".call WHERE due_at <= now()")).await;
                open += self.install.count(&format!("SELECT count(*) FROM \"{service}\".reactor WHERE settled < next_offset")).await;
            }
            (open == 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn with_cart(&self, cart: &str, quantity: u32) {
        self.done("cart/add-item", &json!({ "cartId": cart, "sku": "A-1", "quantity": quantity })).await;
    }

    /// A cart of so many lamps is checked out, and paid by these means.
    pub(crate) async fn buy(&self, order: &str, quantity: u32, token: &str) {
        let cart = format!("k-{order}");
        self.with_cart(&cart, quantity).await;
        let mut body = checkout(&cart, order, 1999 * quantity);
        body["payment"]["token"] = json!(token);
        self.done("cart/checkout", &body).await;
    }

    pub(crate) async fn events(&self, service: &str, stream: &str) -> Vec<String> {
        let sql = format!("SELECT type FROM \"{service}\".event WHERE stream_id = $1 ORDER BY version");
        let rows = self.install.database.owner().await.query(&sql, &[&stream]).await.expect("readable");
        rows.iter().map(|row| row.get::<_, String>(0)).map(|name| name.rsplit('.').next().unwrap_or_default().to_owned()).collect()
    }

    /// What stands on the shelf and what is promised, as the page has it once all is quiet.
    pub(crate) async fn stock(&self, sku: &str, warehouse: &str) -> (u64, u64) {
        let page = self.page("product-pages", sku).await.expect("it is on sale");
        let lines = page["stock"].as_array().expect("a list").clone();
        let line = lines.into_iter().find(|line| line["warehouse"] == warehouse).expect("a warehouse of it");
        (line["onHand"].as_u64().expect("a number"), line["reserved"].as_u64().expect("a number"))
    }

    /// The provider's books of an order: authorised, captured, refunded, and whether it is voided; all attempts together.
    pub(crate) async fn books(&self, order: &str) -> (i64, i64, i64, bool) {
        let books: Value = self.provider_get("/books").await;
        let payments = books["payments"].as_array().expect("a list").clone();
        let of: Vec<Value> = payments.into_iter().filter(|payment| payment["order"] == order).collect();
        let sum = |what: &str| of.iter().map(|payment| payment[what].as_i64().unwrap_or_default()).sum();
        (sum("authorised"), sum("captured"), sum("refunded"), of.iter().any(|payment| payment["voided"].as_i64().unwrap_or_default() > 0))
    }

    /// All is quiet, nothing is held and nothing was taken for an order that is over.
    pub(crate) async fn nothing_left_of(&self, order: &str) {
        self.quiet().await;
        let (authorised, captured, refunded, voided) = self.books(order).await;
        assert_eq!(captured, refunded, "{order}: what was taken is given back");
        assert!(authorised == 0 || voided || captured > 0, "{order}: an authorisation stands open");
    }

    /// The provider's payment of an order.
    pub(crate) async fn looked_at(&self, order: &str) -> Value {
        let books = self.provider_get("/books").await;
        let all = books["payments"].as_array().expect("a list").clone();
        all.into_iter().find(|payment| payment["order"] == order).expect("the provider knows it")
    }

    pub(crate) fn provider_url(&self) -> String {
        format!("http://{}", self.provider)
    }

    pub(crate) async fn provider_get(&self, path: &str) -> Value {
        let response = self.install.client.get(format!("{}{path}", self.provider_url())).send().await.expect("the provider answers");
        response.json().await.expect("JSON")
    }

    pub(crate) async fn provider_post(&self, path: &str, body: &Value) -> u16 {
        let request = self.install.client.post(format!("http://{}{path}", self.provider)).json(body);
        request.header("Idempotency-Key", uuid::Uuid::new_v4().to_string()).send().await.expect("the provider answers").status().as_u16()
    }

    /// The customer goes where the order's page says, and pays there.
    pub(crate) async fn act(&self, order: &str) {
        let page = self.order(order, "ACTION_REQUIRED").await;
        let id = page["actionUrl"].as_str().and_then(|url| url.rsplit('/').next()).expect("where to go").to_owned();
        assert_eq!(self.provider_post(&format!("/act/{id}"), &json!({})).await, 200, "{order}");
    }

    pub(crate) async fn provider_faults(&self, faults: &Value) {
        let request = self.install.client.put(format!("http://{}/faults", self.provider)).json(faults);
        assert!(request.send().await.expect("the provider answers").status().is_success());
    }

    pub(crate) async fn carrier_post(&self, path: &str) -> u16 {
        let request = self.install.client.post(format!("http://{}{path}", self.carrier));
        request.send().await.expect("the carrier answers").status().as_u16()
    }

    /// A notice of the provider, as somebody sends it who knows the secret, or does not.
    pub(crate) async fn notice(&self, body: &Value, secret: &str) -> u16 {
        let (text, now) = (body.to_string(), chrono::Utc::now().timestamp());
        let request = self.install.client.post(format!("{}/v1/webhooks/payment", self.up.commands));
        let request =
            request.header("Simulator-Signature", signature(secret, now, &text)).header("Content-Type", "application/json").body(text);
        request.send().await.expect("the endpoint answers").status().as_u16()
    }

    pub(crate) async fn signed(&self, body: &Value) -> u16 {
        self.notice(body, SECRET).await
    }

    /// Waits until a shipment can be dispatched.
    pub(crate) async fn packed(&self, order: &str, number: u32) {
        eventually("the shipment to be there", || async { self.page("shipments", &format!("{order}@{number}")).await }).await;
    }

    pub(crate) async fn captured(&self, order: &str, units: i64) {
        eventually("the money to be taken", || async { (self.books(order).await.1 == units).then_some(()) }).await;
    }

    pub(crate) async fn dispatch(&self, order: &str, number: u32) {
        self.done("shipping/dispatch-shipment", &json!({ "orderId": order, "number": number })).await;
    }

    pub(crate) async fn delivered(&self, order: &str, number: u32) {
        self.done("shipping/record-delivered", &json!({ "orderId": order, "number": number })).await;
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

pub(crate) fn lamp(minor_units: u32) -> Value {
    json!({ "sku": "A-1", "title": "Lamp", "price": { "currency": "EUR", "minorUnits": minor_units } })
}

pub(crate) fn checkout(cart: &str, order: &str, expected: u32) -> Value {
    json!({
        "cartId": cart, "orderId": order, "customerId": "c-1", "email": "someone@example.org", "delivery": "standard",
        "shippingAddress": { "name": "Some One", "line1": "1 Street", "city": "Town", "postalCode": "12345", "country": "DE" },
        "payment": { "token": "tok_ok" },
        "expectedTotal": { "currency": "EUR", "minorUnits": expected }
    })
}
