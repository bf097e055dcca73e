//! The API's objects as they go over the wire, and the ids, times and choices in them.

mod choices;
mod ids;
mod list;
mod objects;
mod time;

pub use choices::{Kind, MessageType, Role, Status, UserTokens};
pub use ids::{ConversationId, DeletionId, EventId, MessageId, TenantId, UserId};
pub use list::List;
pub use objects::{
    Conversation, ConversationEnvelope, FullMessage, Message, MessageEnvelope, ReadCursor, User,
};
pub use postgres_types::Json;
pub use time::Timestamp;
