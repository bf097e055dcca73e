//! The ways in which a request can fail, and the response to each.

use lambda_http::http::StatusCode;

/// A handler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The cause of a 500. It is logged and never sent to the caller.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a request failed. `Display` is the `error` text of the response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No API key was sent.
    #[error("missing x-tinychat-api-key header")]
    MissingKey,
    /// The key is malformed, unknown or revoked.
    #[error("invalid api key")]
    InvalidKey,
    /// The user token is malformed, forged or revoked, or its times are not allowed.
    #[error("invalid user token")]
    InvalidToken,
    /// The user token is genuine, but has expired.
    #[error("user token expired")]
    TokenExpired,
    /// The tenant requires user tokens, and the caller has sent a publishable key.
    #[error("user token required")]
    TokenRequired,
    /// The tenant is past its plan's limit.
    #[error("tenant is overage")]
    TenantOverage,
    /// The tenant was suspended.
    #[error("tenant is suspended")]
    TenantSuspended,
    /// The input is invalid. The text names the rule and the field. It never contains the input, because it is logged.
    #[error("{0}")]
    InvalidInput(String),
    /// No such conversation, or another tenant's.
    #[error("conversation not found")]
    ConversationNotFound,
    /// No such message in the conversation, or one that was deleted.
    #[error("message not found")]
    MessageNotFound,
    /// `reply_to` names no message of the conversation.
    #[error("reply_to is not a message in this conversation")]
    ReplyNotFound,
    /// `message_id` names no message of the conversation.
    #[error("message_id is not a message in this conversation")]
    ReadMessageNotFound,
    /// The user has no read cursor here.
    #[error("user is not a participant")]
    NotAParticipant,
    /// The user token belongs to another user than the sender.
    #[error("sender_id is not the caller")]
    SenderNotCaller,
    /// The user token belongs to another user than the one that the request is about.
    #[error("user_id is not the caller")]
    UserNotCaller,
    /// The token's user isn't among the participants of the new conversation.
    #[error("caller must be a participant")]
    CallerNotParticipant,
    /// Only the tenant's backend or staff may do this.
    #[error("secret key required")]
    SecretKeyRequired,
    /// The conversation is closed, and accepts no messages from users.
    #[error("conversation is closed")]
    ConversationClosed,
    /// The message has another sender.
    #[error("only the sender may change this message")]
    NotTheSender,
    /// The sender has sent too many messages to the conversation: see `tinychat.guard_wait`.
    #[error("too many messages")]
    TooManyMessages {
        /// The number of seconds to wait.
        retry_after: u32,
    },
    /// An upload above 10 MB.
    #[error("file too large (>10 MB)")]
    FileTooLarge,
    /// An upload that is not one of the allowed image types.
    #[error("unsupported mime: {0}")]
    UnsupportedMime(String),
    /// No such route.
    #[error("not found")]
    NotFound,
    /// Postgres can't be reached, or failed a statement.
    #[error("database unavailable")]
    Database(#[source] Cause),
    /// Supabase Storage can't be reached, or refused a file.
    #[error("storage unavailable")]
    Storage(#[source] Cause),
    /// The handler panicked.
    #[error("internal error")]
    Panic,
}

impl Error {
    /// The HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::InvalidInput(_) | Self::ReplyNotFound | Self::ReadMessageNotFound => {
                StatusCode::BAD_REQUEST
            }
            Self::MissingKey
            | Self::InvalidKey
            | Self::InvalidToken
            | Self::TokenExpired
            | Self::TokenRequired => StatusCode::UNAUTHORIZED,
            Self::TenantOverage
            | Self::TenantSuspended
            | Self::SenderNotCaller
            | Self::UserNotCaller
            | Self::CallerNotParticipant
            | Self::NotAParticipant
            | Self::SecretKeyRequired
            | Self::ConversationClosed
            | Self::NotTheSender => StatusCode::FORBIDDEN,
            Self::ConversationNotFound | Self::MessageNotFound | Self::NotFound => StatusCode::NOT_FOUND,
            Self::TooManyMessages { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::FileTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMime(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Database(_) | Self::Storage(_) | Self::Panic => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The response's headers besides its content type. For [`Error::TooManyMessages`], they follow
    /// draft-ietf-httpapi-ratelimit-headers-10.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::TooManyMessages { retry_after } => vec![
                ("retry-after", retry_after.to_string()),
                ("ratelimit-policy", r#""sender";q=20;w=10"#.to_owned()),
                ("ratelimit", format!(r#""sender";r=0;t={retry_after}"#)),
            ],
            _ => Vec::new(),
        }
    }

    /// The text for the log: the response's text without the caller's input.
    pub(crate) fn for_log(&self) -> String {
        match self {
            Self::UnsupportedMime(_) => "unsupported mime".to_owned(),
            ours => ours.to_string(),
        }
    }

    /// Shorthand for [`Error::InvalidInput`].
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::InvalidInput(text.into())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Converts the text of a statement's `verdict` column into a result. The texts come from the look-up functions in
/// supabase/migrations and from the routes' own functions.
pub fn verdict(text: &str) -> Result<()> {
    Err(match text {
        "ok" => return Ok(()),
        "invalid_api_key" => Error::InvalidKey,
        "invalid_user_token" => Error::InvalidToken,
        "user_token_expired" => Error::TokenExpired,
        "user_token_required" => Error::TokenRequired,
        "tenant_overage" => Error::TenantOverage,
        "tenant_suspended" => Error::TenantSuspended,
        "conversation_not_found" => Error::ConversationNotFound,
        "message_not_found" => Error::MessageNotFound,
        "reply_not_found" => Error::ReplyNotFound,
        "read_message_not_found" => Error::ReadMessageNotFound,
        "not_a_participant" => Error::NotAParticipant,
        "sender_not_caller" => Error::SenderNotCaller,
        "user_not_caller" => Error::UserNotCaller,
        "caller_not_participant" => Error::CallerNotParticipant,
        "secret_key_required" => Error::SecretKeyRequired,
        "conversation_closed" => Error::ConversationClosed,
        "participants_required" => Error::invalid("participants is required"),
        "too_many_participants" => Error::invalid("too many participants"),
        "not_the_sender" => Error::NotTheSender,
        other => match other.strip_prefix("too_many_messages ").map(str::parse) {
            Some(Ok(retry_after)) => Error::TooManyMessages { retry_after },
            _ => Error::Database(format!("unknown verdict {other:?}").into()),
        },
    })
}
