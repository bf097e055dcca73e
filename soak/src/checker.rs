//! Checks the history of a run, as Jepsen's checkers do. It only reads the records, and doesn't know the clients or the
//! faults.

use crate::history::{
    Broadcast, Change, Closure, Death, Event, FUNCTIONS, Found, History, Membership, Send, Stored,
};
use crate::leaver::ERASED;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::time::Duration;

/// The separator between a message's original body and the suffix that an edit adds.
pub const EDITED: &str = " edited ";

/// The time after a response in which the end of the function may prevent its broadcast.
const BROADCAST_TIME: Duration = Duration::from_millis(1_500);

/// The time for which the statement of a request without a response may continue.
const STATEMENT_TIME: Duration = Duration::from_secs(3);

/// Returns all violations. There are none if each acknowledged write is stored once, in its last version and in order, if
/// each endpoint has received its event or still has it queued, and if the listener has received its broadcast.
pub fn check(history: &History, stored: &[Stored], events: &[Event]) -> Vec<String> {
    let mut wrong = history.anomalies.clone();
    stored_once(history, stored, &mut wrong);
    replies_are_stored(history, stored, &mut wrong);
    changes_are_stored(history, stored, &mut wrong);
    in_order(&history.sends, stored, &mut wrong);
    events_exist(history, stored, events, &mut wrong);
    broadcasts_arrived(history, &mut wrong);
    closures_hold(history, stored, &mut wrong);
    wrong
}

/// Returns a message's body without the suffix of an edit.
fn original(body: &str) -> &str {
    body.split_once(EDITED).map_or(body, |(original, _)| original)
}

/// The effect of an erasure of its user on a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is erased.
    Gone,
    /// It overlaps with the erasure, so that it may be erased or not.
    Either,
    /// Its user was never erased, or is a new user with the same id.
    Stays,
}

impl History {
    /// Returns what happens to a user's write at this time.
    fn fate(&self, user: &str, time: Range<Duration>, acknowledged: bool) -> Fate {
        let Some(erasure) = self.erasures.get(user) else { return Fate::Stays };
        let more = if acknowledged { Duration::ZERO } else { STATEMENT_TIME };
        if time.end.saturating_add(more) < erasure.start {
            Fate::Gone
        } else if time.start > erasure.end {
            Fate::Stays
        } else {
            Fate::Either
        }
    }

    fn fate_of_send(&self, send: &Send) -> Fate {
        self.fate(&send.sender, send.began..send.ended, send.acknowledged.is_some())
    }
}

fn stored_once(history: &History, stored: &[Stored], wrong: &mut Vec<String>) {
    let mut by_body: HashMap<&str, Vec<&Stored>> = HashMap::new();
    let mut erased = HashMap::new();
    for message in stored {
        match &message.body {
            Some(body) => by_body.entry(original(body)).or_default().push(message),
            None => drop(erased.insert(message.id.as_str(), message)),
        }
        let is_erased = message.sender.starts_with(ERASED);
        if (message.body.is_none(), is_erased) != (is_erased, is_erased && message.deleted) {
            wrong.push(format!("half erased: {} of {}", message.id, message.sender));
        }
    }
    let mut uncertain = 0;
    for send in &history.sends {
        let fate = history.fate_of_send(send);
        let mut found = by_body.remove(send.body.as_str()).unwrap_or_default();
        if fate == Fate::Gone && !found.is_empty() {
            wrong.push(format!("not erased: {}", send.body));
        }
        // A send that was repeated may have been stored and erased before it was stored again.
        uncertain +=
            usize::from(fate != Fate::Stays && (send.acknowledged.is_none() || send.last > send.began));
        if found.is_empty()
            && let Some(told) = &send.acknowledged
            && let Some(message) = erased.remove(told.id.as_str())
        {
            if fate == Fate::Stays {
                wrong.push(format!("erased without a request: {}", send.body));
            }
            found.push(message);
        }
        match (&send.acknowledged, found.as_slice()) {
            (Some(_), []) => wrong.push(format!("lost: {}", send.body)),
            (_, [_, _, ..]) => {
                wrong.push(format!("duplicated: {} is stored {} times", send.body, found.len()));
            }
            (Some(told), [message])
                if (&told.id, &told.created_at, &send.conversation)
                    != (&message.id, &message.created_at, &message.conversation) =>
            {
                wrong.push(format!("changed: {} differs from the response that its sender got", send.body));
            }
            (Some(_), [_]) | (None, [] | [_]) => {}
        }
    }
    for old in &history.old {
        let is_stored = by_body.remove(old.body.as_str()).is_some();
        match old.expires {
            None if !is_stored => wrong.push(format!("removed before its time: {}", old.body)),
            Some(_) if is_stored => wrong.push(format!("not removed: {}", old.body)),
            _ => {}
        }
    }
    wrong.extend(by_body.keys().map(|body| format!("unknown message: {body}")));
    if erased.len() > uncertain {
        wrong.push(format!("unknown erased messages: {} of {uncertain} possible ones", erased.len()));
    }
}

/// Checks that each reply has its link, unless the other message was removed.
fn replies_are_stored(history: &History, stored: &[Stored], wrong: &mut Vec<String>) {
    let stored: HashMap<&str, &Stored> =
        stored.iter().map(|message| (message.id.as_str(), message)).collect();
    for send in &history.sends {
        let told = send.acknowledged.as_ref();
        let Some(message) = told.and_then(|told| stored.get(told.id.as_str())) else { continue };
        let other = send.reply_to.as_deref().filter(|id| stored.contains_key(id));
        if message.reply_to.as_deref() != other {
            wrong.push(format!("reply changed: {} to {:?}, not {other:?}", send.body, message.reply_to));
        }
    }
}

/// Returns the planted texts that must have been erased or that nobody has planted. Also complains about a search that doesn't
/// find what must be there.
pub fn check_found(history: &History, found: &[Found]) -> Vec<String> {
    let (mut possible, mut expected) = (HashSet::new(), HashSet::new());
    for planted in &history.planted {
        let fate = history.fate(&planted.user, planted.time.clone(), planted.acknowledged);
        if fate != Fate::Gone {
            possible.insert(planted.text.as_str());
        }
        if fate == Fate::Stays && planted.acknowledged {
            expected.insert(planted.user.as_str());
        }
    }
    let left = found.iter().filter(|found| !possible.contains(found.text.as_str()));
    let mut wrong: Vec<_> = left.map(|found| format!("left: {} in {}", found.text, found.place)).collect();
    for found in found {
        expected.remove(found.text.as_str());
    }
    wrong.extend(expected.iter().map(|user| format!("the search doesn't find {user}")));
    wrong
}

/// Returns all differences between the images that messages name and the files in Storage.
pub fn check_images(stored: &[Stored], files: &BTreeSet<String>) -> Vec<String> {
    let named: BTreeSet<&String> = stored.iter().filter_map(|message| message.image.as_ref()).collect();
    let lost = named.iter().filter(|path| !files.contains(**path)).map(|path| format!("image lost: {path}"));
    let left = files.iter().filter(|path| !named.contains(path)).map(|path| format!("image left: {path}"));
    lost.chain(left).collect()
}

fn changes_are_stored(history: &History, stored: &[Stored], wrong: &mut Vec<String>) {
    let mut changes: HashMap<&str, Vec<&Change>> = HashMap::new();
    for change in &history.changes {
        changes.entry(&change.message).or_default().push(change);
    }
    for message in stored {
        let changes = changes.remove(message.id.as_str()).unwrap_or_default();
        let edits: Vec<_> = changes
            .iter()
            .filter_map(|change| Some((change.text.as_deref()?, change.acknowledged)))
            .collect();
        let Some(body) = &message.body else { continue }; // erased
        if !is_possible(Some(body), Some(original(body)), &edits) {
            wrong.push(format!("edit lost: the body of {} is {body}", message.id));
        }
        let mut deletions = changes.iter().filter(|change| change.text.is_none()).peekable();
        if message.deleted && deletions.peek().is_none() {
            wrong.push(format!("unrequested deletion: {body}"));
        }
        if !message.deleted && deletions.any(|deletion| deletion.acknowledged) {
            wrong.push(format!("deletion lost: {body}"));
        }
    }
}

/// Whether `now` is a possible result of `writes` to `before`. It must be the last acknowledged text, or a text that was
/// written after it and not acknowledged.
fn is_possible(now: Option<&str>, before: Option<&str>, writes: &[(&str, bool)]) -> bool {
    let last = writes.iter().rposition(|(_, acknowledged)| *acknowledged);
    let possible = writes.get(last.unwrap_or_default()..).unwrap_or_default();
    possible.iter().any(|(text, _)| now == Some(*text)) || (last.is_none() && now == before)
}

/// Returns all violations in users' names. Each must be as it was last written, after the erasure if there was one.
pub fn check_users(history: &History, stored: &HashMap<String, String>) -> Vec<String> {
    let mut by_user: HashMap<&str, Vec<(&str, bool)>> = HashMap::new();
    for upsert in &history.upserts {
        let writes = by_user.entry(&upsert.user).or_default();
        match history.fate(&upsert.user, upsert.time.clone(), upsert.acknowledged) {
            Fate::Gone => {}
            Fate::Either => writes.push((&upsert.name, false)),
            Fate::Stays => writes.push((&upsert.name, upsert.acknowledged)),
        }
    }
    let name = |user: &str| stored.get(user).map(String::as_str);
    let lost = by_user.iter().filter(|(user, names)| !is_possible(name(user), None, names));
    let lost = lost.map(|(user, _)| format!("name lost: {user} is {:?}", name(user)));
    let unknown = stored.keys().filter(|user| !by_user.contains_key(user.as_str()));
    lost.chain(unknown.map(|user| format!("unknown user: {user}"))).collect()
}

/// Checks that the times in a conversation are unique, and that a message whose response came before another message was
/// sent has the earlier time.
fn in_order(sends: &[Send], stored: &[Stored], wrong: &mut Vec<String>) {
    let mut times = HashSet::new();
    for message in stored {
        if !times.insert((&message.conversation, &message.created_at)) {
            wrong.push(format!("duplicate time: {:?} at {}", message.body, message.created_at));
        }
    }
    let mut conversations: BTreeMap<&str, Vec<(&str, &Send)>> = BTreeMap::new();
    for send in sends {
        if let Some(told) = &send.acknowledged {
            conversations.entry(&send.conversation).or_default().push((&told.created_at, send));
        }
    }
    for sends in conversations.values_mut() {
        sends.sort_by_key(|(created_at, _)| *created_at);
        let mut latest = Duration::ZERO; // the last time at which one of the messages so far was sent
        for (_, send) in sends {
            if send.ended < latest {
                wrong.push(format!(
                    "out of order: {} has a later time than a message sent after its response",
                    send.body
                ));
            }
            latest = latest.max(send.began);
        }
    }
}

/// Checks that no message has a time at which its conversation was closed, and that requests were refused only at such times.
fn closures_hold(history: &History, stored: &[Stored], wrong: &mut Vec<String>) {
    let mut closures: HashMap<&str, Vec<&Closure>> = HashMap::new();
    for closure in &history.closures {
        closures.entry(&closure.conversation).or_default().push(closure);
    }
    let of = |conversation: &str| closures.get(conversation).into_iter().flatten();
    for message in stored {
        let is_within = |at: &String| {
            of(&message.conversation).any(|closure| closure.closed_at < *at && *at < closure.opened_at)
        };
        if is_within(&message.created_at) {
            wrong.push(format!("accepted while closed: {} at {}", message.id, message.created_at));
        }
    }
    for refusal in &history.refusals {
        if !of(&refusal.conversation)
            .any(|closure| closure.requested <= refusal.ended && refusal.began <= closure.opened)
        {
            wrong.push(format!("refused while open: {} at {:?}", refusal.conversation, refusal.ended));
        }
    }
}

/// Returns all violations in the conversations that the backend manages. Each must be open and have the participants that the
/// backend has set last.
pub fn check_participants(expected: &[Membership], stored: &[Membership]) -> Vec<String> {
    let missing = expected.iter().filter(|expected| !stored.contains(expected));
    missing
        .map(|expected| {
            format!("participants lost: {} must have {:?}", expected.conversation, expected.participants)
        })
        .collect()
}

/// Returns the broadcasts of all acknowledged changes, each with the time of the last request and of its response.
fn acknowledged(history: &History) -> impl Iterator<Item = (Broadcast, [Duration; 2])> {
    let created = history.sends.iter().filter_map(|send| {
        let message = send.acknowledged.as_ref()?.id.clone();
        Some((Broadcast { kind: "message.created", message, text: None }, [send.last, send.ended]))
    });
    let changed = history.changes.iter().filter(|change| change.acknowledged).map(|change| {
        let kind = if change.text.is_some() { "message.updated" } else { "message.deleted" };
        (
            Broadcast { kind, message: change.message.clone(), text: change.text.clone() },
            [change.began, change.ended],
        )
    });
    created.chain(changed)
}

/// Checks that the broadcast of each acknowledged change arrived. Exceptions are broadcasts that the function logged as
/// lost, and functions that were killed about the time of the response.
fn broadcasts_arrived(history: &History, wrong: &mut Vec<String>) {
    let mut lost: HashMap<(&str, String), usize> = HashMap::new();
    for (kind, message) in &history.lost {
        *lost.entry((kind, message.clone())).or_default() += 1;
    }
    for (change, times) in acknowledged(history) {
        let is_explained = history.deaths.iter().any(|death| death.explains(change.kind, times));
        if history.broadcasts.contains_key(&change) || is_explained {
            continue;
        }
        let logged = lost.entry((change.kind, change.message.clone())).or_default();
        match logged.checked_sub(1) {
            Some(fewer) => *logged = fewer,
            None => wrong
                .push(format!("broadcast missing: {} of {} {:?}", change.kind, change.message, change.text)),
        }
    }
}

impl Death {
    /// Whether this death may be the reason that the broadcast of a change is missing.
    fn explains(&self, kind: &str, [began, ended]: [Duration; 2]) -> bool {
        let is_its = |function: &String| FUNCTIONS.contains(&(function.as_str(), kind));
        self.function.as_ref().is_none_or(is_its) && self.from <= ended + BROADCAST_TIME && began <= self.to
    }
}

/// Checks that each acknowledged write has exactly one event per endpoint, which was received or is still queued.
/// The events of an erased message have no text.
fn events_exist(history: &History, stored: &[Stored], events: &[Event], wrong: &mut Vec<String>) {
    let erased = stored.iter().filter(|message| message.body.is_none());
    let erased: HashSet<&str> = erased.map(|message| message.id.as_str()).collect();
    let endpoints: HashSet<&str> = events.iter().map(|event| event.endpoint.as_str()).collect();
    let mut by_write: HashMap<(&str, &str, &str, Option<&str>), Vec<&Event>> = HashMap::new();
    for event in events {
        let text = event.body.as_deref().filter(|_| event.kind == "message.updated");
        by_write.entry((&event.endpoint, &event.kind, &event.message, text)).or_default().push(event);
        if !event.received && !event.queued {
            wrong.push(format!(
                "event lost: {} of {} is settled and was never received",
                event.kind, event.message
            ));
        }
    }
    for ((_, kind, message, _), events) in &by_write {
        if events.len() > 1 {
            let ids: Vec<_> = events.iter().map(|event| &event.id).collect();
            wrong.push(format!("event duplicated: {kind} of {message} has the ids {ids:?}"));
        }
    }
    for (change, _) in acknowledged(history) {
        for endpoint in &endpoints {
            if !by_write.contains_key(&(
                *endpoint,
                change.kind,
                change.message.as_str(),
                change.text.as_deref().filter(|_| !erased.contains(change.message.as_str())),
            )) {
                wrong.push(format!("event missing: {} of {} at {endpoint}", change.kind, change.message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Acknowledged, Old, Planted, Refusal, Upsert};

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Returns a run without violations. It has three messages, of which one was edited and one deleted, and a send that was
    /// not acknowledged.
    fn run() -> (History, Vec<Stored>, Vec<Event>) {
        let send = |number: u64| Send {
            sender: "s".into(),
            reply_to: None,
            body: format!("t{number}"),
            conversation: "c".into(),
            began: ms(number * 10),
            last: ms(number * 10),
            ended: ms(number * 10 + 5),
            acknowledged: Some(Acknowledged {
                id: format!("m{number}"),
                created_at: format!("2026-{number}"),
            }),
        };
        let mut sends: Vec<_> = (1..=3).map(send).collect();
        sends.push(Send { acknowledged: None, ..send(4) });
        let change = |message: &str, text: Option<&str>| Change {
            message: message.into(),
            text: text.map(Into::into),
            began: ms(45),
            ended: ms(50),
            acknowledged: true,
        };
        let changes =
            vec![change("m2", Some("t2 edited 1")), change("m2", Some("t2 edited 2")), change("m3", None)];
        let stored = |number: u64, body: &str| Stored {
            id: format!("m{number}"),
            conversation: "c".into(),
            sender: "s".into(),
            body: Some(body.into()),
            reply_to: None,
            image: None,
            created_at: format!("2026-{number}"),
            deleted: number == 3,
        };
        let event = |kind: &str, message: &str, body: Option<&str>| Event {
            endpoint: "e1".into(),
            id: format!("{kind} {message} {body:?}"),
            kind: format!("message.{kind}"),
            message: message.into(),
            body: body.map(Into::into),
            received: true,
            queued: false,
        };
        let mut events = vec![
            event("created", "m1", Some("t1")),
            event("created", "m2", Some("t2")),
            event("created", "m3", Some("t3")),
            event("updated", "m2", Some("t2 edited 1")),
            Event { received: false, queued: true, ..event("updated", "m2", Some("t2 edited 2")) },
            event("deleted", "m3", None),
        ];
        let elsewhere = |event: &Event| Event { endpoint: "e2".into(), ..event.clone() };
        events.extend(events.iter().map(elsewhere).collect::<Vec<_>>());
        let mut history = History { sends, changes, ..History::default() };
        history.broadcasts = acknowledged(&history).map(|(change, _)| (change, 1)).collect();
        (history, vec![stored(1, "t1"), stored(2, "t2 edited 2"), stored(3, "t3")], events)
    }

    /// Returns the violations in the good run after `spoil` has changed it.
    fn found(spoil: impl FnOnce(&mut History, &mut Vec<Stored>, &mut Vec<Event>)) -> Vec<String> {
        let (mut history, mut stored, mut events) = run();
        spoil(&mut history, &mut stored, &mut events);
        check(&history, &stored, &events)
    }

    #[track_caller]
    fn finds(what: &str, spoil: impl FnOnce(&mut History, &mut Vec<Stored>, &mut Vec<Event>)) {
        let found = found(spoil);
        assert!(found.iter().any(|wrong| wrong.starts_with(what)), "{found:?}");
    }

    #[test]
    fn nothing_is_wrong_with_a_good_run() {
        assert_eq!(found(|_, _, _| {}), Vec::<String>::new());
    }

    #[test]
    fn a_send_without_an_answer_may_be_stored_or_not() {
        let unseen = |history: &mut History, stored: &mut Vec<Stored>, _: &mut Vec<Event>| {
            let (id, created_at) = ("m4".into(), "2026-4".into());
            let body = Some(history.sends[3].body.clone());
            stored.push(Stored { id, body, created_at, ..stored[0].clone() });
        };
        assert_eq!(found(unseen), Vec::<String>::new());
    }

    #[test]
    fn a_lost_write_is_found() {
        finds("lost: t1", |_, stored, _| drop(stored.remove(0)));
    }

    #[test]
    fn a_doubled_write_is_found() {
        finds("duplicated: t1", |_, stored, _| {
            let twin = stored[0].clone();
            stored.push(Stored { id: "m5".into(), created_at: "2026-5".into(), ..twin });
        });
    }

    #[test]
    fn a_reordered_write_is_found() {
        finds("out of order: t1", |history, stored, _| {
            let later = "2026-9".to_owned();
            history.sends[0].acknowledged.as_mut().unwrap().created_at.clone_from(&later);
            stored[0].created_at = later;
        });
    }

    #[test]
    fn sends_that_overlap_may_be_stored_either_way() {
        let overlap = |history: &mut History, stored: &mut Vec<Stored>, _: &mut Vec<Event>| {
            history.sends[0].ended = ms(100);
            let later = "2026-9".to_owned();
            history.sends[0].acknowledged.as_mut().unwrap().created_at.clone_from(&later);
            stored[0].created_at = later;
        };
        assert_eq!(found(overlap), Vec::<String>::new());
    }

    #[test]
    fn a_time_that_two_share_is_found() {
        finds("duplicate time", |_, stored, _| stored[1].created_at = "2026-1".into());
    }

    #[test]
    fn a_message_that_no_client_sent_is_found() {
        finds("unknown message", |_, stored, _| stored[0].body = Some("else".into()));
    }

    #[test]
    fn a_lost_edit_is_found_and_one_without_an_answer_may_be_lost() {
        finds("edit lost", |_, stored, _| stored[1].body = Some("t2 edited 1".into()));
        finds("edit lost", |_, stored, _| stored[1].body = Some("t2".into()));
        let unseen = |history: &mut History, _: &mut Vec<Stored>, _: &mut Vec<Event>| {
            let change = Change {
                text: Some("t2 edited 3".into()),
                acknowledged: false,
                ..history.changes[0].clone()
            };
            history.changes.push(change);
        };
        assert_eq!(found(unseen), Vec::<String>::new());
    }

    #[test]
    fn a_lost_deletion_and_an_unrequested_one_are_found() {
        finds("deletion lost", |_, stored, _| stored[2].deleted = false);
        finds("unrequested deletion", |_, stored, _| stored[0].deleted = true);
    }

    #[test]
    fn a_user_that_is_lost_or_has_an_older_name_is_found() {
        let mut history = History { upserts: upserts(), ..History::default() };
        let found = |names: &[(&str, &str)]| found_users(&history, names);
        for name in ["2", "3"] {
            assert_eq!(found(&[("u", name)]), Vec::<String>::new());
        }
        assert_eq!(found(&[("u", "1")]), [r#"name lost: u is Some("1")"#]);
        assert_eq!(found(&[]), ["name lost: u is None"]);
        assert_eq!(found(&[("u", "2"), ("v", "1")]), ["unknown user: v"]);
        history.erasures.insert("u".into(), ms(4_000)..ms(5_000));
        assert_eq!(found_users(&history, &[]), Vec::<String>::new());
        assert_eq!(found_users(&history, &[("u", "2")]), [r#"name lost: u is Some("2")"#]);
        history.erasures.insert("u".into(), ms(15)..ms(16));
        assert_eq!(found_users(&history, &[("u", "2")]), Vec::<String>::new());
        assert_eq!(found_users(&history, &[]), ["name lost: u is None"]);
        history.erasures.insert("u".into(), ms(25)..ms(26));
        for names in [&[][..], &[("u", "2")]] {
            assert_eq!(found_users(&history, names), Vec::<String>::new());
        }
    }

    /// Returns three upserts of a user, of which the last one was not acknowledged.
    fn upserts() -> Vec<Upsert> {
        let upsert = |number: u64| Upsert {
            user: "u".into(),
            name: number.to_string(),
            time: ms(10 * number)..ms(10 * number + 5),
            acknowledged: number < 3,
        };
        (1..=3).map(upsert).collect()
    }

    fn found_users(history: &History, names: &[(&str, &str)]) -> Vec<String> {
        let stored = names.iter().map(|&(user, name)| (user.to_owned(), name.to_owned())).collect();
        check_users(history, &stored)
    }

    /// Erases message `number` between two times. Message 1 was sent from 10 to 15 ms, and the send of message 4, from 40 to
    /// 45 ms, was not acknowledged.
    fn erase(
        number: usize,
        from: u64,
        to: u64,
    ) -> impl FnOnce(&mut History, &mut Vec<Stored>, &mut Vec<Event>) {
        move |history, stored, _| {
            history.sends[number - 1].sender = "planted-1".into();
            history.erasures.insert("planted-1".into(), ms(from)..ms(to));
            let message =
                Stored { sender: "erased-1".into(), body: None, deleted: true, ..stored[0].clone() };
            match stored.get_mut(number - 1) {
                Some(stored) => {
                    *stored =
                        Stored { id: stored.id.clone(), created_at: stored.created_at.clone(), ..message }
                }
                None => stored.push(Stored { id: "m4".into(), created_at: "2026-4".into(), ..message }),
            }
        }
    }

    #[test]
    fn what_was_written_before_an_erasure_must_be_erased() {
        assert_eq!(found(erase(1, 20, 30)), Vec::<String>::new());
        finds("not erased: t1", |history, stored, events| {
            let whole = stored[0].clone();
            erase(1, 20, 30)(history, stored, events);
            stored[0] = whole;
        });
        finds("lost: t1", |history, stored, events| {
            erase(1, 20, 30)(history, stored, events);
            stored.remove(0);
        });
        finds("half erased: m1", |history, stored, events| {
            erase(1, 20, 30)(history, stored, events);
            stored[0].sender = "planted-1".into();
        });
        finds("half erased: m1", |history, stored, events| {
            erase(1, 20, 30)(history, stored, events);
            stored[0].deleted = false;
        });
        finds("half erased: m1", |_, stored, _| stored[0].sender = "erased-1".into());
    }

    #[test]
    fn what_was_written_after_an_erasure_must_stay() {
        for (from, to) in [(1, 5), (1, 9)] {
            finds("erased without a request: t1", erase(1, from, to));
        }
        finds("erased without a request: t1", |history, stored, events| {
            erase(1, 20, 30)(history, stored, events);
            history.erasures.clear();
        });
        finds("lost: t1", |history, stored, events| {
            erase(1, 1, 5)(history, stored, events);
            stored.remove(0);
        });
    }

    #[test]
    fn what_was_written_during_an_erasure_may_be_erased_or_not() {
        for (from, to) in [(5, 30), (12, 13), (15, 30), (1, 10)] {
            assert_eq!(found(erase(1, from, to)), Vec::<String>::new(), "{from} {to}");
            let whole = found(|history, stored, events| {
                let whole = stored[0].clone();
                erase(1, from, to)(history, stored, events);
                stored[0] = whole;
            });
            assert_eq!(whole, Vec::<String>::new(), "{from} {to}");
        }
    }

    #[test]
    fn a_send_without_an_answer_may_be_stored_during_an_erasure_and_no_other_message_may_be_erased() {
        assert_eq!(found(erase(4, 50, 60)), Vec::<String>::new());
        let whole = |from: u64| {
            found(|history, stored, events| {
                erase(4, from, from + 10)(history, stored, events);
                let message = stored.pop().unwrap();
                stored.push(Stored {
                    body: Some("t4".into()),
                    sender: "s".into(),
                    deleted: false,
                    ..message
                });
            })
        };
        assert_eq!(whole(3_000), Vec::<String>::new());
        assert_eq!(whole(3_100), ["not erased: t4"]);
        finds("unknown erased messages: 1 of 0", |history, stored, events| {
            erase(4, 50, 60)(history, stored, events);
            history.sends[3].sender = "s".into();
        });
        finds("unknown erased messages: 2 of 1", |history, stored, events| {
            erase(4, 50, 60)(history, stored, events);
            let other = stored[3].clone();
            stored.push(Stored { id: "m5".into(), created_at: "2026-5".into(), ..other });
        });
    }

    #[test]
    fn the_events_of_an_erased_message_must_have_no_text() {
        let erased = |is_scrubbed: bool| {
            found(|history, stored, events| {
                history.changes.remove(1);
                events.retain(|event| event.body.as_deref() != Some("t2 edited 2"));
                erase(2, 60, 70)(history, stored, events);
                for event in events.iter_mut().filter(|event| is_scrubbed && event.message == "m2") {
                    event.body = None;
                }
            })
        };
        assert_eq!(erased(true), Vec::<String>::new());
        let missing =
            ["e1", "e2"].map(|endpoint| format!("event missing: message.updated of m2 at {endpoint}"));
        let mut wrong = erased(false);
        wrong.sort();
        assert_eq!(wrong, missing);
    }

    fn planted(text: &str, from: u64, to: u64, acknowledged: bool) -> Planted {
        let (user, text) = ("planted-1".into(), text.into());
        Planted { user, text, time: ms(from)..ms(to), acknowledged }
    }

    /// Returns the violations if the search finds these texts. The user was erased after one acknowledged write, and had then
    /// one without a response.
    fn found_texts(texts: &[&str], change: impl FnOnce(&mut History)) -> Vec<String> {
        let mut history = History::default();
        history.planted.push(planted("planted-1/1", 10, 20, true));
        history.planted.push(planted("planted-1", 10, 20, true));
        history.planted.push(planted("planted-1/2", 20, 30, false));
        history.erasures.insert("planted-1".into(), ms(4_000)..ms(5_000));
        change(&mut history);
        let found: Vec<_> = texts
            .iter()
            .map(|&text| Found { text: text.into(), place: "tinychat.messages".into() })
            .collect();
        check_found(&history, &found)
    }

    #[test]
    fn a_text_that_is_left_after_an_erasure_is_found() {
        assert_eq!(found_texts(&[], |_| {}), Vec::<String>::new());
        for text in ["planted-1", "planted-1/1", "planted-1/2", "planted-2"] {
            assert_eq!(found_texts(&[text], |_| {}), [format!("left: {text} in tinychat.messages")]);
        }
    }

    #[test]
    fn a_text_may_be_left_if_it_was_written_during_or_after_the_erasure() {
        for (from, to, acknowledged) in [(3_900, 4_000, true), (1_000, 1_100, false), (5_001, 5_002, true)] {
            let again = planted("planted-1/1", from, to, acknowledged);
            let id = planted("planted-1", from, to, acknowledged);
            let found =
                found_texts(&["planted-1/1", "planted-1"], |history| history.planted.extend([again, id]));
            assert_eq!(found, Vec::<String>::new(), "{from} to {to}");
        }
        let image = Planted { time: ms(10)..Duration::MAX, ..planted("planted-1/3", 0, 0, false) };
        let found = found_texts(&["planted-1/3"], |history| history.planted.push(image));
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_search_that_finds_nothing_is_found() {
        let blind = found_texts(&[], |history| history.erasures.clear());
        assert_eq!(blind, ["the search doesn't find planted-1"]);
        assert_eq!(found_texts(&["planted-1"], |history| history.erasures.clear()), Vec::<String>::new());
    }

    #[test]
    fn a_message_that_is_removed_too_early_or_not_at_all_is_found() {
        let old = |expires: Option<Duration>, is_stored: bool| {
            found(|history, stored, _| {
                let (id, created_at, body) = ("m0", "2026-0", "old 1");
                history.old.push(Old { id: id.into(), conversation: "c".into(), body: body.into(), expires });
                let message = Stored { id: id.into(), created_at: created_at.into(), ..stored[0].clone() };
                stored.extend(is_stored.then_some(Stored { body: Some(body.into()), ..message }));
            })
        };
        assert_eq!([old(None, true), old(Some(ms(0)), false)], [Vec::<String>::new(), Vec::new()]);
        assert_eq!(old(None, false), ["removed before its time: old 1"]);
        assert_eq!(old(Some(ms(0)), true), ["not removed: old 1"]);
    }

    #[test]
    fn a_reply_that_loses_its_link_or_keeps_one_to_a_removed_message_is_found() {
        let reply = |to: &str, link: Option<&str>| {
            found(|history, stored, _| {
                history.sends[1].reply_to = Some(to.into());
                stored[1].reply_to = link.map(Into::into);
            })
        };
        assert_eq!([reply("m1", Some("m1")), reply("m0", None)], [Vec::<String>::new(), Vec::new()]);
        for (to, link) in [("m1", None), ("m1", Some("m3")), ("m0", Some("m0"))] {
            assert_eq!(reply(to, link).len(), 1, "{to} {link:?}");
        }
    }

    #[test]
    fn a_lost_image_and_one_that_is_left_are_found() {
        let (_, mut stored, _) = run();
        stored[0].image = Some("a.png".into());
        let found =
            |files: &[&str]| check_images(&stored, &files.iter().map(|&file| file.to_owned()).collect());
        assert_eq!(found(&["a.png"]), Vec::<String>::new());
        assert_eq!(found(&[]), ["image lost: a.png"]);
        assert_eq!(found(&["a.png", "b.png"]), ["image left: b.png"]);
    }

    #[test]
    fn a_message_that_was_accepted_while_its_conversation_was_closed_is_found() {
        let closure = |closed_at: &str, opened_at: &str| Closure {
            conversation: "c".into(),
            closed_at: closed_at.into(),
            opened_at: opened_at.into(),
            requested: ms(21),
            opened: ms(29),
        };
        finds("accepted while closed: m2", |history, _, _| {
            history.closures.push(closure("2026-1", "2026-3"));
        });
        let between = |history: &mut History, _: &mut Vec<Stored>, _: &mut Vec<Event>| {
            history.closures.push(closure("2026-2", "2026-3"));
            history.closures.push(Closure { conversation: "d".into(), ..closure("2026-1", "2026-3") });
        };
        assert_eq!(found(between), Vec::<String>::new());
    }

    #[test]
    fn a_refusal_while_the_conversation_was_open_is_found() {
        let refuse = |began: u64, ended: u64| {
            found(|history, _, _| {
                history.closures.push(Closure {
                    conversation: "c".into(),
                    closed_at: "2026-2".into(),
                    opened_at: "2026-3".into(),
                    requested: ms(21),
                    opened: ms(29),
                });
                let refusal = Refusal { conversation: "c".into(), began: ms(began), ended: ms(ended) };
                history.refusals.push(refusal);
            })
            .len()
        };
        assert_eq!([refuse(10, 22), refuse(22, 23), refuse(28, 40)], [0; 3]);
        assert_eq!([refuse(10, 20), refuse(30, 40)], [1; 2]);
    }

    #[test]
    fn lost_participants_are_found() {
        let membership = |participants: &[&str]| Membership {
            conversation: "c".into(),
            participants: participants.iter().map(|&user| user.to_owned()).collect(),
        };
        let expected = [membership(&["a", "b"])];
        assert_eq!(check_participants(&expected, &expected), Vec::<String>::new());
        for stored in [&[membership(&["a"])][..], &[membership(&["b", "a"])], &[]] {
            assert_eq!(check_participants(&expected, stored).len(), 1);
        }
    }

    #[test]
    fn an_event_that_is_missing_lost_or_doubled_is_found() {
        finds("event missing: message.created of m1", |_, _, events| drop(events.remove(0)));
        finds("event missing: message.updated of m2", |_, _, events| drop(events.remove(4)));
        finds("event lost", |_, _, events| events[0].received = false);
        finds("event duplicated", |_, _, events| {
            let twin = events[0].clone();
            events.push(Event { id: "another".into(), ..twin });
        });
    }

    #[test]
    fn an_event_that_is_missing_at_one_endpoint_is_found() {
        finds("event missing: message.deleted of m3 at e2", |_, _, events| drop(events.pop()));
    }

    /// Returns the violations in the good run without the broadcasts of one kind, after `explain` has changed it.
    fn found_without_broadcasts(kind: &str, explain: impl FnOnce(&mut History)) -> Vec<String> {
        found(|history, _, _| {
            history.broadcasts.retain(|change, _| change.kind != kind);
            explain(history);
        })
    }

    #[test]
    fn a_missing_broadcast_is_found() {
        for kind in ["message.created", "message.updated", "message.deleted"] {
            let found = found_without_broadcasts(kind, |_| {});
            assert!(
                found.iter().all(|wrong| wrong.starts_with(&format!("broadcast missing: {kind}"))),
                "{found:?}"
            );
            assert!(!found.is_empty());
        }
    }

    #[test]
    fn a_broadcast_logged_as_lost_may_be_missing_and_another_may_not() {
        let lose = |times: usize, kind: &'static str, message: &str| {
            let lost = vec![(kind, message.to_owned()); times];
            found_without_broadcasts("message.updated", |history| history.lost = lost).len()
        };
        assert_eq!(lose(2, "message.updated", "m2"), 0);
        assert_eq!(lose(1, "message.updated", "m2"), 1);
        assert_eq!(lose(2, "message.updated", "m1"), 2);
        assert_eq!(lose(2, "message.created", "m2"), 2);
    }

    #[test]
    fn a_death_leaves_the_log_to_explain_another_change() {
        let found = found_without_broadcasts("message.updated", |history| {
            history.lost.push(("message.updated", "m2".to_owned()));
            (history.changes[1].began, history.changes[1].ended) = (ms(20_000), ms(20_010));
            history.deaths.push(Death { function: None, from: ms(45), to: ms(50) });
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn a_death_explains_only_broadcasts_of_that_function_at_that_time() {
        let die = |function: Option<&str>, at: u64| {
            let death = Death { function: function.map(str::to_owned), from: ms(at), to: ms(at) };
            found_without_broadcasts("message.deleted", |history| {
                for change in &mut history.changes {
                    (change.began, change.ended) = (ms(9_900), ms(10_000));
                }
                history.deaths.push(death);
            })
            .len()
        };
        assert_eq!(die(None, 9_950), 0);
        assert_eq!(die(Some("delete-message"), 11_000), 0);
        assert_eq!(die(Some("send-message"), 10_000), 1);
        assert_eq!(die(Some("delete-message"), 12_000), 1);
        assert_eq!(die(Some("delete-message"), 9_800), 1); // before the last request
    }

    #[test]
    fn an_anomaly_of_a_client_is_reported() {
        finds("404", |history, _, _| history.anomalies.push("404 to a page".into()));
    }
}
