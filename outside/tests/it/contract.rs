//! What a payment provider has to do, whoever it is.

use std::io::Write as _;

use daybook_kernel::Unknown;
use serde_json::json;
use shop_outside::{Address, HttpPaymentProvider, Payment, PaymentProvider, PaymentStatus, Said};
use shop_proto::common::v1::Money;
use shop_simulators::Captures;
use uuid::Uuid;

use crate::support::Simulator;

fn key() -> Uuid {
    Uuid::new_v4()
}

fn eur(minor_units: i64) -> Money {
    Money { currency: "EUR".to_owned(), minor_units }
}

#[track_caller]
fn done(said: Result<Said<Payment>, Unknown>) -> Payment {
    match said {
        Ok(Said::Done(payment)) => payment,
        other => panic!("{other:?}"),
    }
}

/// The reason, and how the payment stands.
#[track_caller]
fn refused(said: Result<Said<Payment>, Unknown>) -> (String, Option<Payment>) {
    match said {
        Ok(Said::Refused { code, object }) => (code, object),
        other => panic!("{other:?}"),
    }
}

/// A payment of 1,000 that is confirmed with this token.
async fn confirmed(provider: &dyn PaymentProvider, token: &str) -> (Payment, Result<Said<Payment>, Unknown>) {
    let order = format!("o-{}", key());
    let created = done(provider.create(key(), &order, &eur(1_000)).await);
    assert_eq!((created.status, created.order.as_str(), created.authorised), (PaymentStatus::Created, order.as_str(), 0));
    let said = provider.confirm(key(), &created.id, token).await;
    (created, said)
}

/// The trait's words, one after the other.
async fn holds(provider: &dyn PaymentProvider) {
    // The whole way.
    let (created, said) = confirmed(provider, "tok_ok").await;
    let id = created.id.as_str();
    let authorised = done(said);
    assert_eq!((authorised.status, authorised.authorised, authorised.captured), (PaymentStatus::Authorised, 1_000, 0));
    let capture = key();
    let captured = done(provider.capture(capture, id, &eur(600)).await);
    assert_eq!((captured.captured, captured.refunded), (600, 0));
    // A key does a thing once, and remembers.
    assert_eq!(done(provider.capture(capture, id, &eur(600)).await).captured, 600);
    assert_eq!(provider.outcome(capture).await, Ok(Some(Said::Done(captured))));
    assert_eq!(provider.outcome(key()).await, Ok(None), "never heard of");
    // No more than there is.
    refused(provider.capture(key(), id, &eur(401)).await);
    refused(provider.refund(key(), id, &eur(601)).await);
    assert_eq!(done(provider.refund(key(), id, &eur(100)).await).refunded, 100);
    // What was taken can be given back also when the rest is released.
    assert_eq!(done(provider.cancel(key(), id).await).status, PaymentStatus::Cancelled);
    refused(provider.capture(key(), id, &eur(1)).await);
    assert_eq!(done(provider.refund(key(), id, &eur(500)).await).refunded, 600);
    let looked = done(provider.look(id).await);
    assert_eq!((looked.order, looked.captured, looked.refunded), (created.order, 600, 600));

    // A no is one for good, under its key.
    let (created, said) = confirmed(provider, "tok_declined").await;
    let (code, payment) = refused(said);
    assert!(!code.is_empty());
    assert_eq!(payment.map(|payment| payment.status), Some(PaymentStatus::Declined));
    let capture = key();
    let no = provider.capture(capture, &created.id, &eur(1)).await;
    refused(no.clone());
    assert_eq!(provider.outcome(capture).await, no.map(Some));

    // A confirmation that wakes up late finds a cancelled payment.
    let created = done(provider.create(key(), "o-late", &eur(1_000)).await);
    done(provider.cancel(key(), &created.id).await);
    refused(provider.confirm(key(), &created.id, "tok_ok").await);
    assert_eq!(done(provider.look(&created.id).await).authorised, 0);

    // A key stands for one thing, and an object has to be there.
    let one = key();
    done(provider.create(one, "o-one", &eur(1)).await);
    refused(provider.create(one, "o-one", &eur(2)).await);
    refused(provider.look("there-is-none").await);

    for (currency, amount, takes) in [("EUR", 1, true), ("JPY", 1_000_000, true), ("EUR", 0, false), ("EUR", -1, false), ("XAU", 1, false)]
    {
        assert_eq!(provider.takes(currency, amount).is_ok(), takes, "{currency} {amount}");
    }
}

#[tokio::test]
async fn the_simulator_keeps_the_contract_of_payment_providers() {
    let simulator = Simulator::payments(Captures::Many).await;
    holds(&HttpPaymentProvider::new(simulator.address())).await;
}

#[tokio::test]
async fn a_sandbox_keeps_the_contract_of_payment_providers() {
    let Ok(url) = std::env::var("DAYBOOK_PAYMENT_SANDBOX_URL") else {
        // Past the harness, which shows nothing of what passes.
        let name = "a_sandbox_keeps_the_contract_of_payment_providers";
        writeln!(std::io::stderr(), "NOT RUN: {name}: DAYBOOK_PAYMENT_SANDBOX_URL names none").expect("it is open");
        return;
    };
    let key = std::env::var("DAYBOOK_PAYMENT_SANDBOX_KEY").ok();
    holds(&HttpPaymentProvider::new(Address::new(&url, key).expect("a URL"))).await;
}

#[tokio::test]
async fn who_captures_once_says_so() {
    let simulator = Simulator::payments(Captures::Once).await;
    let provider = HttpPaymentProvider::new(simulator.address());
    let (created, said) = confirmed(&provider, "tok_ok").await;
    assert!(done(said).captures_once);
    done(provider.capture(key(), &created.id, &eur(600)).await);
    refused(provider.capture(key(), &created.id, &eur(1)).await);
}

#[tokio::test]
async fn a_customer_is_sent_somewhere_and_comes_back() {
    let simulator = Simulator::payments(Captures::Many).await;
    let provider = HttpPaymentProvider::new(simulator.address());
    let (created, said) = confirmed(&provider, "tok_action").await;
    let asked = done(said);
    assert_eq!(asked.status, PaymentStatus::ActionRequired);
    assert!(asked.action_url.is_some_and(|url| url.starts_with("http://")));
    simulator.act(&created.id).await;
    assert_eq!(done(provider.look(&created.id).await).status, PaymentStatus::Authorised);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_never_a_no() {
    let simulator = Simulator::payments(Captures::Many).await;
    let provider = HttpPaymentProvider::new(simulator.address());
    let (_, said) = confirmed(&provider, "tok_error_after_charge").await;
    assert!(said.is_err(), "{said:?}");
    for faults in [json!({ "down": true }), json!({ "loseAnswers": 1 }), json!({ "errorsAfter": 1 })] {
        simulator.faults(faults.clone()).await;
        let asked = key();
        assert!(provider.create(asked, "o-1", &eur(1)).await.is_err(), "{faults}");
        assert!(provider.outcome(asked).await.is_err(), "{faults}");
        simulator.faults(json!({})).await;
        let is_done = provider.outcome(asked).await.expect("an answer").is_some();
        assert_eq!(is_done, faults != json!({ "down": true }), "{faults}");
    }
    let nobody = HttpPaymentProvider::new(Address::new("http://127.0.0.1:1", None).expect("a URL"));
    assert!(nobody.look("x").await.is_err());
}
