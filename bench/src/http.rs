//! A small HTTP/1.1 server. It supports bodies with a length and connections that stay open, which is all that the
//! functions need. It blocks and runs no tasks, so that its own scheduling adds nothing to the measured times.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// The parts of a request that the benchmark needs.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) body: Vec<u8>,
}

/// A connection that a client keeps open.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Accepts the next client.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<Self> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Returns the socket, for `poll`.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// Returns the next request, or `None` if the client has closed the connection.
    pub(crate) fn read(&mut self) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let method = line.split(' ').next().unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(':') {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Some(Request { method, body }))
    }

    /// Writes a response. `head` is the status and the headers, each with its line break.
    pub(crate) fn write(&mut self, head: &str, body: &[u8]) -> io::Result<()> {
        let mut response = format!("HTTP/1.1 {head}content-length: {}\r\n\r\n", body.len()).into_bytes();
        response.extend_from_slice(body);
        self.0.get_mut().write_all(&response)
    }
}

/// Starts a server that accepts every request at once, in place of Supabase and of webhook receivers. Returns its URL.
pub(crate) fn start_accepting_server() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        while let Ok(mut connection) = Connection::accept(&listener) {
            std::thread::spawn(move || {
                while let Ok(Some(_)) = connection.read() {
                    if connection.write("200 OK\r\netag: \"0\"\r\n", b"").is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok(url)
}
