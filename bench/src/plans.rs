//! Plans that Postgres makes per request of a warm function, counted by `pg_stat_statements`.

use crate::lab::{Implementation, Lab, WARM};
use crate::round::{REQUESTS, WARM_UP, round};
use crate::routes::{ROUTES, Route};
use crate::warm;
use anyhow::Context;
use serde::Serialize;

/// The first request's number. It is above those of the warm requests, because some routes can use a number only once.
const FIRST: u64 = 19_000;

/// Plans and planning time per request.
#[derive(Serialize)]
pub(crate) struct Plans {
    pub(crate) route: &'static str,
    /// Plans of the statements that the function sends.
    pub(crate) top_level: f64,
    /// Plans of statements inside server-side functions.
    pub(crate) nested: f64,
    /// The time of all planning, in microseconds.
    pub(crate) planning: f64,
}

/// Counts the plans of all routes. Counting is off in all other measurements, because it takes time.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Plans>> {
    lab.run_sql(WARM, "create extension pg_stat_statements")?;
    for setting in ["compute_query_id = on", "pg_stat_statements.track = 'all'"] {
        lab.run_sql(WARM, &format!("alter database {WARM} set {setting}"))?;
    }
    let plans = ROUTES.iter().map(|route| measure_route(lab, route)).collect();
    lab.run_sql(WARM, &format!("alter database {WARM} reset all"))?;
    plans
}

fn measure_route(lab: &Lab, route: &Route) -> anyhow::Result<Plans> {
    let event = route.event()?;
    let mut events = (route.first + FIRST..).map(|n| route.request(&event, n));
    let (mut function, _) =
        warm::start(lab, Implementation::Ours, route, &events.next().context("an event")?)?;
    round(&mut function, &mut events, route.status)?;
    lab.run_sql(WARM, "select pg_stat_statements_reset()")?;
    round(&mut function, &mut events, route.status)?;
    let counted = lab.query(
        "select
            coalesce(sum(plans) filter (where toplevel), 0)::double precision,
            coalesce(sum(plans) filter (where not toplevel), 0)::double precision,
            coalesce(sum(total_plan_time), 0) * 1000
        from pg_stat_statements
        where query not like '%pg_stat_statements%'",
    )?;
    let row = counted.first().context("plans")?;
    let per_request =
        |column: usize| anyhow::Ok(row.try_get::<_, f64>(column)? / f64::from(WARM_UP + REQUESTS));
    Ok(Plans {
        route: route.name,
        top_level: per_request(0)?,
        nested: per_request(1)?,
        planning: per_request(2)?,
    })
}
