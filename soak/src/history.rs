//! The records of a run: the requests of clients and their responses, the messages and events that are stored at the end,
//! and the broadcasts that a listener received.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The functions that change messages, and the kind of their changes.
pub const FUNCTIONS: [(&str, &str); 3] = [
    ("send-message", "message.created"),
    ("edit-message", "message.updated"),
    ("delete-message", "message.deleted"),
];

/// Requests, responses and broadcasts.
#[derive(Default)]
pub struct History {
    pub sends: Vec<Send>,
    pub changes: Vec<Change>,
    pub upserts: Vec<Upsert>,
    pub closures: Vec<Closure>,
    pub refusals: Vec<Refusal>,
    pub memberships: Vec<Membership>,
    /// Observations that no fault explains.
    pub anomalies: Vec<String>,
    /// The URLs of acknowledged uploads.
    pub uploads: Vec<String>,
    /// The broadcasts that the listener received, each with its count.
    pub broadcasts: HashMap<Broadcast, u64>,
    /// The changes whose broadcast a function logged as lost: the kind and the message's id.
    pub lost: Vec<(&'static str, String)>,
    pub deaths: Vec<Death>,
    /// The users who were erased, and the time of the erasure: from the start to the end of the command that succeeded.
    pub erasures: HashMap<String, Range<Duration>>,
    pub planted: Vec<Planted>,
    /// The messages that were stored before the run.
    pub old: Vec<Old>,
}

/// A text that was written by a user who may be erased. It identifies the user and the write.
#[derive(Clone)]
pub struct Planted {
    pub user: String,
    pub text: String,
    /// From the first request to the last response, since the start of the run.
    pub time: Range<Duration>,
    pub acknowledged: bool,
}

/// A planted text that the search found at the end.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub text: String,
    /// The table or the file.
    pub place: String,
}

/// A message that was stored before the run and is days old.
#[derive(Clone)]
pub struct Old {
    pub id: String,
    pub conversation: String,
    pub body: String,
    /// The earliest time at which it may be removed, since the start of the run. `None` if that is after the run.
    pub expires: Option<Duration>,
}

/// A change, as its broadcast shows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Broadcast {
    /// The webhook's event type, such as `message.created`.
    pub kind: &'static str,
    pub message: String,
    /// The new text of an edit.
    pub text: Option<String>,
}

/// A period in which functions may have been killed right after their responses.
#[derive(Clone)]
pub struct Death {
    /// The function that was killed, or `None` for all functions.
    pub function: Option<String>,
    pub from: Duration,
    pub to: Duration,
}

/// A message that a client has sent, once or repeatedly with the same `client_message_id`.
#[derive(Clone)]
pub struct Send {
    pub sender: String,
    /// The message's body, which is unique.
    pub body: String,
    pub reply_to: Option<String>,
    pub conversation: String,
    /// The times of the first request, of the last one and of its response, since the start of the run.
    pub began: Duration,
    pub last: Duration,
    pub ended: Duration,
    /// The last response, if it was a 200. Without it, the message may or may not be stored.
    pub acknowledged: Option<Acknowledged>,
}

/// The parts of a send's response that are checked.
#[derive(Clone)]
pub struct Acknowledged {
    pub id: String,
    pub created_at: String,
}

/// An edit or a deletion. After a change that isn't acknowledged, a client makes no more changes to that message.
#[derive(Clone)]
pub struct Change {
    pub message: String,
    /// The new text, or `None` for a deletion.
    pub text: Option<String>,
    /// The times of the request and of its response, since the start of the run.
    pub began: Duration,
    pub ended: Duration,
    pub acknowledged: bool,
}

/// An upsert of a user. After one that isn't acknowledged, a client makes no more upserts of that user.
#[derive(Clone)]
pub struct Upsert {
    pub user: String,
    pub name: String,
    /// The request and its response, since the start of the run.
    pub time: Range<Duration>,
    pub acknowledged: bool,
}

/// A period in which a conversation was closed to its users.
#[derive(Clone)]
pub struct Closure {
    pub conversation: String,
    /// The start and end, in the API's format. The conversation was surely closed between them.
    pub closed_at: String,
    pub opened_at: String,
    /// The times of the request to close it and of the response to the request to open it, since the start of the run. The
    /// conversation was surely open before and after them.
    pub requested: Duration,
    pub opened: Duration,
}

/// A request that was refused because its conversation was closed.
#[derive(Clone)]
pub struct Refusal {
    pub conversation: String,
    pub began: Duration,
    pub ended: Duration,
}

/// The participants of an open conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    pub conversation: String,
    pub participants: Vec<String>,
}

/// A message as it is stored in the database.
#[derive(Clone)]
pub struct Stored {
    pub id: String,
    pub conversation: String,
    pub sender: String,
    /// `None` if the message was erased.
    pub body: Option<String>,
    pub reply_to: Option<String>,
    /// The path of its image in Storage.
    pub image: Option<String>,
    /// In the API's format, which sorts in the order of time.
    pub created_at: String,
    pub deleted: bool,
}

/// An event in the outbox.
#[derive(Clone)]
pub struct Event {
    pub endpoint: String,
    pub id: String,
    pub kind: String,
    pub message: String,
    /// The message's body in the event.
    pub body: Option<String>,
    /// Whether the receiver has accepted it, even if that wasn't recorded.
    pub received: bool,
    /// Whether it is still waiting for delivery.
    pub queued: bool,
}

/// The clock and the records of a run. All of its tasks write to them.
pub struct Recorder {
    pub began: Instant,
    pub history: Mutex<History>,
    /// The messages that were stored before the run.
    pub old: OnceLock<Vec<Old>>,
    /// The numbers of successful and failed requests per operation.
    pub counts: Mutex<BTreeMap<&'static str, [u64; 2]>>,
    pub faults: Mutex<BTreeMap<String, u64>>,
}

impl Recorder {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            history: Mutex::default(),
            old: OnceLock::new(),
            counts: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub fn count(&self, operation: &'static str, succeeded: bool) {
        if let Some(count) = self.counts.lock().entry(operation).or_default().get_mut(usize::from(!succeeded))
        {
            *count += 1;
        }
    }

    pub fn fault(&self, what: &str) {
        *self.faults.lock().entry(what.to_owned()).or_default() += 1;
    }

    /// Records that a function, or all of them, may have been killed between `from` and now.
    pub fn death(&self, function: Option<String>, from: Duration) {
        self.history.lock().deaths.push(Death { function, from, to: self.began.elapsed() });
    }

    /// Records that requests at this time contained a planted text and the id of its user.
    pub fn plant(&self, user: &str, text: &str, time: Range<Duration>, acknowledged: bool) {
        let mut history = self.history.lock();
        for text in [text, user] {
            let (user, text, time) = (user.to_owned(), text.to_owned(), time.clone());
            history.planted.push(Planted { user, text, time, acknowledged });
        }
    }

    pub fn anomaly(&self, what: String) {
        self.history.lock().anomalies.push(what);
    }
}
