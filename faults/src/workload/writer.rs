//! A client that posts commands, and does not rest before it knows what came of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Floor;
use crate::history::{Answer, Command, Via};
use crate::shop::spoilt;

/// A command without a definite answer is repeated so often, each time after a longer rest, before its client gives up.
const TRIES: u32 = 12;
/// Commands that a client may repeat later.
const REMEMBERED: usize = 32;

pub(super) async fn work(floor: Arc<Floor>, client: u32, of: u32) {
    let mut random = floor.random(client);
    let mut before: Vec<Command> = Vec::new();
    while !floor.is_over() {
        floor.pace(of, &mut random).await;
        match random.random_range(0..100) {
            // A command that it has sent before, at another endpoint: the original result.
            0..8 if !before.is_empty() => {
                let command = before[random.random_range(0..before.len())].clone();
                insist(&floor, client, &command, &mut random).await;
            }
            // Another command under a key that is taken: refused, and nothing changes.
            8..10 if !before.is_empty() => {
                if let Some(command) = spoilt(&before[random.random_range(0..before.len())]) {
                    let at = floor.any(&floor.options.commands, &mut random);
                    floor.http.command(client, at, &command).await;
                }
            }
            // One that is no command at all.
            10..12 => {
                let mut command = floor.shop.command(client, &mut random);
                command.body["noSuchField"] = json!(1);
                let at = floor.any(&floor.options.commands, &mut random);
                floor.http.command(client, at, &command).await;
            }
            // The same at all endpoints at once.
            12..16 => {
                let command = floor.shop.command(client, &mut random);
                let told = join_all(floor.options.commands.iter().map(|at| floor.http.command(client, at, &command))).await;
                if !told.iter().any(is_definite) {
                    insist(&floor, client, &command, &mut random).await;
                }
            }
            // On condition of a version that it is at, or is not.
            16..20 => {
                let command = Command { if_match: Some(random.random_range(1..6)), ..floor.shop.command(client, &mut random) };
                insist(&floor, client, &command, &mut random).await;
            }
            _ => {
                let command = floor.shop.command(client, &mut random);
                if is_definite(&insist(&floor, client, &command, &mut random).await) {
                    if before.len() == REMEMBERED {
                        before.swap_remove(random.random_range(0..REMEMBERED));
                    }
                    before.push(command);
                }
            }
        }
    }
}

/// Posts commands at a rate, whatever comes of the ones before, as a crowd does; takes any answer for an answer. At most
/// `at_once` are under way: a crowd has no more hands either.
pub(super) async fn crowd(floor: Arc<Floor>, number: u32, rate: f64, at_once: usize, length: Duration) {
    let mut random = floor.random(number);
    let hands = Arc::new(Semaphore::new(at_once));
    let begun = Instant::now();
    let mut under_way = JoinSet::new();
    for n in 0.. {
        let due = Duration::from_secs_f64(f64::from(n) / rate);
        if due >= length {
            break;
        }
        tokio::time::sleep_until((begun + due).into()).await;
        while under_way.try_join_next().is_some() {}
        let Ok(hand) = hands.clone().try_acquire_owned() else { continue };
        let client = number + 1 + n % u32::MAX.saturating_sub(number + 1);
        let command = floor.shop.command(client, &mut random);
        let at = floor.any(&floor.options.commands, &mut random).clone();
        let floor = floor.clone();
        under_way.spawn(async move {
            floor.http.command(client, &at, &command).await;
            drop(hand);
        });
    }
    while under_way.join_next().await.is_some() {}
}

fn is_definite(told: &Answer) -> bool {
    matches!(told, Answer::Done { .. } | Answer::Refused { .. } | Answer::Invalid { .. } | Answer::Unexpected { .. })
}

/// Sends a command until its client knows what came of it; some clients give up at once. The last answer.
pub(super) async fn insist(floor: &Floor, client: u32, command: &Command, random: &mut StdRng) -> Answer {
    let mut last = Answer::Unknown { why: "it was not asked".to_owned() };
    let gives_up = random.random_bool(0.05);
    for attempt in 0..TRIES {
        let at = floor.any(&floor.options.commands, random);
        let mut told = floor.http.command(client, at, command).await;
        if let Answer::Accepted { location: Some(location) } = &told {
            told = follow(floor, client, command, location, random).await;
        }
        if let Answer::Done { token, .. } = &told {
            floor.shop.tell(&command.stream, token);
        }
        last = told;
        if is_definite(&last) || gives_up {
            break;
        }
        tokio::time::sleep(Duration::from_millis(u64::from(50 * (attempt + 1)).min(500))).await;
    }
    last
}

/// Asks a handle, at any endpoint, until there is a result.
async fn follow(floor: &Floor, client: u32, command: &Command, location: &str, random: &mut StdRng) -> Answer {
    let command = Command { via: Via::Kafka, ..command.clone() };
    let mut told = Answer::Accepted { location: Some(location.to_owned()) };
    for attempt in 0..TRIES {
        tokio::time::sleep(Duration::from_millis(u64::from(50 * (attempt + 1)))).await;
        let at = floor.any(&floor.options.commands, random);
        told = floor.http.handle(client, at, &command, location).await;
        if is_definite(&told) {
            break;
        }
    }
    told
}
