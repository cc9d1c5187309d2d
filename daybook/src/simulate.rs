//! `daybook simulate …`: the outside, in a process of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use shop_simulators::{Captures, Least, NoticesTo, Options, Terms, start_carrier, start_payment_provider};

use crate::cli::{self, Simulate, Simulator};
use crate::outside::{currencies, secrets};
use crate::roles::on_signal;
use crate::settings::usage;
use crate::{Verdict, out};

/// Serves until it is stopped.
pub(crate) async fn simulate(command: Simulate) -> anyhow::Result<Verdict> {
    let stop = on_signal()?;
    let (running, what) = match command {
        Simulate::PaymentProvider { listen, captures, currencies, simulator } => {
            let captures = match captures {
                cli::Captures::Once => Captures::Once,
                cli::Captures::Many => Captures::Many,
            };
            let terms = Terms { captures, currencies: currencies.map(|given| least(&given)).transpose()? };
            (start_payment_provider(options(listen, &simulator)?, terms, stop).await, "payment simulator")
        }
        Simulate::Carrier { listen, simulator } => (start_carrier(options(listen, &simulator)?, stop).await, "carrier simulator"),
    };
    let running =
        running.with_context(|| format!("the {what} can't start: is its address taken (--listen), or its file not ours (--state)?"))?;
    out::announce(format_args!("{what} on http://{}", running.address()));
    running.stopped().await;
    Ok(Verdict::Good)
}

/// The least amount of each currency. The option is read as the shop's is, whose words it has.
fn least(given: &[String]) -> anyhow::Result<BTreeMap<String, Least>> {
    let taken = currencies("--currencies", given)?;
    let code = |one: &String| one.split('=').next().unwrap_or_default().trim().to_owned();
    let of = |code: String| {
        let limits = taken.limits(&code);
        (code, Least { minimum: limits.minimum, step: limits.step })
    };
    Ok(given.iter().map(code).map(of).collect())
}

fn options(listen: SocketAddr, simulator: &Simulator) -> anyhow::Result<Options> {
    let secret = match &simulator.secret_file {
        Some(file) => Some(secrets("--secret-file", file)?.swap_remove(0)),
        None => simulator.secret.clone(),
    };
    let notices = match (&simulator.webhook_url, secret) {
        (None, _) => None,
        (Some(url), Some(secret)) => Some(NoticesTo { url: url.clone(), secret }),
        (Some(_), None) => return Err(usage("--webhook-url needs --secret-file: notices are signed")),
    };
    Ok(Options { listen, notices, answer: Duration::from_millis(simulator.answer_ms), state: simulator.state.clone() })
}
