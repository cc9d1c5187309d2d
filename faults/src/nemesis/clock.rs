//! A clock that is stepped: Daybook's own, through its context; the machine's stays.

use std::time::Duration;

use daybook_failpoint::{CLOCK, Faults};

use super::{Fault, Field, Heal, Struck};

const HOUR_MICROS: i64 = 3_600_000_000;
const HELD: Duration = Duration::from_secs(5);

pub(super) fn all() -> Vec<Fault> {
    vec![
        Fault::new("clock-forward", "the context's clock is an hour ahead, then as before", 20, |f| Box::pin(step(f, HOUR_MICROS))),
        Fault::new("clock-back", "the context's clock is an hour behind, then as before", 20, |f| Box::pin(step(f, -HOUR_MICROS))),
    ]
}

async fn step(mut field: Field<'_>, micros: i64) -> anyhow::Result<Struck> {
    let faults = Faults::new(field.cluster.points_dir())?;
    let before = faults.fired(CLOCK)?;
    faults.set_clock(micros)?;
    let asked = {
        let _heal = Heal(|| drop(faults.clear(CLOCK)));
        field.hold(HELD).await
    };
    let struck = Struck::times((faults.fired(CLOCK)? - before) as u64);
    Ok(struck.asked(asked))
}
