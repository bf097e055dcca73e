//! Images: uploads as apps make them, and the files in which the local Storage keeps them.

use crate::lambda::event;
use crate::{Chat, Function, Request, setting};
use reqwest::Method;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89";

/// The number of runs of remove-expired after which a condition must hold.
const TRIES: usize = 20;

/// Uploads an image into the chat's conversation. Returns its URL.
pub async fn upload(chat: &Chat) -> String {
    let head = "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
        content-type: image/png\r\n\r\n";
    let body = [head.as_bytes(), PNG, b"\r\n--edge--\r\n"].concat();
    let request = Request { method: Method::POST, ..Request::get(chat.path("upload")) };
    let response = chat.call(request.body("multipart/form-data; boundary=edge", body)).await.ok();
    response["url"].as_str().unwrap().to_owned()
}

/// Sends a message with an image. Returns it as it was answered.
pub async fn send_image(chat: &Chat, sender: &str, url: &str) -> Value {
    chat.send_with(&json!({ "sender_id": sender, "message_type": "image", "media_url": url })).await
}

/// Whether an image's URL serves a file.
pub async fn is_there(chat: &Chat, url: &str) -> bool {
    chat.fetch(chat.request(Method::GET, url)).await.status == 200
}

/// Returns the file of an image.
pub fn file(url: &str) -> PathBuf {
    let (_, path) = url.split_once("/public/").unwrap();
    Path::new(&setting("DATA_DIR")).join("storage").join(path)
}

/// Sets the time of an image's upload to so many hours ago.
pub fn age(file: &Path, hours: u64) {
    let stored = SystemTime::now() - Duration::from_hours(hours);
    File::options().write(true).open(file).unwrap().set_modified(stored).unwrap();
}

/// Runs remove-expired from the beginning until a condition holds. The local cloud runs it, too, and each run skips what the
/// other one is removing.
pub async fn remove_expired_until(chat: &Chat, holds: impl AsyncFn() -> bool) {
    for _ in 0..TRIES {
        chat.db.execute("delete from tinychat.progress", &[]).await.unwrap();
        let mut function = Function::start("remove-expired", &[]).await;
        assert_eq!(function.invoke(event("remove-expired")).await, Ok(Value::Null));
        if holds().await {
            return;
        }
    }
    panic!("remove-expired has not removed everything");
}
