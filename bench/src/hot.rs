//! Sends into a conversation that has received many messages, compared with sends into a new one. The row versions that
//! each send leaves behind must not slow down later sends.

use crate::lab::{Implementation, Lab, WARM};
use crate::round::round;
use crate::routes::DEMO_CONVERSATION;
use crate::stats::Sample;
use serde::Serialize;
use std::iter;

const ROUNDS: u32 = 7;

/// Pairs of conversations from fill.sql: the used one, the fresh one, and how many participants both get in addition to
/// their two.
const PAIRS: [(u32, u32, u32); 2] = [(17, 18, 0), (19, 20, 98)];

/// Sends into a used and a fresh conversation with the same number of participants.
#[derive(Serialize)]
pub(crate) struct Hot {
    pub(crate) participants: u32,
    /// The number of messages that the used one had received before.
    pub(crate) sends: u32,
    pub(crate) used: Sample,
    pub(crate) fresh: Sample,
    /// The median over rounds of the ratio of the used one to the fresh one.
    pub(crate) ratio: Sample,
}

/// Measures both pairs.
pub(crate) fn measure(lab: &Lab, sends: u32) -> anyhow::Result<Vec<Hot>> {
    PAIRS.iter().map(|pair| measure_pair(lab, sends, *pair)).collect()
}

fn measure_pair(lab: &Lab, sends: u32, (hot, fresh, listeners): (u32, u32, u32)) -> anyhow::Result<Hot> {
    let [hot, fresh] = [hot, fresh].map(|n| format!("c0000000-0000-4000-8000-{n:012x}"));
    lab.run_sql(
        WARM,
        &format!(
            "with grown as (
                update tinychat.conversations
                set participants = participants || array(select 'listener_' || generate_series(1, {listeners}))
                where id in ('{hot}', '{fresh}')
                returning *
            )
            insert into tinychat.participants (conversation_id, user_id, tenant_id, kind, active_at)
            select id, user_id, tenant_id, kind, last_at from grown, unnest(participants) as user_id
            on conflict do nothing"
        ),
    )?;
    let before = lab.backends()?;
    let mut function = lab.start(Implementation::Ours, "send-message", &lab.database(WARM)?)?;
    let event = include_str!("../../events/send-message.json");
    let [hot, fresh] = [hot, fresh].map(|conversation| event.replace(DEMO_CONVERSATION, &conversation));
    for _ in 0..sends {
        let (_, response) = function.invoke(&hot)?;
        response.expect(200)?;
    }
    function.backend = lab.backends()?.difference(&before).next().copied();
    let mut turn = |event: &String| round(&mut function, iter::repeat(event.clone()), 200);
    let (mut in_hot, mut in_fresh, mut ratios) = (vec![], vec![], vec![]);
    for _ in 0..lab.rounds(ROUNDS) {
        let (hot, fresh) = (turn(&hot)?, turn(&fresh)?);
        ratios.push(hot.ratio(&fresh));
        in_hot.push(hot);
        in_fresh.push(fresh);
    }
    Ok(Hot {
        participants: listeners + 2,
        sends,
        used: Sample::median(&in_hot),
        fresh: Sample::median(&in_fresh),
        ratio: Sample::median(&ratios),
    })
}
