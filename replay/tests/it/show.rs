//! `show`.

use daybook_kernel::Instant;
use daybook_replay::{ShowUntil, show};
use serde_json::json;

use crate::support::Fixture;

#[tokio::test]
async fn a_stream_is_shown_with_the_state_at_each_version() {
    let f = Fixture::new().await;
    let databases = f.database.databases();
    let shown = |until| show(&databases, &f.registry, "inventory", "stock/A@w", until);
    let all = shown(ShowUntil::End).await.expect("there");
    assert_eq!((all.version, all.events.len(), all.partition), (5, 5, 0));
    let state = all.state.as_ref().expect("foldable");
    assert_eq!((&state["onHand"], &state["reserved"]), (&json!(16), &json!(2)));
    let first = &all.events[0];
    assert_eq!((first.version, first.offset, first.page, first.epoch), (1, 0, 2, 1));
    assert_eq!(first.r#type, "shop.inventory.v1.StockReceived");
    assert_eq!(first.event["quantity"], 10);
    assert!(all.to_string().contains("StockReserved"), "{all}");

    let early = shown(ShowUntil::Version(1)).await.expect("there");
    assert_eq!(early.state.expect("foldable")["onHand"], 10);
    for wrong in [0, 6, u64::MAX] {
        assert!(shown(ShowUntil::Version(wrong)).await.expect_err("no such version").is_usage());
    }
}

#[tokio::test]
async fn a_stream_is_shown_as_it_was_at_a_moment() {
    let f = Fixture::new().await;
    let databases = f.database.databases();
    let shown = |micros| show(&databases, &f.registry, "inventory", "stock/A@w", ShowUntil::Time(Instant::from_micros(micros)));
    let (page, _, _) = f.page(3).await;
    let then = page.recorded_at.micros();
    assert_eq!(shown(then).await.expect("there").version, 3);
    assert_eq!(shown(then - 1).await.expect("there").version, 1);
    assert!(shown(0).await.expect_err("it was not there yet").is_usage());
}

#[tokio::test]
async fn an_event_that_this_build_does_not_know_is_shown_as_bytes_without_a_state() {
    let f = Fixture::new().await;
    f.damage(r#"UPDATE event SET type = 't.Newer' WHERE "offset" = 5"#).await;
    let shown = show(&f.database.databases(), &f.registry, "inventory", "stock/A@w", ShowUntil::End).await.expect("there");
    assert!(shown.state.is_none() && shown.unfoldable.as_deref().is_some_and(|why| why.contains("version 4")), "{shown}");
    assert!(shown.events[3].event.is_string());
}

#[tokio::test]
async fn a_stream_that_is_not_there_is_wrong_usage() {
    let f = Fixture::new().await;
    for (service, stream) in [("inventory", "stock/Z@w"), ("inventory", "nonsense"), ("nosuch", "stock/A@w")] {
        assert!(show(&f.database.databases(), &f.registry, service, stream, ShowUntil::End).await.expect_err("not there").is_usage());
    }
}
