//! What a run has to be judged by: what clients were told, what is stored at the end, which events went out, and what a
//! listener heard.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// What clients have done and been told.
#[derive(Default)]
pub struct History {
    pub sends: Vec<Send>,
    pub changes: Vec<Change>,
    pub namings: Vec<Naming>,
    pub closures: Vec<Closure>,
    pub refusals: Vec<Refusal>,
    pub kept: Vec<Kept>,
    /// Answers that no fault explains.
    pub oddities: Vec<String>,
    /// The addresses of acknowledged uploads.
    pub uploads: Vec<String>,
    /// What the listener heard, and how often.
    pub heard: HashMap<Live, u64>,
    /// The changes whose broadcast a function logged as lost: the kind, and the message's id.
    pub lost: Vec<(&'static str, String)>,
    pub deaths: Vec<Death>,
}

/// A change as a listener hears of it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Live {
    /// In webhooks' words, such as `message.created`.
    pub kind: &'static str,
    pub message: String,
    /// The new text of an edit.
    pub text: Option<String>,
}

/// A time in which functions may have been killed right after they had answered.
#[derive(Clone)]
pub struct Death {
    /// All of them, if none is named.
    pub function: Option<String>,
    pub from: Duration,
    pub to: Duration,
}

/// A message that a client has sent, once, or again and again with one `client_message_id`.
#[derive(Clone)]
pub struct Send {
    /// The message's text, which no other has.
    pub token: String,
    pub conversation: String,
    /// When it was sent first and last, and when it was answered last, since the run began.
    pub began: Duration,
    pub last: Duration,
    pub ended: Duration,
    /// Without it, it may have been stored or not.
    pub acknowledged: Option<Acknowledged>,
}

/// What a send was answered with.
#[derive(Clone)]
pub struct Acknowledged {
    pub id: String,
    pub created_at: String,
}

/// An edit or a deletion. A client leaves a message alone once it doesn't know what became of a change.
#[derive(Clone)]
pub struct Change {
    pub message: String,
    /// The new text; none for a deletion.
    pub text: Option<String>,
    /// When it was asked for and answered, since the run began.
    pub began: Duration,
    pub ended: Duration,
    pub acknowledged: bool,
}

/// An upsert of a user. A client leaves a user alone once it doesn't know what became of one.
#[derive(Clone)]
pub struct Naming {
    pub user: String,
    pub name: String,
    pub acknowledged: bool,
}

/// A time in which a conversation was closed to its users.
#[derive(Clone)]
pub struct Closure {
    pub conversation: String,
    /// As the API writes times: not before the close, and not after it was opened again.
    pub closed_at: String,
    pub opened_at: String,
    /// When the close was asked for, and the opening answered, since the run began.
    pub asked: Duration,
    pub opened: Duration,
}

/// A request that was refused because its conversation was closed.
#[derive(Clone)]
pub struct Refusal {
    pub conversation: String,
    pub began: Duration,
    pub ended: Duration,
}

/// A conversation as its keeper has left it, which is open.
#[derive(Clone)]
pub struct Kept {
    pub conversation: String,
    pub participants: Vec<String>,
}

/// A message as the database has it.
#[derive(Clone)]
pub struct Stored {
    pub id: String,
    pub conversation: String,
    pub body: String,
    /// As the API writes times, so that their order is that of the texts.
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
    /// The message's text in it.
    pub body: Option<String>,
    /// Whether the receiver has taken it, whether or not that was recorded.
    pub received: bool,
    /// Whether it is still to be delivered.
    pub queued: bool,
}

/// A run's clock and records, which all of its tasks write to.
pub struct Recorder {
    pub began: Instant,
    pub history: Mutex<History>,
    /// How often each operation was answered well and otherwise.
    pub counts: Mutex<BTreeMap<&'static str, [u64; 2]>>,
    pub faults: Mutex<BTreeMap<String, u64>>,
}

impl Recorder {
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            history: Mutex::default(),
            counts: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub fn count(&self, operation: &'static str, well: bool) {
        if let Some(count) = self.counts.lock().entry(operation).or_default().get_mut(usize::from(!well)) {
            *count += 1;
        }
    }

    pub fn fault(&self, what: &str) {
        *self.faults.lock().entry(what.to_owned()).or_default() += 1;
    }

    /// Functions, or one of them, were killed from then on until now.
    pub fn death(&self, function: Option<String>, from: Duration) {
        self.history.lock().deaths.push(Death { function, from, to: self.began.elapsed() });
    }

    pub fn odd(&self, what: String) {
        self.history.lock().oddities.push(what);
    }
}
