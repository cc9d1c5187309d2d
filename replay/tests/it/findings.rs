//! What `verify` says, word for word: a log is damaged in one way, and nothing else is told.
//!
//! Most damages are forged: whoever did it has worked out every digest again, and the whole chain, as one who knows the code can. So
//! no digest tells what another comparison should.

use std::collections::BTreeMap;

use daybook_kernel::{StreamId, digest};
use daybook_log::PartitionLog;
use daybook_proto::v1::{CommandResult, EventRef, Metadata, Request, Requests};
use daybook_replay::{VerifyOptions, verify};
use prost::Message as _;
use tokio_postgres::Client;

use crate::support::{Fixture, digest_over, hex, receive};

const TABLES: [&str; 5] = ["page", "event", "command", "request", "snapshot"];

/// A log that is damaged and healed again: a database is dear.
struct Forger {
    log: Fixture,
    owner: Client,
    /// What digests, ids and times are called: those of the log as it was written.
    names: BTreeMap<String, String>,
}

impl Forger {
    async fn new() -> Self {
        let log = Fixture::new().await;
        let owner = log.forger().await;
        for table in TABLES {
            owner.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.expect("the owner may");
        }
        let mut names = BTreeMap::from([(hex(&log.partition.birth()), "the log's birth".to_owned())]);
        for page in log.partition.read_pages(0, 100).await.expect("readable") {
            names.insert(hex(&page.digest), format!("page {}'s", page.page));
            names.insert(page.recorded_at.to_string(), format!("page {}'s", page.page));
        }
        for event in log.partition.read_events(0, 100).await.expect("readable") {
            names.insert(hex(&event.digest), format!("event {}'s", event.offset));
        }
        for row in log.partition.read_ledger(0, 100).await.expect("readable") {
            names.insert(row.command_id.to_string(), format!("c{}.{}", row.page, row.ordinal));
            names.insert(hex(&row.request_digest), format!("request {}.{}'s", row.page, row.ordinal));
            let result = CommandResult::decode(row.result.as_slice()).expect("a result");
            names.insert(hex(&result.command_digest), format!("command {}.{}'s", row.page, row.ordinal));
        }
        Self { log, owner, names }
    }

    async fn damage(&self, sql: &str) {
        self.owner.batch_execute(sql).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// Works out all digests again. What belongs to no page stays as it is.
    async fn forge(&self) {
        let log: &PartitionLog = &self.log.partition;
        let ledger = log.read_ledger(i64::MIN, i64::MAX).await.expect("readable");
        let mut previous = log.birth().to_vec();
        let mut sql = String::new();
        for mut page in log.read_pages(i64::MIN, 100).await.expect("readable") {
            let mut digests = Vec::new();
            let mut events = log.audit_events(page.first_offset, page.next_offset()).await.expect("readable");
            while let Some(e) = events.next().await.expect("readable") {
                let fields = digest::EventFields {
                    partition: 0,
                    offset: e.offset,
                    stream_id: &e.stream_id,
                    version: e.version,
                    type_name: &e.type_name,
                    payload: &e.payload,
                    metadata: &e.metadata,
                    recorded_at: e.recorded_at,
                };
                digests.push(digest::event(&fields).to_vec());
                sql += &format!(r#"UPDATE event SET digest = '\x{}' WHERE "offset" = {};"#, hex(&digests[digests.len() - 1]), e.offset);
            }
            let rows: Vec<_> = ledger.iter().filter(|row| row.page == page.page).cloned().collect();
            page.previous = previous;
            previous = digest_over(&page, &digests, &rows).to_vec();
            let (before, own) = (hex(&page.previous), hex(&previous));
            sql += &format!(r"UPDATE page SET previous = '\x{before}', digest = '\x{own}' WHERE page = {};", page.page);
        }
        self.damage(&sql).await;
    }

    /// What is found now, with names in place of digests, ids and times; then all is as it was.
    async fn found(&self) -> Vec<String> {
        let report = self.log.verify().await;
        let heal: Vec<String> = TABLES.iter().map(|t| format!("DELETE FROM {t}; INSERT INTO {t} SELECT * FROM kept_{t}")).collect();
        self.damage(&heal.join(";")).await;
        report.findings.iter().map(|finding| self.named(&finding.to_string())).collect()
    }

    fn named(&self, finding: &str) -> String {
        let named = self.names.iter().fold(finding.to_owned(), |text, (value, name)| text.replace(value, name));
        // What the log never had.
        let words = named.split(' ').map(|word| {
            let (word, comma) = word.strip_suffix(',').map_or((word, ""), |w| (w, ","));
            let is_digest = word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
            let is_time = word.len() == "2027-01-15T08:00:00.000000Z".len() && word.contains('T') && word.ends_with('Z');
            format!("{}{comma}", if is_digest || is_time { "another" } else { word })
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// Exactly this is found after a damage.
    async fn finds(&self, damage: &str, expected: &[impl AsRef<str>]) {
        self.damage(damage).await;
        assert_eq!(self.found().await, texts(expected), "after {damage}");
    }

    /// Exactly this is found after a damage whose digests all agree.
    async fn finds_forged(&self, damage: &str, expected: &[impl AsRef<str>]) {
        self.damage(damage).await;
        self.forge().await;
        assert_eq!(self.found().await, texts(expected), "forged: after {damage}");
    }

    /// The SQL that changes one result.
    async fn result(&self, page: i64, ordinal: usize, change: impl FnOnce(&mut CommandResult)) -> String {
        let (_, _, ledger) = self.log.page(page).await;
        let mut result = CommandResult::decode(ledger[ordinal].result.as_slice()).expect("a result");
        change(&mut result);
        format!(r"UPDATE command SET result = '\x{}' WHERE page = {page} AND ordinal = {ordinal}", hex(&result.encode_to_vec()))
    }

    /// The SQL that changes the requests of a page.
    async fn requests(&self, page: i64, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> String {
        let row = self.log.partition.audit_requests(page, page).await.expect("readable").next().await.expect("readable");
        let mut requests = Requests::decode(row.expect("it is kept").requests.as_slice()).expect("requests").requests;
        change(&mut requests);
        format!(r"UPDATE request SET requests = '\x{}' WHERE page = {page}", hex(&Requests { requests }.encode_to_vec()))
    }
}

fn texts(of: &[impl AsRef<str>]) -> Vec<String> {
    of.iter().map(|text| text.as_ref().to_owned()).collect()
}

const RECEIVED: &str = "shop.inventory.v1.StockReceived";
const NOTHING: &[&str] = &[];

#[tokio::test]
async fn what_a_page_says_of_itself_is_compared_with_the_page_before() {
    let f = Forger::new().await;
    f.finds_forged("SELECT 1", NOTHING).await;
    f.finds(
        "DELETE FROM page",
        &["inventory/0 page 0: page: expected the page that begins the log, found inventory/0 has no page 0: run `daybook migrate`"],
    )
    .await;
    f.finds("UPDATE page SET writer = 'me' WHERE page = 7", &["inventory/0 page 7: digest of the page: expected another, found page 7's"])
        .await;
    for (page, before) in [(4, "page 3's"), (0, "the log's birth")] {
        f.finds(
            &format!("UPDATE page SET previous = sha256('x') WHERE page = {page}"),
            &[
                &format!("inventory/0 page {page}: digest of the page before: expected {before}, found another"),
                &format!("inventory/0 page {page}: digest of the page: expected another, found page {page}'s"),
            ],
        )
        .await;
    }
    let copied = "INSERT INTO page SELECT partition, NEW, writer, previous, digest, recorded_at, reason FROM page WHERE page = OLD";
    f.finds_forged(
        &copied.replace("NEW", "-1, epoch, 0, 0, message_offset").replace("OLD", "0"),
        &["inventory/0 page -1: number of the page: expected 0, found -1"],
    )
    .await;
    f.finds_forged(
        &copied.replace("NEW", "8, epoch, 8, -1, message_offset").replace("OLD", "7"),
        // It ends before event 7: that is behind all that is read.
        &[
            "inventory/0:7: event: expected an event, found none",
            "inventory/0 page 7: digest of the page: expected another, found page 7's",
            "inventory/0 page 8: number of events: expected 0 or more, found -1",
        ],
    )
    .await;
    // Nothing but the numbers tells of a page without events and commands.
    f.finds_forged("DELETE FROM page WHERE page = 1", &["inventory/0 page 1: page: expected a page, found none: 1 missing before page 2"])
        .await;
    f.finds_forged("DELETE FROM page WHERE page < 2", &["inventory/0 page 0: page: expected a page, found none: 2 missing before page 2"])
        .await;
    let moved = f
        .result(7, 0, |r| {
            r.offset = 8;
            r.events[0].offset = 8;
        })
        .await;
    f.finds_forged(
        &format!(r#"UPDATE page SET first_offset = 8 WHERE page = 7; UPDATE event SET "offset" = 8 WHERE "offset" = 7; {moved}"#),
        &["inventory/0 page 7: first offset: expected 7, found 8"],
    )
    .await;
    f.finds_forged("UPDATE page SET epoch = 0 WHERE page = 0", &["inventory/0 page 0: epoch: expected 1 or later, found 0"]).await;
    // A page that is later than all behind it; two of one time are as they should be.
    let epochs: Vec<String> = (2..8).map(|page| format!("inventory/0 page {page}: epoch: expected 2 or later, found 1")).collect();
    f.finds_forged("UPDATE page SET epoch = 2 WHERE page = 1", &epochs).await;
    let times: Vec<String> =
        (2..8).map(|page| format!("inventory/0 page {page}: time: expected another or later, found page {page}'s")).collect();
    f.finds_forged("UPDATE page SET recorded_at = recorded_at + interval '1 hour' WHERE page = 1", &times).await;
    f.finds_forged("UPDATE page SET recorded_at = (SELECT recorded_at FROM page WHERE page = 2) WHERE page = 1", NOTHING).await;
}

#[tokio::test]
async fn what_is_missing_and_what_belongs_to_no_page_is_named() {
    let f = Forger::new().await;
    // A's versions are 1 to 5, at 0, 2, 3, 5 and 7; B's 1 to 3, at 1, 4 and 6.
    let none = |place: &str| format!("inventory/0:{place}: event: expected an event, found none");
    for (damage, found) in [
        (r#""offset" = 2"#, vec![none("2"), "inventory/0:3: version of stock/A@w: expected 2, found 3".to_owned()]),
        (r#""offset" = 3"#, vec![none("3"), "inventory/0:5: version of stock/A@w: expected 3, found 4".to_owned()]),
        (
            r#""offset" IN (5, 6)"#,
            vec![
                none("5") + " up to inventory/0:6",
                "inventory/0 page 6: version in the result of command 0 (c6.0 of stock/B@w): expected 2, found 3".to_owned(),
                "inventory/0:7: version of stock/A@w: expected 4, found 5".to_owned(),
            ],
        ),
    ] {
        f.finds_forged(&format!("DELETE FROM event WHERE {damage}"), &found).await;
    }
    let page = "inventory/0 page 4: page: expected a page, found none: 1 missing before page 5";
    let version = "inventory/0:6: version of stock/B@w: expected 2, found 3";
    let cut = "DELETE FROM page WHERE page = 4";
    let without_a_trace = ["event", "command", "request"].map(|table| format!("DELETE FROM {table} WHERE page = 4")).join("; ");
    f.finds_forged(&format!("{cut}; {without_a_trace}"), &[page, version]).await;
    let event =
        format!("inventory/0:4: event: expected none: no page covers this offset, found {RECEIVED} of stock/B@w, which names page 4");
    let row = "inventory/0 page 4: ledger row: expected none: there is no such page, found command c4.0 of stock/B@w";
    let length =
        f.log.partition.audit_requests(4, 4).await.expect("readable").next().await.expect("readable").expect("kept").requests.len();
    let requests = format!("inventory/0 page 4: requests: expected none: there is no such page, found {length} bytes");
    f.finds_forged(cut, &[page, &event, version, row, &requests]).await;
    // Before the first page; behind the last one.
    let events = |from: i64, to: i64, page: i64| {
        format!(
            r#"INSERT INTO event SELECT partition, n, stream_id, 77 + n, type, payload, metadata, recorded_at, digest, {page}
               FROM event, generate_series({from}, {to}) n WHERE "offset" = 7"#
        )
    };
    let command = |page: i64| {
        format!(
            "INSERT INTO command SELECT partition, 'stock/C@w', command_id, {page}, 0, request_digest, result FROM command WHERE page = 7"
        )
    };
    f.finds(
        &events(-1, -1, 0),
        &[format!("inventory/0:-1: event: expected none: no page covers this offset, found {RECEIVED} of stock/A@w, which names page 0")],
    )
    .await;
    f.finds(&command(-1), &["inventory/0 page -1: ledger row: expected none: there is no such page, found command c7.0 of stock/C@w"])
        .await;
    let request = "INSERT INTO request SELECT partition, 8, requests FROM request WHERE page = 7";
    let behind =
        |kind: &str, page: i64| format!("{kind}: expected nothing behind the last page, found a row of no page; it names page {page}");
    f.finds(
        &[events(8, 8, 8), command(8), request.to_owned()].join("; "),
        &[
            format!("inventory/0:8: {}", behind("event", 8)),
            format!("inventory/0 page 8: {}", behind("command", 8)),
            format!("inventory/0 page 8: {}", behind("request", 8)),
        ],
    )
    .await;
    // Pages that are there, and do not hold it.
    for page in [0, 7] {
        f.finds(&events(8, 8, page), &[format!("inventory/0:8: {}", behind("event", page))]).await;
    }
    let first: Vec<String> = (8..108).map(|offset| format!("inventory/0:{offset}: {}", behind("event", 8))).collect();
    f.finds(&events(8, 127, 8), &first).await;
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_named_although_all_digests_agree() {
    let f = Forger::new().await;
    let digest = "inventory/0:2: digest of the event: expected another, found event 2's";
    f.finds(r#"UPDATE event SET payload = payload || '\x00'::bytea WHERE "offset" = 2"#, &[digest]).await;
    // No digest covers the page that an event names.
    f.finds(r#"UPDATE event SET page = 3 WHERE "offset" = 4"#, &["inventory/0:4: page of the event: expected 4, found 3"]).await;
    f.finds_forged(
        r#"UPDATE event SET recorded_at = recorded_at + interval '1 microsecond' WHERE "offset" = 4"#,
        &["inventory/0:4: time of the event: expected page 4's, found another"],
    )
    .await;
    f.finds_forged(
        r#"UPDATE event SET version = 9 WHERE "offset" = 6"#,
        &[
            "inventory/0:6: version of stock/B@w: expected 3, found 9",
            "inventory/0 page 5: version in the result of command 1 (c5.1 of stock/B@w): expected 9, found 3",
            "inventory/0 page 6: version in the result of command 0 (c6.0 of stock/B@w): expected 9, found 3",
        ],
    )
    .await;
    let in_result = |stream: &str, command: &str| {
        format!(
            "inventory/0 page 7: event 7 in the result of command 0 (c7.0 of stock/A@w): \
             expected {RECEIVED} of {stream} by command {command}, found {RECEIVED} of stock/A@w by command c7.0"
        )
    };
    f.finds_forged(
        r#"UPDATE event SET stream_id = 'nonsense', version = 1 WHERE "offset" = 7"#,
        &[
            "inventory/0:7: stream id: expected <aggregate>/<id>, found \"nonsense\" is no stream id: it must be <aggregate>/<id>, \
             each of A-Z a-z 0-9 . _ - @, at most 400 characters",
            &in_result("nonsense", "c7.0"),
            "inventory/0 page 7: version in the result of command 0 (c7.0 of stock/A@w): expected 1, found 5",
        ],
    )
    .await;
    for metadata in ["", r"\xff", r"\x0a0178"] {
        f.finds_forged(
            &format!(r#"UPDATE event SET metadata = '{metadata}' WHERE "offset" = 7"#),
            &["inventory/0:7: metadata: expected a command id, found none that can be read"],
        )
        .await;
    }
    let stranger = "11111111-1111-1111-1111-111111111111";
    let metadata = Metadata { command_id: vec![0x11; 16], ..Default::default() };
    f.finds_forged(
        &format!(r#"UPDATE event SET metadata = '\x{}' WHERE "offset" = 7"#, hex(&metadata.encode_to_vec())),
        &[
            &format!("inventory/0:7: command of the event: expected one in the ledger of page 7, found {stranger}"),
            &in_result("stock/A@w", stranger),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_a_result_is_named_although_all_digests_agree() {
    type Change = fn(&mut CommandResult);
    let f = Forger::new().await;
    // No digest covers the ordinal itself.
    f.finds(
        "UPDATE command SET ordinal = 1 WHERE page = 7",
        &["inventory/0 page 7: ordinal of command 1 (c7.0 of stock/A@w): expected 0, found 1"],
    )
    .await;
    f.finds_forged(
        "DELETE FROM command WHERE page = 4",
        &[
            "inventory/0:4: command of the event: expected one in the ledger of page 4, found c4.0",
            "inventory/0:4: ledger: expected a result that names the event, found none names those up to inventory/0:4",
            "inventory/0 page 4: number of requests: expected 0, found 1",
        ],
    )
    .await;
    f.finds_forged(
        r"UPDATE command SET result = '\xff' WHERE page = 6",
        &["inventory/0 page 6: result of command 0 (c6.0 of stock/B@w): expected one that can be read, \
           found failed to decode Protobuf message: invalid varint"],
    )
    .await;
    // THE stands for the command; of the third page: A: reserve, refused, receive.
    let cases: [((i64, usize), Change, &[&str]); 18] = [
        ((7, 0), |r| r.service = "inventorz".into(), &["service in the result of THE: expected inventory, found inventorz"]),
        ((7, 0), |r| r.stream_id = "stock/B@w".into(), &["stream in the result of THE: expected stock/A@w, found stock/B@w"]),
        ((7, 0), |r| r.partition = 1, &["partition in the result of THE: expected 0, found 1"]),
        ((7, 0), |r| r.epoch = 2, &["epoch in the result of THE: expected 1, found 2"]),
        ((7, 0), |r| r.version += 1, &["version in the result of THE: expected 5, found 6"]),
        ((3, 1), |r| r.version += 1, &["version in the result of THE: expected 2, found 3"]),
        ((6, 0), |r| r.version += 1, &["version in the result of THE: expected 3, found 4"]),
        ((7, 0), |r| r.version = u64::MAX, &["version in the result of THE: expected 5, found 9223372036854775807"]),
        ((7, 0), |r| r.offset += 1, &["offset in the result of THE: expected 7, found 8"]),
        ((3, 1), |r| r.offset += 1, &["offset in the result of THE: expected 2, found 3"]),
        ((6, 0), |r| r.offset -= 1, &["offset in the result of THE: expected 6, found 5"]),
        (
            (7, 0),
            |r| r.events[0].offset -= 1,
            &[
                "first event in the result of THE: expected 7, found 6",
                "event in the result of THE: expected one of this page, found 6",
                "offset in the result of THE: expected 6, found 7",
                "inventory/0:7: ledger: expected a result that names the event, found none names those up to inventory/0:7",
            ],
        ),
        (
            (7, 0),
            |r| r.events[0].offset += 1,
            &[
                "first event in the result of THE: expected 7, found 8",
                "event in the result of THE: expected one of this page, found 8",
                "offset in the result of THE: expected 8, found 7",
            ],
        ),
        (
            (7, 0),
            |r| r.events.push(EventRef { r#type: "t".into(), offset: 9 }),
            &[
                "order of the events in the result of THE: expected 8, found 9",
                "event in the result of THE: expected one of this page, found 9",
                "offset in the result of THE: expected 9, found 7",
            ],
        ),
        (
            (7, 0),
            // As long as the right one.
            |r| r.events[0].r#type = "shop.inventory.v1.StockReserved".into(),
            &["event 7 in the result of THE: expected shop.inventory.v1.StockReceived of stock/A@w by command c7.0, \
               found shop.inventory.v1.StockReserved of stock/A@w by command c7.0"],
        ),
        (
            (7, 0),
            |r| r.events.clear(),
            &[
                "offset in the result of THE: expected 6, found 7",
                "version in the result of THE: expected 4, found 5",
                "inventory/0:7: ledger: expected a result that names the event, found none names those up to inventory/0:7",
            ],
        ),
        ((7, 0), |r| r.command_digest = vec![0; 32], &["command digest in the result of THE: expected command 7.0's, found another"]),
        ((3, 2), |r| r.command_digest.clear(), &["command digest in the result of THE: expected command 3.2's, found "]),
    ];
    for ((page, ordinal), change, expected) in cases {
        let stream = if page == 6 { "stock/B@w" } else { "stock/A@w" };
        let command = format!("command {ordinal} (c{page}.{ordinal} of {stream})");
        let expected: Vec<String> = expected
            .iter()
            .map(|e| if e.contains("THE") { format!("inventory/0 page {page}: {}", e.replace("THE", &command)) } else { (*e).to_owned() })
            .collect();
        f.finds_forged(&f.result(page, ordinal, change).await, &expected).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_requests_is_named_with_the_command() {
    let f = Forger::new().await;
    let none = |page: i64, of: i64| {
        format!("inventory/0 page {page}: requests: expected those of {of} commands, found none, and their range is not detached")
    };
    f.finds("DELETE FROM request WHERE page = 4", &[none(4, 1)]).await;
    f.finds(
        r"UPDATE request SET requests = '\xff' WHERE page = 4",
        &["inventory/0 page 4: requests: expected those of the page's commands, \
           found bytes that are none: failed to decode Protobuf message: invalid varint"],
    )
    .await;
    let fewer = f.requests(3, |r| drop(r.pop())).await;
    f.finds(&fewer, &["inventory/0 page 3: number of requests: expected 3, found 2"]).await;
    let more = f.requests(3, |r| r.push(Vec::new())).await;
    f.finds(&more, &["inventory/0 page 3: number of requests: expected 3, found 4"]).await;
    let changed = f.requests(3, |r| r[1].push(0)).await;
    f.finds(
        &changed,
        &["inventory/0 page 3: request of command 1 (c3.1 of stock/A@w): its SHA-256: expected request 3.1's, found another"],
    )
    .await;
    // Forged with its own digest in the ledger.
    let forged = async |bytes: &[u8]| {
        let requests = f.requests(4, |r| r[0] = bytes.to_vec()).await;
        format!(r"{requests}; UPDATE command SET request_digest = sha256('\x{}') WHERE page = 4 AND ordinal = 0", hex(bytes))
    };
    f.finds_forged(
        &forged(&[0xff]).await,
        &["inventory/0 page 4: request of command 0 (c4.0 of stock/B@w): expected one that can be read, \
           found failed to decode Protobuf message: invalid varint"],
    )
    .await;
    let row = f.log.partition.audit_requests(4, 4).await.expect("readable").next().await.expect("readable").expect("kept");
    let request = Request::decode(Requests::decode(row.requests.as_slice()).expect("requests").requests[0].as_slice()).expect("a request");
    let changes: [fn(&mut Request); 3] = [|r| r.r#type.push('x'), |r| r.command.push(0), |r| r.if_match = Some(1)];
    for change in changes {
        let mut other = request.clone();
        change(&mut other);
        f.finds_forged(
            &forged(&other.encode_to_vec()).await,
            &["inventory/0 page 4: command digest in the result of command 0 (c4.0 of stock/B@w): expected another, found command 4.0's"],
        )
        .await;
    }
    // Detached in part: those of pages 0 to 3 are still to be there.
    let detached = "ALTER TABLE request_0 DETACH PARTITION request_0_0; DELETE FROM request_0_0 WHERE page > 3; \
                    ALTER TABLE request_0 ATTACH PARTITION request_0_0 FOR VALUES FROM (0) TO (4); DELETE FROM request WHERE page = 3";
    f.damage(detached).await;
    let report = f.log.verify().await;
    let found: Vec<String> = report.findings.iter().map(|finding| finding.to_string()).collect();
    assert_eq!(found, [none(3, 3)]);
    let note = "the requests of 4 pages, 4 to 7, were detached: their digests are in the chain, their bytes are not here to check";
    assert_eq!(report.notes, [note]);
}

#[tokio::test]
async fn a_stream_of_another_partition_is_named() {
    let mut log = Fixture::of(2).await;
    let skus = ["A", "B", "C", "D", "E", "F"];
    for sku in skus {
        log.commit(&[receive(sku, 1)]).await;
    }
    let options = VerifyOptions { service: Some("inventory".into()), partition: Some(0), kafka: false };
    let report = verify(&log.database.databases(), None, &log.registry, &options, &mut |_| {}).await.expect("it can be read");
    let found: Vec<String> = report.partitions[0].findings.iter().map(ToString::to_string).collect();
    let strangers = skus.iter().enumerate().filter(|(_, sku)| StreamId::new("stock", &format!("{sku}@w")).partition(2) == 1);
    let expected: Vec<String> =
        strangers.map(|(offset, _)| format!("inventory/0:{offset}: partition of the stream: expected 1, found 0")).collect();
    assert!(!expected.is_empty() && expected.len() < skus.len(), "of both");
    assert_eq!(found, expected);
}

#[tokio::test]
async fn snapshots_that_are_not_folded_again_are_noted_with_the_reason() {
    let f = Forger::new().await;
    for version in 1..6 {
        f.log.snapshot("stock/A@w", version).await;
    }
    f.log.snapshot("stock/B@w", 3).await;
    // A state that no event came to: an event of another type before it can't be folded, and one behind it is none of its business.
    let forged = r"UPDATE snapshot SET state = '\x0863' WHERE stream_id = 'stock/A@w' AND version IN (2, 4)";
    f.damage(&format!(r#"UPDATE event SET type = 'shop.inventory.v1.StockSang' WHERE "offset" = 3; {forged}"#)).await;
    // Behind the stream's end, with the digest of its last event.
    f.damage("UPDATE snapshot SET version = 4 WHERE stream_id = 'stock/B@w'").await;
    let copied = "INSERT INTO snapshot SELECT partition, STREAM, version, fingerprint, event_digest, state, recorded_at FROM snapshot WHERE stream_id = 'stock/B@w'";
    for stream in ["'nonsense'", "'shelf/A'"] {
        f.damage(&copied.replace("STREAM", stream)).await;
    }
    let report = f.log.verify().await;
    assert_eq!(report.snapshots, 8);
    let found: Vec<String> =
        report.findings.iter().map(|finding| f.named(&finding.to_string())).filter(|x| x.contains("snapshot")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("inventory/0:2: snapshot of stock/A@w at version 2: expected {"), "{found:?}");
    assert_eq!(
        report.notes,
        [
            "2 snapshots were not folded again: another build's, or of an aggregate that this build does not know",
            "3 snapshots were not folded again: stock/A@w holds an event that can't be folded: this build knows no type shop.inventory.v1.StockSang",
            "1 snapshots were not folded again: the event that they name does not stand, so every reader ignores them",
        ]
    );
}
