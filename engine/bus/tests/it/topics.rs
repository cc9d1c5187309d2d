//! Creating and checking topics.

use daybook_bus::{BusError, Ensured, Inspector, TopicSpec, check_topics, ensure_topics};

use crate::support::{bus, within};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_created_and_what_exists_is_left_alone() {
    let bus = bus();
    let specs = vec![
        TopicSpec::messages(&bus, "books", 3),
        TopicSpec::events(&bus, "books", 3),
        TopicSpec::rejected(&bus, "books", 1),
        TopicSpec::replies(&bus),
        TopicSpec::read(&bus, "pages", 3),
    ];
    let first = within("ensure", ensure_topics(&bus, &specs[..2])).await.expect("creates");
    assert_eq!(first, [Ensured::Created, Ensured::Created]);
    let missing = within("check", check_topics(&bus, &specs)).await.expect_err("three are missing");
    assert!(matches!(&missing, BusError::MissingTopic { topic } if *topic == bus.rejected("books")), "{missing}");
    assert!(missing.to_string().contains("daybook migrate"));

    let all = within("ensure", ensure_topics(&bus, &specs)).await.expect("creates the rest");
    use Ensured::{Created, Existing};
    assert_eq!(all, [Existing, Existing, Created, Created, Created]);
    within("check", check_topics(&bus, &specs)).await.expect("all is well");
    let inspector = Inspector::new(&bus).expect("inspector");
    assert_eq!(inspector.partitions(&bus.replies()).await.expect("answers"), Some(16));
    assert_eq!(inspector.partitions(&bus.events("books")).await.expect("answers"), Some(3));
    assert!(inspector.brokers().await.expect("answers") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_another_partition_count_is_refused() {
    let bus = bus();
    within("ensure", ensure_topics(&bus, &[TopicSpec::events(&bus, "books", 2)])).await.expect("creates");
    for refused in [
        ensure_topics(&bus, &[TopicSpec::events(&bus, "books", 4)]).await.map(drop),
        check_topics(&bus, &[TopicSpec::events(&bus, "books", 4)]).await,
    ] {
        let error = refused.expect_err("another count");
        assert!(matches!(error, BusError::PartitionCount { expected: 4, actual: 2, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("has 2 partitions and needs 4") && text.contains("daybook migrate"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_lose_messages_are_refused_and_those_that_keep_more_are_not() {
    let bus = bus();
    let mut forgetful = TopicSpec::events(&bus, "books", 1);
    forgetful.settings.insert("retention.ms".to_owned(), "60000".to_owned());
    forgetful.settings.insert("cleanup.policy".to_owned(), "compact".to_owned());
    let mut keeping = TopicSpec::messages(&bus, "books", 1);
    keeping.settings.insert("retention.ms".to_owned(), "-1".to_owned());
    keeping.settings.insert("segment.ms".to_owned(), "100000".to_owned());
    within("ensure", ensure_topics(&bus, &[forgetful, keeping])).await.expect("creates");

    let error = check_topics(&bus, &[TopicSpec::events(&bus, "books", 1)]).await.expect_err("forgets");
    let text = error.to_string();
    assert!(text.contains("cleanup.policy=compact instead of delete"), "{text}");
    assert!(text.contains("retention.ms=60000 instead of -1"), "{text}");
    check_topics(&bus, &[TopicSpec::messages(&bus, "books", 1)]).await.expect("keeps more");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_cluster_is_an_error_that_names_it() {
    let bus = daybook_bus::BusConfig::new("127.0.0.1:1");
    let error = within("check", check_topics(&bus, &[])).await.expect_err("nobody there");
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && text.contains("DAYBOOK_KAFKA"), "{text}");
}
