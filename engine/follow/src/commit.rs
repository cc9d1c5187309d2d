//! One transaction for the prepared statements of several followers: one round trip, one flush.

use std::pin::Pin;
use std::task::Poll;

use deadpool_postgres::Client;
use tokio_postgres::Error;

use crate::follower::{Follower, Moved};

/// The outcome of a transaction.
pub(crate) enum Committed {
    /// It stands: what each statement found.
    Stands(Vec<Moved>),
    /// This statement failed: nothing of any stands.
    Failed(usize, Error),
    /// The connection was lost: nobody knows.
    Lost(Error),
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Moved, Error>> + Send + 'a>>;

/// Executes the prepared statement of each, in one transaction. It must not be cancelled: nobody would know what stands.
pub(crate) async fn commit(client: &Client, followers: &[&dyn Follower]) -> Committed {
    let alone = followers.len() == 1;
    let word = |word: &'static str| -> Option<Sent<'_>> {
        (!alone).then(|| Box::pin(async move { client.batch_execute(word).await.map(|()| Moved::Yes) }) as Sent<'_>)
    };
    let executed = followers.iter().map(|follower| follower.execute(client) as Sent<'_>);
    let sent: Vec<Sent<'_>> = word("BEGIN").into_iter().chain(executed).chain(word("COMMIT")).collect();
    let mut answers = pipelined(sent).await;
    if !alone {
        // A COMMIT that rolled back answers without an error, so its answer says nothing where another failed.
        let last = answers.pop();
        let first = answers.remove(0);
        if let Err(error) = first {
            return Committed::Lost(error);
        }
        answers.extend(last.filter(Result::is_err));
    }
    let mut moved = Vec::with_capacity(answers.len());
    for (n, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(found) => moved.push(found),
            Err(error) if n < followers.len() && ends_only_the_statement(&error) => return Committed::Failed(n, error),
            Err(error) => return Committed::Lost(error),
        }
    }
    Committed::Stands(moved)
}

/// Executes the prepared statement of each, in a transaction of its own, in one round trip.
pub(crate) async fn each(client: &Client, followers: &[&dyn Follower]) -> Vec<Result<Moved, Error>> {
    pipelined(followers.iter().map(|follower| follower.execute(client) as Sent<'_>).collect()).await
}

/// Whether the session goes on, so that it is certain that nothing stands.
fn ends_only_the_statement(error: &Error) -> bool {
    error.as_db_error().is_some_and(|db| {
        let ended = db.parsed_severity().is_some_and(|s| s == tokio_postgres::error::Severity::Fatal);
        !ended && !db.code().code().starts_with("57P") && !db.code().code().starts_with("08")
    })
}

/// Waits for all of them, each of which is sent when it is first polled: in their order, before any answer is waited for.
async fn pipelined(sent: Vec<Sent<'_>>) -> Vec<Result<Moved, Error>> {
    let mut waiting: Vec<(Sent<'_>, Option<Result<Moved, Error>>)> = sent.into_iter().map(|future| (future, None)).collect();
    std::future::poll_fn(move |context| {
        let mut all = true;
        for (future, answer) in &mut waiting {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(done) => *answer = Some(done),
                    Poll::Pending => all = false,
                }
            }
        }
        if all { Poll::Ready(waiting.iter_mut().filter_map(|(_, answer)| answer.take()).collect()) } else { Poll::Pending }
    })
    .await
}
