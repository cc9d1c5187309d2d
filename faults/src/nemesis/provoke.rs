//! Work that a nemesis brings along: it goes into the history as any other.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rand::RngExt as _;
use tokio::task::JoinSet;

use super::Field;
use crate::history::{Answer, Command, Via};
use crate::shop::names::PAGES;
use crate::shop::{creation, fall_and_return, held_for};
use crate::workload::Server;

/// Each provocation is a client of its own: it asks one thing, and no more.
static CLIENT: AtomicU32 = AtomicU32::new(2_000_000);

/// The most times that a handle is asked.
const HANDLE_ASKED: usize = 40;

pub(super) fn client() -> u32 {
    CLIENT.fetch_add(1, Relaxed)
}

/// Questions that were asked while a fault was there, and may not be answered yet.
#[derive(Debug, Default)]
pub struct Asked(JoinSet<()>);

impl Asked {
    /// Waits for the answers; each comes within a client's patience.
    pub async fn answered(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

impl Field<'_> {
    /// A command that nobody has asked for.
    pub(super) fn new_command(&mut self) -> Command {
        creation(self.random.random())
    }

    /// Asks every endpoint for something new, without waiting for what it says.
    pub(super) fn ask(&mut self, asked: &mut Asked) {
        for member in self.cluster.handlers() {
            let (http, command, by) = (self.http.clone(), self.new_command(), client());
            asked.0.spawn(async move {
                http.command(by, &member.server(), &command).await;
            });
        }
    }

    /// Asks every endpoint for what a reactor reacts to, twice.
    pub(super) fn ask_for_reactions(&mut self, asked: &mut Asked) {
        for member in self.cluster.handlers() {
            let (http, commands, by) = (self.http.clone(), fall_and_return(self.random.random()), client());
            asked.0.spawn(async move {
                for command in commands {
                    http.command(by, &member.server(), &command).await;
                }
            });
        }
    }

    /// Asks every endpoint for what the scheduler ends after so many seconds.
    pub(super) fn ask_for_deadlines(&mut self, asked: &mut Asked, seconds: u32) {
        for member in self.cluster.handlers() {
            let (http, commands, by) = (self.http.clone(), held_for(self.random.random(), seconds), client());
            asked.0.spawn(async move {
                for command in commands {
                    http.command(by, &member.server(), &command).await;
                }
            });
        }
    }

    /// Asks every endpoint for something new; of what is accepted every endpoint is asked for the result, again and again, until there is one.
    pub(super) fn ask_by_handle(&mut self, asked: &mut Asked) {
        let places: Vec<Server> = self.cluster.handlers().into_iter().map(|member| member.server()).collect();
        for at in places.clone() {
            let (http, command, by, places) = (self.http.clone(), self.new_command(), client(), places.clone());
            asked.0.spawn(async move {
                let Answer::Accepted { location: Some(location) } = http.command(by, &at, &command).await else { return };
                let command = Command { via: Via::Kafka, ..command };
                for at in places.iter().cycle().take(HANDLE_ASKED) {
                    if matches!(http.handle(by, at, &command, &location).await, Answer::Done { .. } | Answer::Refused { .. }) {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            });
        }
    }

    /// Reads a page that nobody holds from every query API.
    pub(super) fn read_anew(&mut self, asked: &mut Asked) {
        for member in self.cluster.queries() {
            let (http, key, by) = (self.http.clone(), format!("n-{:016x}", self.random.random::<u64>()), client());
            asked.0.spawn(async move {
                http.read(by, &member.server(), PAGES, &key, &[]).await;
            });
        }
    }

    /// Holds a fault for a while, and has commands and reads come meanwhile.
    pub(super) async fn hold(&mut self, time: Duration) -> Asked {
        let mut asked = Asked::default();
        self.hold_asking(&mut asked, time).await;
        asked
    }

    /// The same, beside what was asked already.
    pub(super) async fn hold_asking(&mut self, asked: &mut Asked, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            self.ask(asked);
            self.read_anew(asked);
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + Duration::from_millis(500))).await;
        }
    }
}
