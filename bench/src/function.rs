//! A function's process and the Lambda Runtime API that it polls. It gets one event at a time and is never frozen.

use crate::http::{Connection, Request};
use crate::stats::micros;
use anyhow::{Context, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time for which the benchmark waits for a function's next request. deliver-webhooks sends none until the outbox is empty,
/// which takes 5 s on an idle machine and minutes on a busy one.
const TIMEOUT: Duration = Duration::from_mins(5);

/// A running function. Dropping it kills it.
pub(crate) struct Function {
    name: String,
    child: Child,
    started: Instant,
    listener: TcpListener,
    connections: Vec<Connection>,
    /// The process id of its backend in Postgres, if that is measured.
    pub(crate) backend: Option<i32>,
}

/// A function's response to an event.
pub(crate) struct Response {
    /// The time from the handing out of the event to the response.
    pub(crate) elapsed: Duration,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Fails unless the app gets this status. A response without a status is a 200.
    pub(crate) fn expect(&self, status: u16) -> anyhow::Result<()> {
        let says = |start: &str| self.body.starts_with(start.as_bytes());
        if says(&format!(r#"{{"statusCode":{status},"#)) || (status == 200 && !says(r#"{"statusCode":"#)) {
            return Ok(());
        }
        bail!("unexpected response: {}", String::from_utf8_lossy(&self.body))
    }
}

impl Function {
    /// Starts a program. Its environment holds `variables` and the variables that Lambda adds, and no others.
    pub(crate) fn start(
        mut command: Command,
        name: &str,
        variables: &[(&str, String)],
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        command
            .env_clear()
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let started = Instant::now();
        let child = command.spawn().with_context(|| name.to_owned())?;
        Ok(Self { name: name.to_owned(), child, started, listener, connections: Vec::new(), backend: None })
    }

    /// Waits until the function polls, and hands out `event`. Returns the time from its start to that poll, and the
    /// response.
    pub(crate) fn invoke(&mut self, event: &str) -> anyhow::Result<(Duration, Response)> {
        let (mut connection, poll) = self.next()?;
        let polled = self.started.elapsed();
        self.expect_method(&poll, "GET")?;
        let head = "200 OK\r\ncontent-type: application/json\r\nlambda-runtime-aws-request-id: 1\r\n\
            lambda-runtime-deadline-ms: 4102444800000\r\n\
            lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:bench\r\n";
        let handed_out = Instant::now();
        connection.write(head, event.as_bytes())?;
        self.connections.push(connection);
        let (mut connection, response) = self.next()?;
        let elapsed = handed_out.elapsed();
        self.expect_method(&response, "POST")?;
        connection.write("202 Accepted\r\n", b"")?;
        self.connections.push(connection);
        let body = response.body;
        Ok((polled, Response { elapsed, body }))
    }

    /// Waits for its first poll. Returns the time from its start to that poll.
    pub(crate) fn first_poll(&mut self) -> anyhow::Result<Duration> {
        let (connection, poll) = self.next()?;
        let polled = self.started.elapsed();
        self.expect_method(&poll, "GET")?;
        self.connections.push(connection); // stays open, because the function logs an error if it closes
        Ok(polled)
    }

    /// Returns the time since its start.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns the CPU time that its threads have used, in microseconds.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        let mut total = 0.0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            total += scheduled(&thread?.path())?;
        }
        Ok(total)
    }

    /// Returns the CPU time that its backend in Postgres has used, in microseconds, or NaN without a backend.
    pub(crate) fn backend_cpu(&self) -> anyhow::Result<f64> {
        self.backend.map_or(Ok(f64::NAN), |pid| scheduled(Path::new(&format!("/proc/{pid}"))))
    }

    /// Returns its peak resident memory, in KiB.
    pub(crate) fn peak_memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    }

    /// Returns the next request on any connection, and that connection.
    fn next(&mut self) -> anyhow::Result<(Connection, Request)> {
        loop {
            let mut sockets: Vec<_> = self
                .connections
                .iter()
                .map(|connection| PollFd::new(connection.stream().as_fd(), PollFlags::POLLIN))
                .collect();
            sockets.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
            if poll(&mut sockets, PollTimeout::try_from(TIMEOUT)?)? == 0 {
                bail!("{} sent no request within {} s", self.name, TIMEOUT.as_secs());
            }
            let ready = sockets.iter().position(|socket| socket.any().unwrap_or(false));
            match ready.filter(|&ready| ready < self.connections.len()) {
                None => self.connections.push(Connection::accept(&self.listener)?),
                Some(ready) => {
                    let mut connection = self.connections.swap_remove(ready);
                    if let Some(request) = connection.read()? {
                        return Ok((connection, request));
                    }
                }
            }
        }
    }

    fn expect_method(&self, request: &Request, method: &str) -> anyhow::Result<()> {
        if request.method != method {
            let body = String::from_utf8_lossy(&request.body);
            bail!("{} sent {} instead of {method}: {body}", self.name, request.method);
        }
        Ok(())
    }
}

/// Returns the CPU time of a process or thread, given by its folder in /proc, in microseconds.
fn scheduled(folder: &Path) -> anyhow::Result<f64> {
    let schedstat = fs::read_to_string(folder.join("schedstat"))?;
    let nanoseconds = schedstat.split(' ').next().unwrap_or_default().parse()?;
    Ok(micros(Duration::from_nanos(nanoseconds)))
}

impl Drop for Function {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
