//! Those outside: slow, away, forgetful of answers, and their notices doubled, late, out of order, forged, or none at all.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::kills::kill;
use super::provoke::Asked;
use super::{Fault, Field, Heal, Struck};
use crate::cluster::Cluster;
use crate::shop::names::{CARRIER, PROVIDER};
use crate::workload::Server;

const HELD: Duration = Duration::from_secs(8);
/// Asked for while it is slow: nobody has ever asked under this key.
const NOBODYS: &str = "/v1/operations/nobody";
const SLOW: Duration = Duration::from_millis(3_000);
/// Longer than calls may take, some of them.
const PATIENCE: Duration = Duration::from_secs(6);
/// Breakers, and pauses between tries, are at most half a minute.
const WITHIN: u64 = 90;

/// By its address: the faults that strikes have set, by the strike's word for it. Each is set with all others that stand.
static SET: Mutex<BTreeMap<String, BTreeMap<&'static str, Value>>> = Mutex::new(BTreeMap::new());

/// Ways in which somebody outside can go wrong.
#[derive(Clone, Copy, Debug)]
enum Way {
    Slow,
    Down,
    LosesAnswers,
    /// Of notices: the fault's field, and its value.
    Notices(&'static str, u64),
}

impl Way {
    /// The field of `PUT /faults`, and what it is set to.
    fn fault(self) -> (&'static str, Value) {
        match self {
            Self::Slow => ("slowMs", json!(SLOW.as_millis() as u64)),
            Self::Down => ("down", json!(true)),
            Self::LosesAnswers => ("loseAnswers", json!(0.5)),
            Self::Notices(field, value) if value > 1 => (field, json!(value)),
            Self::Notices(field, _) => (field, json!(true)),
        }
    }
}

const TWICE: Way = Way::Notices("noticesTwice", 1);
const LATE: Way = Way::Notices("noticesLateMs", 4_000);
const OUT_OF_ORDER: Way = Way::Notices("noticesOutOfOrder", 1);
const FORGED: Way = Way::Notices("noticesForged", 1);
const NONE: Way = Way::Notices("noNotices", 1);

type Row = (&'static str, &'static str, &'static str, Way);

const ALL: [Row; 16] = [
    ("provider-slow", "the payment provider answers seconds late", PROVIDER, Way::Slow),
    ("provider-down", "the payment provider answers everything with 503", PROVIDER, Way::Down),
    (
        "provider-loses-answers",
        "the payment provider does what it is asked, and half of its answers break off",
        PROVIDER,
        Way::LosesAnswers,
    ),
    ("provider-notices-twice", "each notice of the payment provider comes twice", PROVIDER, TWICE),
    ("provider-notices-late", "the payment provider's notices come seconds late", PROVIDER, LATE),
    ("provider-notices-out-of-order", "the payment provider's notices overtake each other", PROVIDER, OUT_OF_ORDER),
    ("provider-notices-forged", "before each notice of the payment provider comes one with a bad signature", PROVIDER, FORGED),
    ("provider-silent", "the payment provider sends no notices", PROVIDER, NONE),
    ("carrier-slow", "the carrier answers seconds late", CARRIER, Way::Slow),
    ("carrier-down", "the carrier answers everything with 503", CARRIER, Way::Down),
    ("carrier-loses-answers", "the carrier does what it is asked, and half of its answers break off", CARRIER, Way::LosesAnswers),
    ("carrier-notices-twice", "each notice of the carrier comes twice", CARRIER, TWICE),
    ("carrier-notices-late", "the carrier's notices come seconds late", CARRIER, LATE),
    ("carrier-notices-out-of-order", "the carrier's notices overtake each other", CARRIER, OUT_OF_ORDER),
    ("carrier-notices-forged", "before each notice of the carrier comes one with a bad signature", CARRIER, FORGED),
    ("carrier-silent", "the carrier sends no notices", CARRIER, NONE),
];

pub(super) fn all() -> Vec<Fault> {
    let faults = ALL
        .into_iter()
        .map(|(name, about, whom, way)| Fault::new(name, about, WITHIN, move |f| Box::pin(goes_wrong(f, whom, way))).when(is_there));
    let kills = [
        ("kill-provider", "kill -9 of the payment provider, which goes on from its file", PROVIDER),
        ("kill-carrier", "kill -9 of the carrier, which goes on from its file", CARRIER),
    ];
    let kills =
        kills.into_iter().map(|(name, about, whom)| Fault::new(name, about, WITHIN, move |f| Box::pin(ends(f, whom))).when(is_there));
    faults.chain(kills).collect()
}

pub(super) fn is_there(cluster: &Cluster) -> Result<(), String> {
    if cluster.outside().is_empty() { Err("nobody is outside: --orders".to_owned()) } else { Ok(()) }
}

pub(super) fn whom(cluster: &Cluster, name: &str) -> anyhow::Result<Server> {
    cluster.outside().into_iter().find(|server| server.name == name).with_context(|| format!("{name} is not there"))
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

/// Sets a fault beside those of other strikes, or takes it back.
async fn set(server: &Server, field: &'static str, value: Option<Value>) -> anyhow::Result<()> {
    let faults = {
        let mut all = SET.lock().unwrap_or_else(PoisonError::into_inner);
        let of_it = all.entry(server.url.clone()).or_default();
        match value {
            Some(value) => of_it.insert(field, value),
            None => of_it.remove(field),
        };
        of_it.iter().map(|(field, value)| ((*field).to_owned(), value.clone())).collect::<Map<String, Value>>()
    };
    let response = client()?.put(format!("{}/faults", server.url)).json(&faults).send().await?;
    anyhow::ensure!(response.status().is_success(), "{} does not take {faults:?}: {}", server.name, response.status());
    Ok(())
}

/// It counts what was seen of the fault: answers that were late, refused or broken off; of notices, what it did while they went wrong and
/// tells of in notices.
async fn goes_wrong(mut field: Field<'_>, name: &'static str, way: Way) -> anyhow::Result<Struck> {
    let server = whom(field.cluster, name)?;
    let (fault, value) = way.fault();
    let before = if matches!(way, Way::Notices(..)) { told_of(&server).await? } else { 0 };
    let healed = server.clone();
    let heal = Heal(move || {
        let healed = healed.clone();
        tokio::spawn(async move { set(&healed, fault, None).await });
    });
    set(&server, fault, Some(value)).await?;
    let (mut asked, mut fired) = (Asked::default(), 0);
    let end = Instant::now() + HELD;
    while Instant::now() < end {
        let (wrong, ()) = tokio::join!(is_wrong(&server, way), field.hold_asking(&mut asked, Duration::from_millis(500)));
        fired += u64::from(wrong?);
    }
    if matches!(way, Way::Notices(..)) {
        fired = told_of(&server).await? - before;
    }
    drop(heal);
    // By the harness' own hand too: the strike is over when it is.
    set(&server, fault, None).await?;
    Ok(Struck::times(fired).asked(asked))
}

/// Whether a question was answered late, refused, or not at all.
async fn is_wrong(server: &Server, way: Way) -> anyhow::Result<bool> {
    if matches!(way, Way::Notices(..)) {
        return Ok(false);
    }
    let begun = Instant::now();
    let answer = client()?.get(format!("{}{NOBODYS}", server.url)).send().await;
    Ok(match way {
        Way::Slow => begun.elapsed() >= SLOW,
        Way::Down => answer.is_ok_and(|answer| answer.status() == 503),
        _ => match answer {
            Ok(answer) => answer.bytes().await.is_err(),
            Err(_) => true,
        },
    })
}

/// The number of changes that it has made, by its books: of payments each key, of parcels those that have moved.
pub(super) async fn told_of(server: &Server) -> anyhow::Result<u64> {
    let books: Value = client()?.get(format!("{}/books", server.url)).send().await?.json().await?;
    let payments = books["payments"].as_array().into_iter().flatten();
    let keys: usize = payments.map(|payment| payment["keys"].as_array().map_or(0, Vec::len)).sum();
    let parcels = books["parcels"].as_array().into_iter().flatten();
    Ok((keys + parcels.filter(|parcel| parcel["status"] != "labelled").count()) as u64)
}

async fn ends(mut field: Field<'_>, name: &str) -> anyhow::Result<Struck> {
    let server = whom(field.cluster, name)?;
    let victims = field.cluster.outsiders().into_iter().filter(|member| member.url == server.url).collect::<Vec<_>>();
    field.any_moment().await;
    let struck = kill(field.cluster, &victims).await?;
    // Its faults have gone with it, those of other strikes too: they are set again.
    let back = Instant::now() + Duration::from_secs(10);
    while let Err(error) = set(&server, "", None).await {
        anyhow::ensure!(Instant::now() < back, "{name} is not back: {error:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(struck)
}
