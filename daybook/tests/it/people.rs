//! Customers, whose an e-mail address is, and what they mean to buy one day, over HTTP.

use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::shop::{Shop, checkout};

fn registration(customer: &str, email: &str) -> Value {
    json!({ "customerId": customer, "email": email, "name": "Some One" })
}

impl Shop {
    /// Waits until a customer stands so.
    async fn customer(&self, id: &str, status: &str) -> Value {
        let status = format!("CUSTOMER_STATUS_{status}");
        let is_it = |page: &Value| page["status"] == status.as_str();
        eventually(&format!("{id} to be {status}"), || async { self.page("customers", id).await.filter(is_it) }).await
    }

    /// Waits until a customer's page is so.
    async fn account(&self, id: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async { self.page("customers", id).await.filter(&is_it) }).await
    }

    /// How many such events the streams of e-mail addresses have; what they are called tells no address.
    async fn of_addresses(&self, kind: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM customer.event WHERE stream_id LIKE 'email/%' AND type LIKE '%.{kind}'");
        self.install.count(&sql).await
    }

    /// Waits until so many claims were given up, and their addresses are anybody's.
    async fn released(&self, claims: i64) {
        eventually("the address to be free", || async { (self.of_addresses("EmailReleased").await == claims).then_some(()) }).await;
    }

    /// The SKUs of a wishlist as it is with this token.
    async fn wishes(&self, customer: &str, token: &Value) -> Vec<Value> {
        let list = self.at("wishlists", customer, token).await.expect("a list");
        list["items"].as_array().expect("a list").clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_register_one_address_one_has_it_and_it_is_free_when_they_leave() {
    let shop = Shop::open().await;
    // Capitals make no other address.
    let (first, second) = (registration("c-1", "Some.One@example.org"), registration("c-2", "some.one@example.org"));
    tokio::join!(shop.done("customer/register-customer", &first), shop.done("customer/register-customer", &second));
    let decided = |page: &Value| page["status"] != "CUSTOMER_STATUS_PENDING";
    let one = shop.account("c-1", "the first to hear of it", decided).await;
    let other = shop.account("c-2", "the second to hear of it", decided).await;
    let (theirs, rejected) = if one["status"] == "CUSTOMER_STATUS_ACTIVE" { (one, other) } else { (other, one) };
    assert_eq!(theirs["status"], "CUSTOMER_STATUS_ACTIVE", "{rejected}");
    assert_eq!((&rejected["status"], &rejected["email"]), (&json!("CUSTOMER_STATUS_REJECTED"), &json!("")), "{theirs}");
    let same = |page: &Value, field: &str| page[field].as_str().is_some_and(|email| email.eq_ignore_ascii_case("some.one@example.org"));
    assert!(same(&theirs, "email") && same(&rejected, "takenEmail"), "{theirs} {rejected}");
    assert_eq!((shop.of_addresses("EmailClaimed").await, shop.of_addresses("EmailTaken").await), (1, 1));
    // Nobody of that name is a customer, and another registration may follow: it comes to nothing as long as the address is taken.
    let (holder, loser) = (theirs["customerId"].as_str().expect("an id"), rejected["customerId"].as_str().expect("an id"));
    let (code, _) = shop.refused("customer/change-contact", &json!({ "customerId": loser, "name": "Nobody" })).await;
    assert_eq!(code, "customer-unknown");
    shop.done("customer/register-customer", &registration(loser, "SOME.ONE@EXAMPLE.ORG")).await;
    eventually("the address to be asked for again", || async { (shop.of_addresses("EmailTaken").await == 2).then_some(()) }).await;
    shop.customer(loser, "REJECTED").await;
    let (code, _) = shop.refused("customer/register-customer", &registration(holder, "another@example.org")).await;
    assert_eq!(code, "customer-exists");

    shop.done("customer/close-account", &json!({ "customerId": holder, "reason": "Too many lamps." })).await;
    let closed = shop.customer(holder, "CLOSED").await;
    assert_eq!((&closed["email"], &closed["name"], &closed["addresses"]), (&json!(""), &json!(""), &json!([])));
    shop.released(1).await;
    shop.done("customer/register-customer", &registration("c-3", "some.one@example.org")).await;
    let third = shop.customer("c-3", "ACTIVE").await;
    assert_eq!(third["email"], "some.one@example.org");
    // The account is closed for good.
    let (code, _) = shop.refused("customer/register-customer", &registration(holder, "some.one@example.org")).await;
    assert_eq!(code, "account-is-closed");
    let again = shop.done("customer/close-account", &json!({ "customerId": holder, "reason": "" })).await;
    assert_eq!(again["events"], json!([]));
    shop.quiet().await;
    assert_eq!(shop.install.count("SELECT count(DISTINCT stream_id) FROM customer.event WHERE stream_id LIKE 'email/%'").await, 1);
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_who_changes_their_address_gives_up_the_old_one_and_keeps_it_where_the_new_one_is_taken() {
    let shop = Shop::open().await;
    shop.done("customer/register-customer", &registration("c-1", "old@example.org")).await;
    shop.customer("c-1", "ACTIVE").await;
    let changed = json!({ "customerId": "c-1", "email": "new@example.org", "name": "Any One", "phone": "+49 30 123456" });
    shop.done("customer/change-contact", &changed).await;
    let page = shop.account("c-1", "the new address to be theirs", |page| page["email"] == "new@example.org").await;
    assert_eq!([&page["askedEmail"], &page["name"], &page["phone"]], [&json!(""), &json!("Any One"), &json!("+49 30 123456")]);
    // The old one is anybody's.
    shop.released(1).await;
    shop.done("customer/register-customer", &registration("c-2", "old@example.org")).await;
    shop.customer("c-2", "ACTIVE").await;
    // And the new one is not.
    shop.done("customer/change-contact", &json!({ "customerId": "c-2", "email": "new@example.org" })).await;
    let page = shop.account("c-2", "the second to be told", |page| page["takenEmail"] == "new@example.org").await;
    assert_eq!(
        [&page["status"], &page["email"], &page["askedEmail"]].map(|field| field.as_str().expect("text")),
        ["CUSTOMER_STATUS_ACTIVE", "old@example.org", ""]
    );
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customers_addresses_are_on_their_page_as_they_were_said_last() {
    let shop = Shop::open().await;
    let street = |line: &str| json!({ "name": "Some One", "line1": line, "city": "Town", "postalCode": "12345", "country": "DE" });
    let of = |id: &str, line: &str| json!({ "customerId": "c-1", "addressId": id, "address": street(line) });
    let (code, _) = shop.refused("customer/add-address", &of("home", "1 Street")).await;
    assert_eq!(code, "customer-unknown");
    shop.done("customer/register-customer", &registration("c-1", "someone@example.org")).await;
    for (id, line) in [("home", "1 Street"), ("work", "2 Street")] {
        shop.done("customer/add-address", &of(id, line)).await;
    }
    let (code, _) = shop.refused("customer/add-address", &of("home", "3 Street")).await;
    assert_eq!(code, "address-exists");
    shop.done("customer/change-address", &of("home", "3 Street")).await;
    let dropped = shop.done("customer/drop-address", &json!({ "customerId": "c-1", "addressId": "work" })).await;
    let page = shop.at("customers", "c-1", &dropped["token"]).await.expect("it is there");
    let all: Vec<_> = page["addresses"].as_array().expect("a list").iter().map(|a| (&a["addressId"], &a["address"]["line1"])).collect();
    assert_eq!(all, [(&json!("home"), &json!("3 Street"))]);
    let (code, _) = shop.refused("customer/change-address", &of("work", "2 Street")).await;
    assert_eq!(code, "unknown-address");
    shop.customer("c-1", "ACTIVE").await;
    shop.install.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_remembered_goes_to_the_cart_once_and_is_bought() {
    let shop = Shop::open().await;
    let wish = |sku: &str| json!({ "customerId": "c-1", "sku": sku });
    shop.done("cart/save-item", &wish("never-made")).await;
    let saved = shop.done("cart/save-item", &wish("A-1")).await;
    let wishes = shop.wishes("c-1", &saved["token"]).await;
    // The newest first, with what the shop says of it now: nothing of what it does not sell.
    let shown: Vec<_> = wishes.iter().map(|item| [&item["sku"], &item["title"], &item["price"]["minorUnits"]]).collect();
    assert_eq!(shown, [[&json!("A-1"), &json!("Lamp"), &json!("1999")], [&json!("never-made"), &json!(""), &Value::Null]]);
    assert_eq!(wishes[0]["stock"][0]["available"], 100);
    assert_eq!(shop.done("cart/save-item", &wish("A-1")).await["events"], json!([]), "it is there already");

    shop.with_cart("k-1", 1).await;
    let to_cart = json!({ "customerId": "c-1", "sku": "A-1", "cartId": "k-1", "quantity": 2 });
    let moved = shop.done("cart/move-to-cart", &to_cart).await;
    let left: Vec<Value> = shop.wishes("c-1", &moved["token"]).await.into_iter().map(|item| item["sku"].clone()).collect();
    assert_eq!(left, ["never-made"]);
    let has_come = |page: &Value| page["lines"][0]["quantity"] == 3;
    let cart = eventually("the cart to have it", || async { shop.page("carts", "k-1").await.filter(has_come) }).await;
    let line = &cart["lines"][0];
    assert_eq!([&line["title"], &line["price"]["minorUnits"], &line["available"]], [&json!("Lamp"), &json!("1999"), &json!(100)]);
    assert_eq!((&cart["status"], &cart["total"]["minorUnits"]), (&json!("CART_STATUS_OPEN"), &json!("5997")));
    // Under another key it is another wish.
    let (code, _) = shop.refused("cart/move-to-cart", &to_cart).await;
    assert_eq!(code, "item-not-saved");
    let dropped = shop.done("cart/drop-item", &wish("never-made")).await;
    assert!(shop.wishes("c-1", &dropped["token"]).await.is_empty());

    shop.done("cart/checkout", &checkout("k-1", "o-1", 5997)).await;
    shop.order("o-1", "CONFIRMED").await;
    shop.quiet().await;
    assert_eq!((shop.books("o-1").await, shop.stock("A-1", "w-1").await), ((5997, 0, 0, false), (100, 3)));
    shop.install.verify().await;
}
