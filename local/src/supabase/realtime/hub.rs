//! The Realtime channels and their members.

use super::frames::Frame;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::UnboundedSender;

/// A channel. The private and the public channel of a topic are separate.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Channel {
    pub(crate) topic: String,
    pub(crate) private: bool,
}

/// A client that has joined a channel.
pub(crate) struct Member {
    pub(crate) client: u64,
    pub(crate) sender: UnboundedSender<Frame>,
    /// Whether it receives its own broadcasts.
    pub(crate) own_broadcasts: bool,
    /// Whether it gets a reply to its broadcasts.
    pub(crate) acknowledge: bool,
}

/// All channels.
#[derive(Default)]
pub(crate) struct Hub {
    channels: Mutex<HashMap<Channel, Vec<Member>>>,
    clients: AtomicU64,
}

impl Hub {
    /// Returns a number for a new client.
    pub(crate) fn new_client(&self) -> u64 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a client to a channel. It leaves a channel of the same topic that it had joined before.
    pub(crate) fn join(&self, channel: &Channel, member: Member) {
        self.leave(member.client, &channel.topic);
        self.channels.lock().entry(channel.clone()).or_default().push(member);
    }

    pub(crate) fn leave(&self, client: u64, topic: &str) {
        self.remove(|channel, member| channel.topic == topic && member.client == client);
    }

    pub(crate) fn leave_all(&self, client: u64) {
        self.remove(|_, member| member.client == client);
    }

    fn remove(&self, leaves: impl Fn(&Channel, &Member) -> bool) {
        self.channels.lock().retain(|channel, members| {
            members.retain(|member| !leaves(channel, member));
            !members.is_empty()
        });
    }

    /// Returns the channel that a client has joined under a topic, and whether its broadcasts get a reply.
    pub(crate) fn membership(&self, client: u64, topic: &str) -> Option<(Channel, bool)> {
        let channels = self.channels.lock();
        let mut members = channels.iter().filter(|(channel, _)| channel.topic == topic);
        members.find_map(|(channel, members)| {
            let member = members.iter().find(|member| member.client == client)?;
            Some((channel.clone(), member.acknowledge))
        })
    }

    /// Sends a broadcast to the members of a channel. Its sender gets it only on request.
    pub(crate) fn publish(&self, channel: &Channel, payload: Value, from: Option<u64>) {
        let frame = Frame {
            topic: channel.topic.clone(),
            event: "broadcast".to_owned(),
            payload,
            ..Frame::default()
        };
        for member in self.channels.lock().get(channel).into_iter().flatten() {
            if member.own_broadcasts || from != Some(member.client) {
                let _closed = member.sender.send(frame.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    fn channel(private: bool) -> Channel {
        Channel { topic: "realtime:a".to_owned(), private }
    }

    fn join(hub: &Hub, private: bool, own_broadcasts: bool) -> (u64, UnboundedReceiver<Frame>) {
        let (client, (sender, receiver)) = (hub.new_client(), unbounded_channel());
        hub.join(&channel(private), Member { client, sender, own_broadcasts, acknowledge: false });
        (client, receiver)
    }

    #[test]
    fn a_broadcast_reaches_everyone_else() {
        let hub = Hub::default();
        let ((sender, mut own), (_, mut other)) = (join(&hub, false, false), join(&hub, false, false));
        hub.publish(&channel(false), json!(1), Some(sender));
        assert_eq!(other.try_recv().unwrap().payload, json!(1));
        assert!(own.try_recv().is_err());
    }

    #[test]
    fn a_sender_receives_its_own_broadcasts_if_it_wants_to() {
        let hub = Hub::default();
        let (sender, mut own) = join(&hub, false, true);
        hub.publish(&channel(false), json!(1), Some(sender));
        assert!(own.try_recv().is_ok());
    }

    #[test]
    fn private_and_public_channels_are_separate() {
        let hub = Hub::default();
        let (_, mut public) = join(&hub, false, false);
        let (_, mut private) = join(&hub, true, false);
        hub.publish(&channel(true), json!(1), None);
        assert!(private.try_recv().is_ok());
        assert!(public.try_recv().is_err());
    }

    #[test]
    fn a_client_that_has_left_receives_nothing() {
        let hub = Hub::default();
        let (client, mut receiver) = join(&hub, false, true);
        hub.leave(client, "realtime:a");
        hub.publish(&channel(false), json!(1), None);
        assert!(receiver.try_recv().is_err());
        assert!(hub.membership(client, "realtime:a").is_none());
    }
}
