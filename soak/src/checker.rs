//! Checks the history of a run, as Jepsen's checkers do. It only reads the records, and doesn't know the clients or the
//! faults.

use crate::history::{
    Broadcast, Change, Closure, Death, Event, FUNCTIONS, History, Membership, Send, Stored, Upsert,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// The separator between a message's original body and the suffix that an edit adds.
pub const EDITED: &str = " edited ";

/// The time after a response in which the end of the function may prevent its broadcast.
const BROADCAST_TIME: Duration = Duration::from_millis(1_500);

/// Returns all violations. There are none if each acknowledged write is stored once, in its last version and in order, if
/// each endpoint has received its event or still has it queued, and if the listener has received its broadcast.
pub fn check(history: &History, stored: &[Stored], events: &[Event]) -> Vec<String> {
    let mut wrong = history.anomalies.clone();
    stored_once(history, stored, &mut wrong);
    changes_are_stored(history, stored, &mut wrong);
    in_order(&history.sends, stored, &mut wrong);
    events_exist(history, events, &mut wrong);
    broadcasts_arrived(history, &mut wrong);
    closures_hold(history, stored, &mut wrong);
    wrong
}

/// Returns a message's body without the suffix of an edit.
fn original(body: &str) -> &str {
    body.split_once(EDITED).map_or(body, |(original, _)| original)
}

fn stored_once(history: &History, stored: &[Stored], wrong: &mut Vec<String>) {
    let mut by_body: HashMap<&str, Vec<&Stored>> = HashMap::new();
    for message in stored {
        by_body.entry(original(&message.body)).or_default().push(message);
    }
    for send in &history.sends {
        let found = by_body.remove(send.body.as_str()).unwrap_or_default();
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
    wrong.extend(by_body.keys().map(|body| format!("unknown message: {body}")));
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
        if !is_possible(Some(&message.body), Some(original(&message.body)), &edits) {
            wrong.push(format!("edit lost: the body of {} is {}", message.id, message.body));
        }
        let mut deletions = changes.iter().filter(|change| change.text.is_none()).peekable();
        if message.deleted && deletions.peek().is_none() {
            wrong.push(format!("unrequested deletion: {}", message.body));
        }
        if !message.deleted && deletions.any(|deletion| deletion.acknowledged) {
            wrong.push(format!("deletion lost: {}", message.body));
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

/// Returns all violations in users' names. Each must be as it was last written.
pub fn check_users(upserts: &[Upsert], stored: &HashMap<String, String>) -> Vec<String> {
    let mut by_user: HashMap<&str, Vec<(&str, bool)>> = HashMap::new();
    for upsert in upserts {
        by_user.entry(&upsert.user).or_default().push((&upsert.name, upsert.acknowledged));
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
            wrong.push(format!("duplicate time: {} at {}", message.body, message.created_at));
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
            wrong.push(format!("accepted while closed: {} at {}", message.body, message.created_at));
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
fn events_exist(history: &History, events: &[Event], wrong: &mut Vec<String>) {
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
                change.text.as_deref(),
            )) {
                wrong.push(format!("event missing: {} of {} at {endpoint}", change.kind, change.message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Acknowledged, Refusal};

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Returns a run without violations. It has three messages, of which one was edited and one deleted, and a send that was
    /// not acknowledged.
    fn run() -> (History, Vec<Stored>, Vec<Event>) {
        let send = |number: u64| Send {
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
            body: body.into(),
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
        let unseen = |created_at: &str| {
            let created_at = created_at.to_owned();
            let body = "t4".to_owned();
            Stored { id: "m4".into(), conversation: "c".into(), body, created_at, deleted: false }
        };
        assert_eq!(found(|_, stored, _| stored.push(unseen("2026-4"))), Vec::<String>::new());
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
        finds("unknown message", |_, stored, _| stored[0].body = "else".into());
    }

    #[test]
    fn a_lost_edit_is_found_and_one_without_an_answer_may_be_lost() {
        finds("edit lost", |_, stored, _| stored[1].body = "t2 edited 1".into());
        finds("edit lost", |_, stored, _| stored[1].body = "t2".into());
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
        let upsert = |name: &str, acknowledged| Upsert { user: "u".into(), name: name.into(), acknowledged };
        let upserts = [upsert("1", true), upsert("2", true), upsert("3", false)];
        let found = |names: &[(&str, &str)]| {
            let stored = names.iter().map(|&(user, name)| (user.to_owned(), name.to_owned())).collect();
            check_users(&upserts, &stored)
        };
        for name in ["2", "3"] {
            assert_eq!(found(&[("u", name)]), Vec::<String>::new());
        }
        assert_eq!(found(&[("u", "1")]), [r#"name lost: u is Some("1")"#]);
        assert_eq!(found(&[]), ["name lost: u is None"]);
        assert_eq!(found(&[("u", "2"), ("v", "1")]), ["unknown user: v"]);
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
        finds("accepted while closed: t2", |history, _, _| {
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
