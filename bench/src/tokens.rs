//! User tokens: the cost of a request with a token, compared with the same request with the publishable key.

use crate::lab::{Implementation, Lab, WARM, WARM_ROWS};
use crate::round::{ROUNDS, round};
use crate::routes::{ROUTES, Route};
use crate::stats::{Sample, median};
use crate::warm::start;
use anyhow::Context;
use serde::Serialize;

/// The publishable key in events/*.json.
const KEY: &str = "pk_test_DemoTenantOnlyForLocalUse01";

/// One route with both kinds of credential.
#[derive(Serialize)]
pub(crate) struct Tokens {
    pub(crate) route: &'static str,
    pub(crate) key: Sample,
    pub(crate) token: Sample,
    /// The median over rounds of the ratio of the p50 with a token to the p50 with the key.
    pub(crate) p50_ratio: f64,
    /// The median over rounds of the CPU time that the function uses in addition with a token, in microseconds.
    pub(crate) more_cpu: f64,
}

/// Measures all routes that take a credential. The database is created again first, because a message can be deleted only
/// once. The tenant has a token key during all requests, so that the broadcasts of both kinds are the same.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Tokens>> {
    lab.make_database(WARM, WARM_ROWS)?;
    let tokens = lab.query(include_str!("token.sql"))?;
    let tokens: Vec<(String, String)> =
        tokens.iter().map(|row| anyhow::Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, _>>()?;
    let routes = ROUTES.iter().filter(|route| route.status == 200);
    let measured = routes.map(|route| {
        let user = if route.name == "mark-read" { "driver_3" } else { "u_42" };
        let (_, token) = tokens.iter().find(|(name, _)| name == user).context("a token")?;
        measure_route(lab, route, token).context(route.name)
    });
    let measured = measured.collect();
    lab.run_sql(WARM, "delete from tinychat.token_keys")?;
    measured
}

fn measure_route(lab: &Lab, route: &Route, token: &str) -> anyhow::Result<Tokens> {
    let event = route.event()?;
    let mut n = route.first..;
    let mut functions = Vec::new();
    for credential in [KEY, token] {
        let event = event.replace(KEY, credential);
        let request = route.request(&event, n.next().context("a number")?);
        let (function, _) = start(lab, Implementation::Ours, route, &request)?;
        functions.push((function, event, Vec::new()));
    }
    for _ in 0..lab.rounds(ROUNDS) {
        for (function, event, rounds) in &mut functions {
            rounds.push(round(function, n.by_ref().map(|n| route.request(event, n)), route.status)?);
        }
    }
    let [(_, _, key), (_, _, token)] = functions.as_slice() else { anyhow::bail!("two functions") };
    let pairs = || key.iter().zip(token);
    Ok(Tokens {
        route: route.name,
        key: Sample::median(key),
        token: Sample::median(token),
        p50_ratio: median(pairs().map(|(key, token)| token.p50 / key.p50)),
        more_cpu: median(pairs().map(|(key, token)| token.cpu - key.cpu)),
    })
}
