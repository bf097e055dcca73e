//! Messages that are older than the tenant keeps them, or become so during the run; and remove-expired, which removes
//! them.

use crate::client::{Api, upload};
use crate::database::connect;
use crate::history::{Old, Recorder};
use crate::search::{files, storage_folder};
use crate::tinychat;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs::File;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// The days for which the tenant keeps messages.
const DAYS: u32 = 5;

/// The numbers of messages that have expired before the run, that expire during it, and that don't expire.
const EXPIRED: u32 = 2_000;
const EXPIRING: u32 = 500;
const KEPT: u32 = 500;

/// The number of images. Each is named by a message of each kind, except that kept messages name only every second one.
const IMAGES: u32 = 40;

/// The time before the end of the run in which no message expires.
const QUIET_END: Duration = Duration::from_secs(5);

/// The interval at which remove-expired begins again. Without this, it would pause for an hour.
const PASS: Duration = Duration::from_secs(3);

/// The time in which a pass must end.
const TIMEOUT: Duration = Duration::from_mins(2);

/// Sets the tenant's retention, and stores old messages in its conversations.
pub async fn prepare(
    api: &Api,
    recorder: &Recorder,
    tenant: Uuid,
    conversations: &[String],
    length: Duration,
) -> anyhow::Result<()> {
    let (code, error) = tinychat::run(&format!("tenants retention {tenant} {DAYS}"), TIMEOUT).await?;
    ensure!(code == 0, "tinychat tenants retention: {error}");
    let mut images = Vec::new();
    for (number, conversation) in (0..IMAGES).zip(conversations.iter().cycle()) {
        let path = format!("/v1/conversations/{conversation}/upload");
        let response = upload(api, &path, &format!("old {number}")).await;
        images.push(response.body.get("url").and_then(Value::as_str).context("an upload")?.to_owned());
    }
    // Whole milliseconds, each of them once, so that no two messages have the same time.
    let during = length.saturating_sub(QUIET_END).as_secs_f64() / f64::from(EXPIRING);
    let mut expirations: Vec<f64> = (1..=EXPIRED).map(|number| -f64::from(number)).collect();
    expirations.extend((0..EXPIRING).map(|number| f64::from(number) * during));
    expirations.extend((1..=KEPT).map(|number| 86_400.0 + f64::from(number)));
    let firsts = [0, EXPIRED, EXPIRED + EXPIRING];
    let insert = "insert into tinychat.messages
            (conversation_id, id, sender_id, body, message_type, media_url, created_at)
        select $1::text::uuid, tinychat.message_id_at(at), 'client 0', $2, case when $3::text is null then 'text' else 'image' end, $3, at
        from (select date_trunc('milliseconds', now()) - $4::float8 * interval '1 day' + $5::float8 * interval '1 s') t (at)
        returning id::text";
    let mut client = connect().await?;
    let began = recorder.began.elapsed(); // not later than the transaction's now()
    let transaction = client.transaction().await?;
    let mut all = Vec::new();
    for ((number, expires), conversation) in (0..).zip(expirations).zip(conversations.iter().cycle()) {
        let first = firsts.iter().rev().find(|first| **first <= number).copied().unwrap_or_default();
        let is_kept = first == EXPIRED + EXPIRING;
        let place = number - first;
        let image = images.get(usize::try_from(place)?).filter(|_| !is_kept || place.is_multiple_of(2));
        let body = format!("old {number}");
        let params: [&(dyn ToSql + Sync); 5] = [conversation, &body, &image, &f64::from(DAYS), &expires];
        let id = transaction.query_one(insert, &params).await?.get(0);
        let expires = began + Duration::from_secs_f64(expires.max(0.0));
        let expires = (!is_kept).then_some(expires);
        all.push(Old { id, conversation: conversation.clone(), body, expires });
    }
    let clock = "update tinychat.conversations c
        set last_at = (select max(m.created_at) from tinychat.messages m where m.conversation_id = c.id)
        where c.tenant_id = $1";
    transaction.execute(clock, &[&tenant]).await?;
    transaction.commit().await?;
    ensure!(recorder.old.set(all).is_ok(), "old messages were stored before");
    Ok(())
}

/// Lets remove-expired begin again at short intervals. It never ends.
pub async fn repeat() {
    let again = "update tinychat.progress set began_at = '-infinity' where position = 'end'";
    loop {
        sleep(PASS).await;
        if let Ok(client) = connect().await {
            let _postgres_may_be_down = client.execute(again, &[]).await;
        }
    }
}

/// Lets a day pass for all files, and waits for a complete pass over all conversations and images after that.
pub async fn finish() -> anyhow::Result<()> {
    for file in files(&storage_folder()?)? {
        let yesterday = SystemTime::now() - Duration::from_hours(25);
        File::options().write(true).open(file)?.set_modified(yesterday)?;
    }
    let client = connect().await?;
    client.execute("update tinychat.progress set position = 'end', began_at = '-infinity'", &[]).await?;
    let complete =
        "select count(*) = 2 from tinychat.progress where position = 'end' and began_at > '-infinity'";
    let until = Instant::now() + TIMEOUT;
    while !client.query_one(complete, &[]).await?.get::<_, bool>(0) {
        ensure!(Instant::now() < until, "remove-expired doesn't come to its end");
        sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}
