//! The world outside as a run has it: who stands there, how a process is told of them, and the times that processes wait in a run.

/// Somebody outside, whom `daybook simulate` plays.
pub(crate) struct Outsider {
    /// The simulator's name.
    pub(crate) name: &'static str,
    /// The option that tells Daybook where it is.
    pub(crate) url: &'static str,
    /// The option that tells Daybook under which secret its notices are signed: a file.
    pub(crate) secret_file: &'static str,
    /// Where its notices go, at a command endpoint.
    pub(crate) notices: &'static str,
}

/// Everybody outside.
pub(crate) const OUTSIDE: [Outsider; 2] = [
    Outsider {
        name: super::names::PROVIDER,
        url: "--payment-url",
        secret_file: "--payment-webhook-secret-file",
        notices: "/v1/webhooks/payment",
    },
    Outsider {
        name: super::names::CARRIER,
        url: "--carrier-url",
        secret_file: "--carrier-webhook-secret-file",
        notices: "/v1/webhooks/carrier",
    },
];

/// The option that sets the times which processes wait, and these as a run has them: seconds for minutes.
pub(crate) const WAITS: (&str, [&str; 6]) =
    ("--wait", ["place=20s", "allocation=20s", "payment=12s", "hold-after-payment=20s", "confirmation=20s", "cancel-refused=10s"]);
