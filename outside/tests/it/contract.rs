//! What a payment provider has to do, whoever it is.

use daybook_kernel::Unknown;
use serde_json::json;
use shop_outside::{Address, HttpPaymentProvider, Payment, PaymentProvider, PaymentStatus, Said, TakenCurrencies};
use shop_proto::common::v1::Money;
use shop_simulators::{Captures, Least, Terms};
use uuid::Uuid;

use crate::support::{Simulator, sandbox};

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
    assert_eq!((looked.order.clone(), looked.captured, looked.refunded), (created.order, 600, 600));

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
    done(provider.create(one, "o-one", &eur(100)).await);
    let other = provider.create(one, "o-one", &eur(2)).await;
    assert!(matches!(other, Err(Unknown::Unusable(_))), "what our key stands for is known, and not what came of this: {other:?}");
    assert_eq!(provider.outcome(one).await.map(|said| said.is_some()), Ok(true));
    refused(provider.look("there-is-none").await);

    // What it says that it takes it takes, and nothing else.
    let limits = provider.limits("EUR");
    assert!(limits.taken && limits.step == 1, "{limits:?}");
    done(provider.create(key(), "o-least", &eur(limits.minimum)).await);
    for amount in [limits.minimum - 1, -1, limits.maximum + 1] {
        refused(provider.create(key(), "o-least", &eur(amount)).await);
    }
    assert!(!provider.limits("XAU").taken);
    refused(provider.create(key(), "o-gold", &Money { currency: "XAU".to_owned(), minor_units: 1_000 }).await);

    // Every payment is listed, once, the newest first.
    let newest = done(provider.create(key(), "o-newest", &eur(1_000)).await);
    let listed = all(provider).await;
    assert_eq!(listed.first().map(|payment| &payment.id), Some(&newest.id));
    let ids: std::collections::BTreeSet<&str> = listed.iter().map(|payment| payment.id.as_str()).collect();
    assert!(ids.len() == listed.len() && ids.contains(id));
    let one = listed.iter().find(|payment| payment.id == id).expect("it is listed");
    assert_eq!((one.order.as_str(), one.authorised, one.captured, one.voided, one.refunded), (looked.order.as_str(), 1_000, 600, 400, 600));
    assert!(listed.windows(2).all(|two| two[0].created >= two[1].created));
}

/// All that a provider lists.
async fn all(provider: &dyn PaymentProvider) -> Vec<Payment> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let listed = provider.list(after.as_deref()).await.expect("an answer");
        all.extend(listed.payments.into_iter().map(|payment| payment.expect("it can be read")));
        match listed.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test]
async fn a_list_of_more_than_one_page_is_read_to_its_end() {
    let simulator = Simulator::payments(Captures::Many).await;
    let provider = HttpPaymentProvider::new(simulator.address(), TakenCurrencies::default());
    assert!(all(&provider).await.is_empty());
    for n in 0..205 {
        done(provider.create(key(), &format!("o-{n}"), &eur(1)).await);
    }
    let orders: std::collections::BTreeSet<String> = all(&provider).await.into_iter().map(|payment| payment.order).collect();
    assert_eq!(orders.len(), 205);
    simulator.faults(json!({ "down": true })).await;
    assert!(matches!(provider.list(None).await, Err(Unknown::Unanswered(_))));
}

#[tokio::test]
async fn a_provider_with_limits_of_its_own_takes_what_the_settings_say_of_it() {
    let currencies = [("EUR".to_owned(), Least { minimum: 50, step: 1 }), ("KWD".to_owned(), Least { minimum: 100, step: 10 })];
    let simulator = Simulator::payments(Terms { captures: Captures::Many, currencies: Some(currencies.into()) }).await;
    let taken = TakenCurrencies::only([("EUR", "50"), ("KWD", "100/10")]).expect("they can be");
    let provider = HttpPaymentProvider::new(simulator.address(), taken);
    holds(&provider).await;
    let told: serde_json::Value =
        reqwest::get(format!("{}/v1/currencies", simulator.url)).await.expect("an answer").json().await.expect("JSON");
    for currency in ["EUR", "KWD"] {
        let limits = provider.limits(currency);
        assert_eq!(told["currencies"][currency], json!({ "minimum": limits.minimum, "step": limits.step }), "{currency}");
        assert_eq!(told["maximum"], limits.maximum);
    }
    refused(provider.create(key(), "o-1", &Money { currency: "KWD".to_owned(), minor_units: 105 }).await);
    refused(provider.create(key(), "o-1", &Money { currency: "USD".to_owned(), minor_units: 1_000 }).await);
}

#[tokio::test]
async fn the_simulator_keeps_the_contract_of_payment_providers() {
    let simulator = Simulator::payments(Captures::Many).await;
    holds(&HttpPaymentProvider::new(simulator.address(), TakenCurrencies::default())).await;
}

/// After a day a provider may forget keys. What was done stays done, and the payment shows it.
#[tokio::test]
async fn who_has_forgotten_a_key_still_shows_what_was_done() {
    let simulator = Simulator::payments(Captures::Many).await;
    let provider = HttpPaymentProvider::new(simulator.address(), TakenCurrencies::default());
    let (created, said) = confirmed(&provider, "tok_ok").await;
    done(said);
    let capture = key();
    done(provider.capture(capture, &created.id, &eur(600)).await);
    simulator.faults(json!({ "forgetKeysMs": 3_600_000 })).await;
    assert!(provider.outcome(capture).await.expect("an answer").is_some(), "an hour is not over");
    simulator.faults(json!({ "forgetKeysMs": 0 })).await;
    assert_eq!(provider.outcome(capture).await, Ok(None));
    assert_eq!(done(provider.look(&created.id).await).captured, 600);
    // Under the same key it would be done once more: that is why the payment is looked at.
    assert_eq!(done(provider.capture(capture, &created.id, &eur(100)).await).captured, 700);
}

#[tokio::test]
async fn a_sandbox_keeps_the_contract_of_payment_providers() {
    if let Some(address) = sandbox("PAYMENT", "a_sandbox_keeps_the_contract_of_payment_providers") {
        holds(&HttpPaymentProvider::new(address, TakenCurrencies::default())).await;
    }
}

#[tokio::test]
async fn who_captures_once_says_so() {
    let simulator = Simulator::payments(Captures::Once).await;
    let provider = HttpPaymentProvider::new(simulator.address(), TakenCurrencies::default());
    let (created, said) = confirmed(&provider, "tok_ok").await;
    assert!(done(said).captures_once);
    done(provider.capture(key(), &created.id, &eur(600)).await);
    refused(provider.capture(key(), &created.id, &eur(1)).await);
}

#[tokio::test]
async fn a_customer_is_sent_somewhere_and_comes_back() {
    let simulator = Simulator::payments(Captures::Many).await;
    let provider = HttpPaymentProvider::new(simulator.address(), TakenCurrencies::default());
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
    let provider = HttpPaymentProvider::new(simulator.address(), TakenCurrencies::default());
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
    let nobody = HttpPaymentProvider::new(Address::new("http://127.0.0.1:1", None).expect("a URL"), TakenCurrencies::default());
    assert!(nobody.look("x").await.is_err());
}
