//! As much HTTP/1.1 as the clients of the benchmark speak: bodies with a length, connections kept open. Blocking and
//! without a task between socket and clock, so that what is measured is the function.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A request, as far as anyone here looks at it.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) body: Vec<u8>,
}

/// A connection that a client keeps open.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Takes the next client.
    pub(crate) fn accept(listener: &TcpListener) -> io::Result<Self> {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The socket, to wait for.
    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// The next request; none if the client has closed the connection.
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

    /// Answers it. `head` is the status and the headers, each line with its end.
    pub(crate) fn write(&mut self, head: &str, body: &[u8]) -> io::Result<()> {
        let mut response = format!("HTTP/1.1 {head}content-length: {}\r\n\r\n", body.len()).into_bytes();
        response.extend_from_slice(body);
        self.0.get_mut().write_all(&response)
    }
}

/// A Supabase that is content with every broadcast and every stored object, at once, and its address.
pub(crate) fn supabase() -> io::Result<String> {
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
