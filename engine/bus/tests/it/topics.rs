//! Creating and checking topics.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_bus::{
    BusConfig, BusError, Ensured, Inspector, PartitionReader, StartAt, TopicSpec, check_topics, delete_before, ensure_topics,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

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

type Settings = &'static [(&'static str, &'static str)];

/// A topic's own settings, as its brokers say.
async fn set_of(bus: &BusConfig, topic: &str) -> BTreeMap<String, String> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &bus.brokers).create().expect("a client");
    let mut described =
        within("describe", admin.describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new())).await.expect("Kafka answers");
    let described = described.pop().expect("it was asked for").expect("it is there");
    let of_its_own = described.entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic);
    of_its_own.map(|entry| (entry.name, entry.value.expect("a value"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_topic_is_kept_for_as_long_as_its_messages_are_wanted() {
    let bus = bus();
    const MAX: (&str, &str) = ("max.message.bytes", "4194304");
    const DELETE: (&str, &str) = ("cleanup.policy", "delete");
    const COMPACT: (&str, &str) = ("cleanup.policy", "compact");
    const OF_ANY_SIZE: (&str, &str) = ("retention.bytes", "-1");
    const FOR_EVER: (&str, &str) = ("retention.ms", "-1");
    const BY_ARRIVAL: (&str, &str) = ("message.timestamp.type", "LogAppendTime");
    const FOURTEEN_DAYS: (&str, &str) = ("retention.ms", "1209600000");
    const TEN_MINUTES: (&str, &str) = ("retention.ms", "600000");
    const EACH_MINUTE: (&str, &str) = ("segment.ms", "60000");
    let all: [(TopicSpec, String, i32, Settings); 6] = [
        (TopicSpec::messages(&bus, "books", 3), bus.messages("books"), 3, &[MAX, DELETE, OF_ANY_SIZE, BY_ARRIVAL, FOURTEEN_DAYS]),
        (TopicSpec::events(&bus, "books", 4), bus.events("books"), 4, &[MAX, DELETE, OF_ANY_SIZE, FOR_EVER]),
        (TopicSpec::rejected(&bus, "books", 2), bus.rejected("books"), 2, &[MAX, DELETE, OF_ANY_SIZE, FOR_EVER]),
        (TopicSpec::replies(&bus), bus.replies(), 16, &[MAX, DELETE, OF_ANY_SIZE, BY_ARRIVAL, TEN_MINUTES, EACH_MINUTE]),
        (TopicSpec::read(&bus, "pages", 5), bus.read("pages"), 5, &[MAX, COMPACT]),
        (TopicSpec::query_pods(&bus), bus.query_pods(), 1, &[MAX, COMPACT]),
    ];
    let specs: Vec<TopicSpec> = all.iter().map(|(spec, ..)| spec.clone()).collect();
    within("ensure", ensure_topics(&bus, &specs)).await.expect("creates");
    let inspector = Inspector::new(&bus).expect("inspector");
    let replicas = inspector.brokers().await.expect("answers").min(3);
    for (_, topic, partitions, wanted) in all {
        assert_eq!(inspector.partitions(&topic).await.expect("answers"), Some(partitions), "{topic}");
        let mut wanted: BTreeMap<String, String> = wanted.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        if replicas == 3 {
            wanted.insert("min.insync.replicas".to_owned(), "2".to_owned());
        }
        assert_eq!(set_of(&bus, &topic).await, wanted, "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_refuse_to_make_is_told() {
    let bus = bus();
    let mut impossible = TopicSpec::events(&bus, "books", 1);
    impossible.settings.insert("cleanup.policy".to_owned(), "burn".to_owned());
    let refused = within("ensure", ensure_topics(&bus, std::slice::from_ref(&impossible))).await.expect_err("there is no such policy");
    assert!(matches!(&refused, BusError::Refused { action, .. } if action.contains(&impossible.name)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_another_partition_count_is_refused() {
    let bus = bus();
    within("ensure", ensure_topics(&bus, &[TopicSpec::events(&bus, "books", 2)])).await.expect("creates");
    for wanted in [4, 1] {
        for refused in [
            ensure_topics(&bus, &[TopicSpec::events(&bus, "books", wanted)]).await.map(drop),
            check_topics(&bus, &[TopicSpec::events(&bus, "books", wanted)]).await,
        ] {
            let error = refused.expect_err("another count");
            assert!(matches!(error, BusError::PartitionCount { expected, actual: 2, .. } if expected == wanted), "{error}");
            let text = error.to_string();
            assert!(text.contains(&format!("has 2 partitions and needs {wanted}")) && text.contains("daybook migrate"), "{text}");
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_make_the_same_topics_at_once_both_are_served_or_the_one_who_wanted_others_is_refused() {
    let bus = bus();
    let specs = |service: &str, partitions| -> Vec<TopicSpec> {
        (0..4).map(|n| TopicSpec::events(&bus, &format!("{service}-{n}"), partitions)).collect()
    };
    let (same, others) = (specs("same", 2), specs("other", 3));
    let (one, two) = within("both", async { tokio::join!(ensure_topics(&bus, &same), ensure_topics(&bus, &same)) }).await;
    assert!(one.is_ok() && two.is_ok(), "{one:?}, {two:?}");
    let fewer = specs("other", 2);
    let (one, two) = within("both", async { tokio::join!(ensure_topics(&bus, &fewer), ensure_topics(&bus, &others)) }).await;
    // Each topic is made by one of them; one that finds the other's is refused.
    let refused = [one.err(), two.err()].into_iter().flatten().collect::<Vec<_>>();
    assert!(!refused.is_empty() && refused.iter().all(|e| matches!(e, BusError::PartitionCount { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_as_old_as_the_broker_says_whatever_its_client_claims() {
    let bus = bus();
    let spec = TopicSpec::messages(&bus, "catalog", 1);
    ensure_topics(&bus, std::slice::from_ref(&spec)).await.expect("made");
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &bus.brokers).create().expect("a producer");
    let long_ago = BaseRecord::<(), str>::to(&spec.name).partition(0).payload("x").timestamp(1_000);
    producer.send(long_ago).map_err(|(error, _)| error).expect("sent");
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(30))).await.expect("no panic").expect("delivered");
    let mut reader = PartitionReader::open(&bus, &spec.name, 0, StartAt::Earliest).await.expect("opens");
    let came = within("recv", reader.recv(1, usize::MAX)).await.expect("open");
    assert!(came[0].timestamp_ms.is_some_and(|at| at > 1_600_000_000_000), "{came:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_brokers_refuse_is_told() {
    let bus = bus();
    let spec = TopicSpec::events(&bus, "catalog", 1);
    ensure_topics(&bus, std::slice::from_ref(&spec)).await.expect("made");
    let refused = within("delete", delete_before(&bus, &spec.name, 0, 99)).await.expect_err("there is no such offset");
    assert!(matches!(refused, BusError::Refused { .. }), "{refused}");
}
