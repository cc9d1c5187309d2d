//! `daybook report`: what it prints is what people have done, to the cent.

use daybook_testkit::eventually;
use serde_json::{Value, json};

use crate::shop::{Shop, checkout};

impl Shop {
    /// A report for programs, line by line.
    fn report(&self, args: &[&str]) -> Vec<Value> {
        let text = self.printed(&[args, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn printed(&self, args: &[&str]) -> String {
        let output = self.install.run(&[&["report"], args].concat());
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// A cart is checked out, of these pieces, as if that had been then.
    async fn bought(&self, order: &str, lines: &[(&str, u32)], total: u32, ordered_at: &str) {
        let cart = format!("k-{order}");
        for (sku, quantity) in lines {
            self.done("cart/add-item", &json!({ "cartId": cart, "sku": sku, "quantity": quantity })).await;
        }
        let mut body = checkout(&cart, order, total);
        body["orderedAt"] = json!(ordered_at);
        self.done("cart/checkout", &body).await;
    }

    async fn reported(&self, args: &[&str], is: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        eventually(&format!("report {args:?}"), || async { Some(self.report(args)).filter(|rows| is(rows)) }).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_say_to_the_cent_what_was_sold_is_in_stock_is_awaited_and_is_paid() {
    let shop = Shop::open().await;
    assert_eq!(shop.printed(&["sales"]).lines().count(), 1, "an empty shop has a header");
    let vase = json!({ "sku": "B-2", "title": "Vase", "category": "Home > Vases", "price": { "currency": "EUR", "minorUnits": 500 } });
    shop.done("catalog/create-product", &vase).await;
    shop.receive("B-2", "w-1", 10).await;

    // Three lamps: one is cancelled, two leave, one of these comes back.
    let one = json!([{ "sku": "A-1", "quantity": 1 }]);
    shop.bought("o-1", &[("A-1", 3)], 5997, "2024-02-29T23:59:59Z").await;
    shop.order("o-1", "CONFIRMED").await;
    eventually("the shipment to be there", || async { shop.page("shipments", "o-1@1").await }).await;
    shop.done("order/cancel-lines", &json!({ "orderId": "o-1", "lines": one, "reason": "One too many." })).await;
    let fewer = |page: &Value| page["lines"][0]["cancelled"] == 1;
    eventually("the third to be cancelled", || async { shop.page("orders", "o-1").await.filter(fewer) }).await;
    shop.dispatch("o-1", 1).await;
    shop.order("o-1", "SHIPPED").await;
    shop.delivered("o-1", 1).await;
    shop.order("o-1", "COMPLETED").await;
    shop.done("order/receive-return", &json!({ "orderId": "o-1", "lines": one, "condition": "RESALABLE" })).await;
    // A lamp and two vases on the next day, which have not left; and an order that is none.
    shop.bought("o-2", &[("A-1", 1), ("B-2", 2)], 2999, "2024-03-01T00:00:00Z").await;
    shop.order("o-2", "CONFIRMED").await;
    shop.bought("o-3", &[("A-1", 1)], 1, "2024-03-01T00:00:00Z").await;
    shop.order("o-3", "REJECTED").await;
    let future = json!({ "orderedAt": "2999-01-01T00:00:00Z" });
    shop.with_cart("k-4", 1).await;
    let mut later = checkout("k-4", "o-4", 1999);
    later["orderedAt"] = future["orderedAt"].clone();
    assert_eq!(shop.refused("cart/checkout", &later).await.0, "ordered-in-the-future");
    let given_back = |page: &Value| page["refunded"]["minorUnits"] == "1999";
    eventually("its money to be given back", || async { shop.page("orders", "o-1").await.filter(given_back) }).await;
    shop.quiet().await;

    let sale = |day: &str, category: &str, pieces: i64, gross: i64, cancelled: i64, returned: i64| {
        json!({
            "day": day, "category": category, "currency": "EUR", "orders": 1, "pieces": pieces, "gross": gross, "discounts": 0,
            "cancelled": cancelled, "returned": returned, "net": gross - cancelled - returned
        })
    };
    let days = [
        sale("2024-02-29", "", 3, 5997, 1999, 1999),
        sale("2024-03-01", "", 1, 1999, 0, 0),
        sale("2024-03-01", "Home > Vases", 2, 1000, 0, 0),
    ];
    shop.reported(&["sales"], |rows| rows == days).await;
    assert_eq!(shop.report(&["sales", "--from", "2024-03-01", "--to", "2024-03-01"]), days[1..]);
    let [total] = &shop.report(&["sales", "--by", "currency"])[..] else { panic!("of one currency") };
    assert_eq!(total["orders"], 2, "an order of two categories is one");
    assert_eq!([&total["gross"], &total["net"]], [&json!(8996), &json!(4998)]);
    assert!(shop.printed(&["sales", "--by", "category"]).lines().last().is_some_and(|total| total.ends_with("49.98")));
    assert!(shop.printed(&["sales", "--csv"]).contains("\n2024-03-01,Home > Vases,EUR,1,2,10.00,0.00,0.00,0.00,10.00\n"));

    let stock = |sku: &str, title: &str, on_hand: i64, reserved: i64, price: i64| {
        let available = on_hand - reserved;
        json!({
            "sku": sku, "title": title, "warehouse": "w-1", "onHand": on_hand, "reserved": reserved, "available": available,
            "currency": "EUR", "price": price, "value": on_hand * price
        })
    };
    shop.reported(&["stock"], |rows| rows == [stock("A-1", "Lamp", 99, 1, 1999), stock("B-2", "Vase", 10, 2, 500)]).await;
    assert_eq!(shop.report(&["stock", "--warehouse", "w-2"]), [] as [Value; 0]);

    // Its label is there, or not yet.
    let waits = shop.reported(&["orders-late", "--all"], |rows| rows.len() == 1 && rows[0]["step"] != "refund 1").await;
    assert_eq!([&waits[0]["order"], &waits[0]["owes"], &waits[0]["status"]], ["o-2", "shipment/o-2@1", "confirmed"]);
    assert_eq!(shop.report(&["orders-late"]), [] as [Value; 0]);

    let money =
        |row: &Value| ["authorised", "captured", "refunded", "refundPending", "lost"].map(|name| row[name].as_i64().expect("units"));
    let paid = shop.reported(&["payments"], |rows| rows.len() == 2 && rows[0]["refunded"] == 1999 && rows[0]["authorised"] == 3998).await;
    // What the cancelled piece would have cost is let go of.
    assert_eq!((money(&paid[0]), money(&paid[1])), ([3998, 3998, 1999, 0, 0], [2999, 0, 0, 0, 0]));
    assert_eq!(shop.report(&["payments", "--open"]), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_whose_read_model_is_not_there_says_what_makes_it() {
    let install = crate::support::Install::new().await;
    install.database.owner().await.batch_execute("DROP VIEW read.sales").await.expect("the owner may");
    let said = |args: &[&str]| {
        let output = install.run(args);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, why) = said(&["report", "sales"]);
    assert!(code == Some(3) && why.contains("`daybook migrate` makes what is missing"), "{code:?} {why}");
    assert_eq!(said(&["migrate"]).0, Some(0));
    assert_eq!(said(&["report", "sales"]), (Some(0), String::new()));
    let (code, why) = said(&["report", "sales", "--csv", "--json"]);
    assert!(code == Some(2) && why.contains("--csv and --json"), "{code:?} {why}");
    let (code, why) = said(&["report", "sales", "--from", "2026-12-01", "--to", "2026-11-30"]);
    assert!(code == Some(2) && why.contains("--from: is a later day than --to"), "{code:?} {why}");
}
