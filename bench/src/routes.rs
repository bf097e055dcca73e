//! The routes: the requests to each function, and the same work as a plain statement for pgbench.

use anyhow::Context;
use std::fs;
use std::path::Path;

/// The conversation of most requests: the long one of fill.sql.
pub(crate) const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000000";

/// The conversation in events/*.json.
pub(crate) const DEMO_CONVERSATION: &str = "c0ffee00-0000-4000-8000-000000000001";

/// The longest median of a read and of a write, as a multiple of pgbench's in the extended protocol.
const READ: Option<f64> = Some(1.25);
const WRITE: Option<f64> = Some(1.35);

/// The longest median as a multiple of the baseline's, for routes on which planning took most or a large part of the time.
const MOST: Option<f64> = Some(0.6);
const LARGE: Option<f64> = Some(0.7);

const KEY: &str = "sha256(:key::bytea)";
const IN: &str = ":conversation::uuid";
const IN_ONE_OF_MANY: &str =
    "('c0000000-0000-4000-8000-' || lpad(to_hex(:conversation::bigint), 12, '0'))::uuid";

/// The number of conversations that the measurement of sends per second uses: 1 to 16 of fill.sql.
pub(crate) const CONVERSATIONS: u32 = 16;
const USER: &str = ":user::text";
const BODY: &str = ":body::text";
const NEW_ID: &str = "('0f000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid";
const MESSAGE: &str = "('01990000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid";

/// A route, with a different request for each number n, counted from `first`.
pub(crate) struct Route {
    /// The function's name.
    pub(crate) name: &'static str,
    /// The parameters of its statement, from $1, as pgbench expressions. Empty if it has no statement.
    parameters: &'static [&'static str],
    /// The longest p50, as a multiple of pgbench's in the extended protocol.
    pub(crate) aim: Option<f64>,
    /// The longest p50, as a multiple of the baseline's.
    pub(crate) aim_to_baseline: Option<f64>,
    /// The text in its event that request n replaces, and the replacement.
    replace: (&'static str, fn(u64) -> String),
    pub(crate) first: u64,
    /// The status of its responses.
    pub(crate) status: u16,
}

const ROUTE: Route = Route {
    name: "",
    parameters: &[],
    aim: READ,
    aim_to_baseline: None,
    replace: (DEMO_CONVERSATION, |_| CONVERSATION.to_owned()),
    first: 1_000_000,
    status: 200,
};

/// All routes, in the README's order.
pub(crate) static ROUTES: &[Route] = &[
    Route { name: "get-config", parameters: &[KEY], aim_to_baseline: MOST, ..ROUTE },
    Route {
        name: "upsert-user",
        parameters: &[
            KEY,
            NEW_ID,
            USER,
            ":name::text",
            ":email::text",
            "'customer'::text",
            "null::text[]",
            "null::jsonb",
        ],
        aim: WRITE,
        ..ROUTE
    },
    Route {
        name: "list-conversations",
        parameters: &[KEY, USER, "array['order', 'support', 'direct']"],
        aim_to_baseline: LARGE,
        replace: ("&kind=order", |_| String::new()),
        ..ROUTE
    },
    Route {
        name: "create-conversation",
        parameters: &[
            KEY,
            NEW_ID,
            "'order'::text",
            "('order_' || :n::text)",
            "array[:user::text, 'driver_3']",
        ],
        aim: WRITE,
        replace: ("order_9001", |n| format!("order_{n}")),
        ..ROUTE
    },
    Route { name: "get-conversation", parameters: &[KEY, IN], ..ROUTE },
    Route {
        name: "update-conversation",
        aim: None,
        replace: ("add_participants", |n| {
            format!("{}_participants", if n % 2 == 0 { "add" } else { "remove" })
        }),
        ..ROUTE
    },
    Route {
        name: "list-messages",
        parameters: &[KEY, IN, "null::timestamptz", "50::bigint"],
        aim_to_baseline: MOST,
        ..ROUTE
    },
    Route {
        name: "send-message",
        parameters: &[
            KEY,
            IN,
            NEW_ID,
            USER,
            "null::text",
            BODY,
            "'text'::text",
            "null::text",
            "null::uuid",
            "null::text",
            NEW_ID,
        ],
        aim: WRITE,
        aim_to_baseline: LARGE,
        ..ROUTE
    },
    Route {
        name: "edit-message",
        parameters: &[KEY, IN, MESSAGE, USER, BODY, NEW_ID],
        aim: WRITE,
        aim_to_baseline: LARGE,
        replace: ("01990000-0000-7000-8000-000000000001", message_id),
        first: 1,
        ..ROUTE
    },
    Route {
        name: "delete-message",
        parameters: &[KEY, IN, MESSAGE, USER, NEW_ID, NEW_ID],
        aim: WRITE,
        aim_to_baseline: LARGE,
        replace: ("01990000-0000-7000-8000-000000000002", message_id),
        first: 20_001,
        ..ROUTE
    },
    Route {
        name: "mark-read",
        parameters: &[KEY, IN, "'driver_3'::text", MESSAGE],
        aim: WRITE,
        replace: ("01990000-0000-7000-8000-000000000001", message_id),
        first: 1,
        ..ROUTE
    },
    Route { name: "send-typing", parameters: &[KEY, IN], aim_to_baseline: MOST, ..ROUTE },
    Route { name: "upload-image", parameters: &[KEY, IN], aim: None, ..ROUTE },
    Route { name: "route-not-found", status: 404, ..ROUTE },
];

/// Returns the id of message `n` of fill.sql.
fn message_id(n: u64) -> String {
    format!("01990000-0000-7000-8000-{n:012x}")
}

impl Route {
    /// Reads its event from events/.
    pub(crate) fn event(&self) -> anyhow::Result<String> {
        event(self.name)
    }

    /// Returns the event of request `n`.
    pub(crate) fn request(&self, event: &str, n: u64) -> String {
        let (old, new) = self.replace;
        event.replace(old, &new(n)).replace(DEMO_CONVERSATION, CONVERSATION)
    }

    /// Returns its statement with pgbench's parameters, or `None` if it has no statement.
    pub(crate) fn statement(&self) -> anyhow::Result<Option<String>> {
        if self.parameters.is_empty() {
            return Ok(None);
        }
        let sql = project_file(&format!("bench/statements/{}.sql", self.name))?;
        let code = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
        let mut statement = code.collect::<Vec<_>>().join("\n");
        for (index, parameter) in self.parameters.iter().enumerate().rev() {
            statement = statement.replace(&format!("${}", index + 1), parameter);
        }
        Ok(Some(statement))
    }
}

/// Returns send-message's statement as a pgbench script that uses the [`CONVERSATIONS`] in turn. Each client starts at
/// another conversation, and its `:n` counts up in a separate range, from `:first`.
pub(crate) fn send_script() -> anyhow::Result<String> {
    let route = ROUTES.iter().find(|route| route.name == "send-message").context("send-message")?;
    let statement = route.statement()?.context("a statement")?.replace(IN, IN_ONE_OF_MANY);
    Ok(format!(
        "\\set conversation 1 + (:client_id + :sent) % {CONVERSATIONS}\n\
        \\set n :first + :client_id * 1000000 + :sent\n\\set sent :sent + 1\n{statement};\n"
    ))
}

/// Reads a function's event from events/.
pub(crate) fn event(function: &str) -> anyhow::Result<String> {
    project_file(&format!("events/{function}.json"))
}

fn project_file(path: &str) -> anyhow::Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(file).with_context(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_of_a_statement_is_given() {
        for route in ROUTES {
            let statement = route.statement().unwrap().unwrap_or_default();
            assert!(!statement.contains('$'), "{}: {statement}", route.name);
        }
        let script = send_script().unwrap();
        assert!(!script.contains('$') && !script.contains(IN), "{script}");
    }

    #[test]
    fn every_route_is_measured() {
        let template = project_file("template.yaml").unwrap();
        let measured: Vec<_> = ROUTES.iter().map(|route| route.name).collect();
        // The events are the last properties of a function, so its name comes before them.
        let mut name = "";
        for line in template.lines() {
            if let Some((_, binary)) = line.split_once("Binary: ") {
                name = binary.trim_end_matches([' ', '}']);
            } else if line.trim() == "Type: HttpApi" {
                assert!(measured.contains(&name), "{name} is new: add it to ROUTES");
            }
        }
        assert_eq!(template.matches("Type: HttpApi").count(), ROUTES.len());
    }

    #[test]
    fn every_request_replaces_the_text_of_its_route() {
        for route in ROUTES {
            let event = route.event().unwrap();
            let (old, _) = route.replace;
            let has_conversation = event.contains("\"pathParameters\"");
            assert_eq!(event.contains(old), old != DEMO_CONVERSATION || has_conversation, "{}", route.name);
            let request = route.request(&event, 7);
            assert!(!request.contains(old), "{}", route.name);
            assert!(serde_json::from_str::<serde_json::Value>(&request).is_ok(), "{}", route.name);
        }
    }
}
