//! A relay between a function and its Postgres that reads along, and that can fail at the worst moment.
//!
//! See "Message Formats" in the PostgreSQL documentation: a message is a type, its length with these four bytes, and its
//! content. The first one of a connection has no type.

use crate::support::relay::database_url_at;
use crate::support::setting;
use reqwest::Url;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the relay does to the next statement, once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// Ends the connection before Postgres has seen the whole of it.
    BeforeExecution,
    /// Ends the connection when Postgres has committed, before its answer gets through.
    AfterCommit,
    /// Keeps the connection, and everything that comes over it.
    Silence,
}

/// What went over the wire since the last count.
#[derive(Default, Debug, PartialEq)]
pub struct Tally {
    /// Messages that make Postgres answer and the function wait: Sync and Query.
    pub round_trips: usize,
    /// Names of prepared statements, which a transaction-mode pooler doesn't keep.
    pub named_statements: Vec<String>,
}

/// The relay.
pub struct Wire {
    /// The address for functions that shall use it.
    pub database_url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    tally: Mutex<Tally>,
    cut: Mutex<Option<Cut>>,
}

impl Wire {
    pub async fn new() -> Self {
        Self::on_port(0).await
    }

    /// A relay on this port of this machine.
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

    /// What went over the wire since the last count.
    pub fn count(&self) -> Tally {
        std::mem::take(&mut *self.state.tally.lock().unwrap())
    }

    /// Fails at the next statement.
    pub fn cut(&self, cut: Cut) {
        *self.state.cut.lock().unwrap() = Some(cut);
    }

    /// Whether it has failed as it was told to.
    pub fn has_cut(&self) -> bool {
        self.state.cut.lock().unwrap().is_none()
    }
}

impl State {
    fn shall(&self, cut: Cut) -> bool {
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
    tokio::select! { // what ends one direction ends the connection
        end = requests(from_function, to_postgres, &state) => end,
        end = answers(from_postgres, to_function, &state) => end,
    }
}

async fn requests(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &State) -> io::Result<()> {
    let startup = rest_of_message(&mut from).await?;
    to.write_all(&startup).await?;
    loop {
        let kind = from.read_u8().await?;
        let message = rest_of_message(&mut from).await?;
        match kind {
            b'S' | b'Q' if state.shall(Cut::BeforeExecution) => return Ok(()),
            b'S' | b'Q' if state.shall(Cut::Silence) => return pending().await,
            b'S' | b'Q' => state.tally.lock().unwrap().round_trips += 1,
            b'P' if message[4] != 0 => {
                let name = message[4..].split(|byte| *byte == 0).next().unwrap();
                let name = String::from_utf8_lossy(name).into_owned();
                state.tally.lock().unwrap().named_statements.push(name);
            }
            _ => {}
        }
        to.write_u8(kind).await?;
        to.write_all(&message).await?;
    }
}

async fn answers(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, state: &State) -> io::Result<()> {
    let mut answer = Vec::new();
    loop {
        let kind = from.read_u8().await?;
        answer.push(kind);
        answer.extend(rest_of_message(&mut from).await?);
        let complete = kind == b'Z'; // ReadyForQuery: the transaction has ended
        if complete && state.shall(Cut::AfterCommit) {
            return Ok(());
        }
        // Log-in is a dialogue; only a statement's answer is held back until it is whole.
        if complete || kind == b'R' || kind == b'E' {
            to.write_all(&answer).await?;
            answer.clear();
        }
    }
}

/// A message's length and content.
async fn rest_of_message(from: &mut ReadHalf<'_>) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut message = length.to_be_bytes().to_vec();
    message.resize(length as usize, 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(message)
}
