//! Black-box tests of the API, one module per route. They run inside the local cloud: `make test`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[macro_use]
extern crate support;

mod create_conversation;
mod credentials;
mod delete_message;
mod edit_message;
mod get_config;
mod get_conversation;
mod list_conversations;
mod list_messages;
mod mark_read;
mod route_not_found;
mod send_message;
mod send_typing;
mod update_conversation;
mod upload_image;
mod upsert_user;

mod abuse;
mod broken_dependencies;
mod changes;
mod command_line;
mod cors;
mod doctor;
mod doctor_stack;
mod events;
mod guard;
mod hostile_events;
mod import;
mod inbox;
mod isolation;
mod least_rights;
mod logs;
mod metadata;
mod migrations;
mod openapi;
mod orphan_images;
mod participants_listen;
mod private_channels;
mod quickstart;
mod realtime;
mod recipients;
mod reference;
mod retention;
mod seed;
mod settings;
mod smoke;
mod tls;
mod token_commands;
mod unread;
mod usage;
mod users_erase;
mod users_export;
mod webhook_commands;
mod webhooks;
