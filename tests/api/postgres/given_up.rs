//! Who writes and gives up: what has got to the disk gets to the database.

use std::pin::pin;
use std::task::Poll;

use latchlight::config::DatabaseSettings;
use latchlight::database::{Database, Wording};

use crate::harness::until;
use crate::postgres_server::Cluster;

const EVENT: Wording = Wording {
    sqlite: "",
    postgres: "INSERT INTO events (at, kind, actor, through, action, result) \
        SELECT 1, 'test', 'x', 'x', value ->> 0, 'ok' FROM json_array_elements($1::json)",
};

/// Looks at it so many times, and gives it up then.
async fn looked_at<T>(times: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = times;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let done = work.as_mut().poll(context).map(Some);
        if left == 0 && done.is_pending() { Poll::Ready(None) } else { done }
    })
    .await
}

#[tokio::test]
async fn a_write_that_is_given_up_at_any_step_leaves_nothing_that_waits_for_nobody() {
    let cluster = Cluster::start();
    let url = cluster.database("latchlight").await;
    let folder = tempfile::tempdir().unwrap();
    let settings = DatabaseSettings { url: Some(url) };
    let database = Database::open(&settings, folder.path()).await.unwrap();
    let writer = &database.writer;
    let mut done = 0;
    for steps in 1..7 {
        cluster.kill();
        let row = format!("[[\"{steps}\"]]");
        let written = looked_at(steps, writer.write(&EVENT, row, 1)).await;
        let is_done = written.is_some_and(|written| written.is_ok());
        done += usize::from(is_done);
        cluster.start_again();
        let last = format!("[[\"after {steps}\"]]");
        writer.write(&EVENT, last, 1).await.unwrap();
        until("all of it to be there", async || {
            (!writer.is_away() && writer.waiting() == 0).then_some(())
        })
        .await;
        let count = "SELECT count(*) FROM events WHERE action = $1";
        let count = async |action: String| -> i64 {
            let count = sqlx::query_scalar(count).bind(action);
            count.fetch_one(&database.pool).await.unwrap()
        };
        assert_eq!(count(format!("after {steps}")).await, 1);
        let found = count(steps.to_string()).await;
        assert!(found == 1 || found == 0 && !is_done, "{steps}: {found} times");
    }
    assert!(done > 0, "none came to its end");
    database.close().await;
}
