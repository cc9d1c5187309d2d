//! Who is outside, and how their notices are known: the command line and the environment before the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use daybook_command_handlers::Webhook;
use shop_outside::{Address, Outside, PaymentProvider, TakenCurrencies, carrier_webhook, payment_webhook};

use crate::cli;
use crate::settings::{Counterpart, Settings, usage};

/// Somebody outside, of all settings, with the names that their options begin with.
struct Set {
    name: &'static str,
    of: Counterpart,
}

impl Set {
    /// The address, with our key.
    fn address(&self) -> anyhow::Result<Option<Address>> {
        let Some(url) = &self.of.url else { return Ok(None) };
        let key = match &self.of.key_file {
            Some(file) => Some(secrets(&format!("--{}-key-file", self.name), file)?.swap_remove(0)),
            None => None,
        };
        let refused = |e| usage(format!("--{}-url (or url in [{}] of the settings' file): {e}", self.name, self.name));
        Address::new(url, key).map(Some).map_err(refused)
    }

    /// The secrets that notices may be signed with; none: there is no webhook.
    fn webhook_secrets(&self) -> anyhow::Result<Option<Vec<String>>> {
        match (&self.of.webhook_secret_file, &self.of.webhook_secret) {
            (Some(file), _) => Ok(Some(secrets(&format!("--{}-webhook-secret-file", self.name), file)?)),
            (None, Some(secret)) if secret.trim().is_empty() => {
                Err(usage(format!("--{}-webhook-secret is empty: anybody could sign with it", self.name)))
            }
            (None, Some(secret)) => Ok(Some(vec![secret.trim().to_owned()])),
            (None, None) => Ok(None),
        }
    }
}

/// The lines of a file of secrets, at least one.
pub(crate) fn secrets(option: &str, file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file).map_err(|e| usage(format!("{option}: {} can't be read: {e}", file.display())))?;
    let lines: Vec<String> = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if lines.is_empty() { Err(usage(format!("{option}: {} is empty", file.display()))) } else { Ok(lines) }
}

/// A secret of the command line is not mixed with one of the file: who sets either replaces both.
fn set(
    name: &'static str,
    file: &Counterpart,
    url: &Option<String>,
    key: &Option<PathBuf>,
    secret: (&Option<PathBuf>, &Option<String>),
) -> Set {
    let (secret_file, secret) = match secret {
        (None, None) => (&file.webhook_secret_file, &file.webhook_secret),
        said => said,
    };
    let of = Counterpart {
        url: url.clone().or_else(|| file.url.clone()),
        key_file: key.clone().or_else(|| file.key_file.clone()),
        webhook_secret_file: secret_file.clone(),
        webhook_secret: secret.clone(),
    };
    Set { name, of }
}

fn all(settings: &Settings, args: &cli::Outside) -> (Set, Set) {
    let secret = (&args.payment_webhook_secret_file, &args.payment_webhook_secret);
    let payment = set("payment", &settings.payment, &args.payment.payment_url, &args.payment.payment_key_file, secret);
    let secret = (&args.carrier_webhook_secret_file, &args.carrier_webhook_secret);
    (payment, set("carrier", &settings.carrier, &args.carrier_url, &args.carrier_key_file, secret))
}

/// Where the payment provider is, for who only asks it.
///
/// # Errors
/// Wrong usage, also where none is set.
pub(crate) fn payment_provider(settings: &Settings, args: &cli::PaymentAddress) -> anyhow::Result<Arc<dyn PaymentProvider>> {
    let set = set("payment", &settings.payment, &args.payment_url, &args.payment_key_file, (&None, &None));
    let outside = Outside { payment: set.address()?, ..Outside::default() };
    outside.payment_provider().ok_or_else(|| usage("no payment provider: set --payment-url or DAYBOOK_PAYMENT_URL"))
}

/// The currencies that are taken, of `NAME=LEAST` each.
pub(crate) fn currencies(option: &str, given: &[String]) -> anyhow::Result<TakenCurrencies> {
    TakenCurrencies::only(pairs(option, given)?).map_err(|why| usage(format!("{option}: {why}")))
}

fn pairs<'g>(option: &str, given: &'g [String]) -> anyhow::Result<Vec<(&'g str, &'g str)>> {
    let pair = |one: &'g String| one.split_once('=').map(|(name, least)| (name.trim(), least.trim()));
    given
        .iter()
        .map(|one| {
            pair(one)
                .ok_or_else(|| usage(format!("{option}: {one:?} must be a currency and its least amount in minor units, such as EUR=50")))
        })
        .collect()
}

/// What the payment provider takes: of the command line or the environment, else of the file; where neither says it, all money.
fn taken(settings: &Settings, args: &cli::Outside) -> anyhow::Result<TakenCurrencies> {
    if let Some(given) = &args.payment_currencies {
        return currencies("--payment-currencies", given);
    }
    let Some(file) = &settings.currencies else { return Ok(TakenCurrencies::default()) };
    let all = file.iter().map(|(currency, least)| (currency.as_str(), least.as_str()));
    TakenCurrencies::only(all).map_err(|why| usage(format!("currencies in [payment] of the settings' file: {why}")))
}

/// Where the outside is. Who is not set is said once: nothing is begun of what is asked of them.
pub(crate) fn outside(settings: &Settings, args: &cli::Outside) -> anyhow::Result<Outside> {
    let (payment, carrier) = all(settings, args);
    let outside = Outside { payment: payment.address()?, carrier: carrier.address()?, taken: taken(settings, args)? };
    for (what, option, address) in [("payment provider", "--payment-url", &outside.payment), ("carrier", "--carrier-url", &outside.carrier)]
    {
        if address.is_none() {
            tracing::info!("no {what} is set: what is asked of it waits until {option} is");
        }
    }
    Ok(outside)
}

/// The webhooks whose secrets are set.
pub(crate) fn webhooks(settings: &Settings, args: &cli::Outside) -> anyhow::Result<Vec<Webhook>> {
    let (payment, carrier) = all(settings, args);
    let payment = payment.webhook_secrets()?.map(payment_webhook);
    let carrier = carrier.webhook_secrets()?.map(carrier_webhook);
    Ok(payment.into_iter().chain(carrier).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// Settings of a file, and options beside it.
    fn read(name: &str, file: &str, options: &[&str]) -> (Settings, cli::Outside) {
        let path = std::env::temp_dir().join(format!("daybook-outside-{}-{name}.toml", std::process::id()));
        std::fs::write(&path, file).expect("a file");
        let config = path.to_str().expect("text");
        let args = ["daybook", "--config", config, "command-handlers"].into_iter().chain(options.iter().copied());
        let cli = cli::Cli::try_parse_from(args).expect("a command line");
        let settings = Settings::read(&cli.global).expect("settings");
        std::fs::remove_file(path).expect("it was written");
        let cli::Command::CommandHandlers(handlers) = cli.command else { panic!("another command") };
        (settings, handlers.outside)
    }

    #[test]
    fn options_come_before_the_file_and_no_secret_is_no_webhook() {
        let names = |(settings, args): (Settings, cli::Outside)| -> Vec<&str> {
            webhooks(&settings, &args).expect("they can be").iter().map(|webhook| webhook.name).collect()
        };
        assert!(names(read("none", "", &[])).is_empty());
        let file = "[payment]\nurl = \"http://a\"\nwebhook_secret = \"s\"\n";
        assert_eq!(names(read("file", file, &[])), ["payment"]);
        assert_eq!(names(read("both", file, &["--carrier-webhook-secret", "t"])), ["payment", "carrier"]);
        let (settings, args) = read("url", file, &["--payment-url", "http://b", "--payment-webhook-secret", "t"]);
        let (payment, carrier) = all(&settings, &args);
        assert_eq!((payment.of.url.as_deref(), payment.of.webhook_secret.as_deref()), (Some("http://b"), Some("t")));
        assert!(carrier.address().expect("none").is_none());
    }

    #[test]
    fn what_is_taken_is_said_by_the_option_else_by_the_file_and_else_it_is_all_money() {
        let least = |(settings, args): (Settings, cli::Outside), currency: &str| {
            let limits = outside(&settings, &args).expect("they can be").taken.limits(currency);
            limits.taken.then_some((limits.minimum, limits.step))
        };
        assert_eq!(least(read("money", "", &[]), "USD"), Some((1, 1)));
        let file = "[payment.currencies]\nEUR = 50\nKWD = \"100/10\"\n";
        let of = |currency| least(read("currencies", file, &[]), currency);
        assert_eq!((of("EUR"), of("KWD"), of("USD")), (Some((50, 1)), Some((100, 10)), None));
        let given = |currency| least(read("given", file, &["--payment-currencies", "USD=60, GBP=30"]), currency);
        assert_eq!((given("EUR"), given("USD"), given("GBP")), (None, Some((60, 1)), Some((30, 1))));
        for (file, options, said) in [
            ("", &["--payment-currencies", "EUR"][..], "--payment-currencies: \"EUR\" must be"),
            ("", &["--payment-currencies", "EUR=0"], "--payment-currencies: EUR: \"0\" must be"),
            ("[payment.currencies]\neur = 5\n", &[], "currencies in [payment] of the settings' file: \"eur\" is no currency"),
        ] {
            let (settings, args) = read("no-currencies", file, options);
            let error = outside(&settings, &args).err().expect("no such currency").to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn what_can_t_be_one_is_wrong_usage_that_names_the_option() {
        let (settings, args) = read("bad-url", "", &["--payment-url", "ftp://a"]);
        let error = outside(&settings, &args).err().expect("no URL").to_string();
        assert!(error.starts_with("--payment-url"), "{error}");
        for (options, option) in [
            (["--carrier-webhook-secret-file", "/there/is/none"], "--carrier-webhook-secret-file"),
            (["--carrier-webhook-secret", " "], "--carrier-webhook-secret"),
        ] {
            let (settings, args) = read("bad-secret", "", &options);
            let error = webhooks(&settings, &args).expect_err("no secret").to_string();
            assert!(error.starts_with(option), "{error}");
        }
    }
}
