//! A relay between a function and its Postgres. It counts round trips, and can cut the connection at a chosen moment.
//!
//! See "Message Formats" in the PostgreSQL documentation: a message has a type, a length and the content. The length is four
//! bytes and includes them. The first message of a connection has no type.

use reqwest::Url;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use support::relay::database_url_at;
use support::setting;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// The fault of the next statement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Ends the connection before Postgres has received the whole statement.
    BeforeExecution,
    /// Ends the connection after Postgres has committed and before the function gets the response.
    AfterCommit,
    /// Keeps the connection open, but forwards nothing.
    Silence,
}

/// The counts since the last call of [`Wire::count`].
#[derive(Default, Debug, PartialEq)]
pub struct Tally {
    /// Messages after which the function waits for a response: Sync and Query.
    pub round_trips: usize,
    /// Names of prepared statements, which not every transaction-mode pooler supports.
    pub named_statements: Vec<String>,
}

/// A running relay.
pub struct Wire {
    /// The URL for functions to use.
    pub database_url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    tally: Mutex<Tally>,
    cut: Mutex<Option<Cut>>,
    mistaken: Mutex<Option<(String, String)>>,
}

impl Wire {
    pub async fn new() -> Self {
        Self::on_port(0).await
    }

    /// Starts a relay on a port of this machine.
    pub async fn on_port(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let database_url = database_url_at(listener.local_addr().unwrap().port());
        let state = Arc::<State>::default();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((function, _)) = listener.accept().await {
                tokio::spawn(relay(function, shared.clone()));
            }
        });
        Self { database_url, state }
    }

    /// Returns the counts, and sets them to zero.
    pub fn count(&self) -> Tally {
        std::mem::take(&mut *self.state.tally.lock().unwrap())
    }

    /// Waits until nothing has been sent for 50 ms. A process writes its counts of credentials after its first response.
    pub async fn wait_until_quiet(&self) {
        let tally = || self.state.tally.lock().unwrap().round_trips;
        let mut before = None;
        while before.replace(tally()) != Some(tally()) {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Cuts the connection at the next statement.
    pub fn cut(&self, cut: Cut) {
        *self.state.cut.lock().unwrap() = Some(cut);
    }

    /// Replaces text in all named statements, as if the pooler mixed up the statements of two processes.
    pub fn mistake(&self, text: &str, other: &str) {
        *self.state.mistaken.lock().unwrap() = Some((text.to_owned(), other.to_owned()));
    }

    /// Whether the requested cut has happened.
    pub fn has_cut(&self) -> bool {
        self.state.cut.lock().unwrap().is_none()
    }
}

impl State {
    fn takes(&self, cut: Cut) -> bool {
        let mut wanted = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.take_if(|wanted| *wanted == cut).is_some()
    }
}

async fn relay(mut function: TcpStream, state: Arc<State>) -> io::Result<()> {
    let url = Url::parse(&setting("FUNCTION_DATABASE_URL")).unwrap();
    let mut postgres = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap_or(5432))).await?;
    function.set_nodelay(true)?;
    postgres.set_nodelay(true)?;
    let (from_function, to_function) = function.split();
    let (from_postgres, to_postgres) = postgres.split();
    tokio::select! { // the end of one direction ends the connection
        end = requests(from_function, to_postgres, &state) => end,
        end = responses(from_postgres, to_function, &state) => end,
    }
}

async fn requests(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &State) -> io::Result<()> {
    let startup = rest_of_message(&mut from).await?;
    to.write_all(&startup).await?;
    loop {
        let kind = from.read_u8().await?;
        let mut message = rest_of_message(&mut from).await?;
        match kind {
            b'S' | b'Q' if state.takes(Cut::BeforeExecution) => return Ok(()),
            b'S' | b'Q' if state.takes(Cut::Silence) => return pending().await,
            b'S' | b'Q' => state.tally.lock().unwrap().round_trips += 1,
            b'P' if message[4] != 0 => {
                let name = message[4..].split(|byte| *byte == 0).next().unwrap();
                let name = String::from_utf8_lossy(name).into_owned();
                state.tally.lock().unwrap().named_statements.push(name);
                if let Some((text, other)) = &*state.mistaken.lock().unwrap() {
                    // One character for each byte, because the types that follow the text are no UTF-8.
                    let content: String = message[4..].iter().copied().map(char::from).collect();
                    let content: Vec<_> = content
                        .replace(text, other)
                        .chars()
                        .map(|byte| u8::try_from(byte).unwrap())
                        .collect();
                    message =
                        [&u32::try_from(content.len() + 4).unwrap().to_be_bytes(), &content[..]].concat();
                }
            }
            _ => {}
        }
        to.write_u8(kind).await?;
        to.write_all(&message).await?;
    }
}

async fn responses(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &State) -> io::Result<()> {
    let mut response = Vec::new();
    loop {
        let kind = from.read_u8().await?;
        response.push(kind);
        response.extend(rest_of_message(&mut from).await?);
        let complete = kind == b'Z'; // ReadyForQuery: the transaction has ended
        if complete && state.takes(Cut::AfterCommit) {
            return Ok(());
        }
        // The log-in needs several messages in both directions. The response to a statement is held back until it is complete.
        if complete || kind == b'R' || kind == b'E' {
            to.write_all(&response).await?;
            response.clear();
        }
    }
}

/// Reads a message's length and content.
async fn rest_of_message(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut message = length.to_be_bytes().to_vec();
    message.resize(length as usize, 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(message)
}
