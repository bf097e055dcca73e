//! Webhook events per second that one process of deliver-webhooks delivers, to one endpoint and to sixteen.

use crate::http;
use crate::lab::{Implementation, Lab, WARM};
use crate::stats::median;
use serde::Serialize;

const ENDPOINTS: [u32; 2] = [1, 16];
const EVENTS: u32 = 10_000;
const ROUNDS: u32 = 3;

/// The rate at which events are delivered to a number of endpoints.
#[derive(Serialize)]
pub(crate) struct Webhooks {
    pub(crate) endpoints: u32,
    pub(crate) per_second: f64,
}

/// Measures each number of endpoints, in turns.
pub(crate) fn measure(lab: &Lab) -> anyhow::Result<Vec<Webhooks>> {
    let receiver = http::start_accepting_server()?;
    let mut rounds = vec![Vec::new(); ENDPOINTS.len()];
    for _ in 0..lab.rounds(ROUNDS) {
        for (rates, endpoints) in rounds.iter_mut().zip(ENDPOINTS) {
            rates.push(rate(lab, &receiver, endpoints)?);
        }
    }
    let rates = rounds.into_iter().map(median);
    Ok(rates.zip(ENDPOINTS).map(|(per_second, endpoints)| Webhooks { endpoints, per_second }).collect())
}

/// Fills the outbox with events of messages, and measures how fast deliver-webhooks empties it.
fn rate(lab: &Lab, receiver: &str, endpoints: u32) -> anyhow::Result<f64> {
    let fill = format!(
        "insert into tinychat.webhook_endpoints (id, tenant_id, url, events, secret)
        select gen_random_uuid(), '11111111-2222-4333-8444-555555555555', '{receiver}/', '{{message.created}}',
            'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
        from generate_series(1, {endpoints});
        insert into tinychat.webhook_deliveries (endpoint_id, event_id, type, payload, next_attempt_at)
        select w.id, gen_random_uuid(), 'message.created', repeat('x', 800), now()
        from generate_series(1, {EVENTS} / {endpoints}), tinychat.webhook_endpoints w;
        vacuum analyze tinychat.webhook_deliveries"
    );
    for statement in fill.split(';') {
        lab.run_sql(WARM, statement)?;
    }
    let mut function = lab.start(Implementation::Ours, "deliver-webhooks", &lab.database(WARM)?)?;
    let (_, response) = function.invoke("{}")?; // it responds when nothing is left
    lab.run_sql(
        WARM,
        "do $$ begin
            assert (select bool_and(outcome = 'delivered') from tinychat.webhook_deliveries);
            delete from tinychat.webhook_endpoints;
        end $$",
    )?;
    Ok(f64::from(EVENTS) / response.elapsed.as_secs_f64())
}
