//! TLS to a database, by the `sslmode` of its URL.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::DatabaseError;
use crate::url::{cut, refused};

/// A connection's demands on TLS, as libpq's `sslmode` has them. Its `allow` is missing: it is `prefer` with the weaker way first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS.
    Disable,
    /// TLS where the server has it; nothing is verified. The default, as libpq's.
    Prefer,
    /// TLS, or no connection; nothing is verified: it keeps listeners out, and nobody who answers in the server's place.
    Require,
    /// TLS, and a certificate of the authority that `sslrootcert` names.
    VerifyCa,
    /// … for the host that the URL names.
    VerifyFull,
}

impl TlsMode {
    const ALL: [(&str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    pub(crate) fn driver(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// A URL's settings of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    /// The file of the authority's certificates.
    root: Option<String>,
}

/// Takes `sslmode` and `sslrootcert` out of a URL, for the driver knows only some of their values.
pub(crate) fn split(url: &str) -> Result<(String, Tls), DatabaseError> {
    let mut tls = Tls { mode: TlsMode::Prefer, root: None };
    let (base, Some(query)) = cut(url) else { return Ok((url.to_owned(), tls)) };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Ok(value) = percent_encoding::percent_decode_str(value).decode_utf8() else {
            return refused(format!("the database URL's parameter {name} is not UTF-8 once its %XX are read"));
        };
        match name {
            "sslmode" => match TlsMode::ALL.iter().find(|(known, _)| *known == value) {
                Some((_, mode)) => tls.mode = *mode,
                None if value == "allow" => {
                    return refused(
                        "the database URL: sslmode=allow is not taken, for it would go without TLS wherever the server lets it; use prefer, \
                         which goes with TLS wherever the server has it, or disable, require, verify-ca or verify-full",
                    );
                }
                None => {
                    return refused(format!(
                        "the database URL: sslmode must be disable, prefer, require, verify-ca or verify-full, not {value:?}"
                    ));
                }
            },
            "sslrootcert" => tls.root = Some(value.into_owned()),
            _ => rest.push(pair),
        }
    }
    if matches!(tls.mode, TlsMode::VerifyCa | TlsMode::VerifyFull) && tls.root.is_none() {
        return refused(
            "the database URL: sslmode=verify-ca and verify-full need sslrootcert=FILE, the certificates of the authority (PEM)",
        );
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((url, tls))
}

impl Tls {
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, DatabaseError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| DatabaseError::Configuration(format!("TLS: {e}")))?;
        let config = match (self.mode, &self.root) {
            (TlsMode::VerifyFull, Some(file)) => builder.with_root_certificates(roots(file)?),
            (mode, file) => {
                let authority = match file.as_ref().filter(|_| mode == TlsMode::VerifyCa) {
                    Some(file) => Some(authority(file, &provider)?),
                    None => None,
                };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyHost { authority, provider }))
            }
        };
        Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
    }
}

fn authority(file: &str, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, DatabaseError> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(file)?), provider.clone()).build();
    verifier.map_err(|e| DatabaseError::Configuration(format!("sslrootcert {file}: {e}")))
}

fn roots(file: &str) -> Result<RootCertStore, DatabaseError> {
    let bad = |why: String| DatabaseError::Configuration(format!("sslrootcert {file}: {why}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| bad(e.to_string()))? {
        roots.add(certificate.map_err(|e| bad(e.to_string()))?).map_err(|e| bad(e.to_string()))?;
    }
    if roots.is_empty() { Err(bad("it holds no certificate (PEM)".to_owned())) } else { Ok(roots) }
}

/// Verifies less than a whole certificate: never the host, and the authority where there is one. That the server has the
/// certificate's key is verified in any case.
#[derive(Debug)]
struct AnyHost {
    authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authority) = &self.authority else { return Ok(ServerCertVerified::assertion()) };
        match authority.verify_server_cert(certificate, intermediates, host, ocsp, now) {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        by: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, by, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        by: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, by, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(url: &str) -> String {
        split(url).and_then(|(_, tls)| tls.connector()).err().expect("it is refused").to_string()
    }

    #[test]
    fn what_a_url_says_of_tls_is_taken_out_and_the_rest_stays() {
        let (url, tls) = split("postgres://u:p%3F@h/d?sslmode=verify-full&options=-c%20a%3Db&sslrootcert=%2Fa%20b.pem").expect("valid");
        assert_eq!(url, "postgres://u:p%3F@h/d?options=-c%20a%3Db");
        assert_eq!(tls, Tls { mode: TlsMode::VerifyFull, root: Some("/a b.pem".to_owned()) });
        let (url, tls) = split("postgres://u@h/d?sslmode=disable").expect("valid");
        assert_eq!((url.as_str(), tls.mode), ("postgres://u@h/d", TlsMode::Disable));
        assert_eq!(split("postgres://u@h/d").expect("valid").1.mode, TlsMode::Prefer, "as libpq has it");
        let (url, tls) = split("postgres://u:p?sslmode=x@h/d?&sslmode=require&").expect("valid");
        assert_eq!((url.as_str(), tls.mode), ("postgres://u:p?sslmode=x@h/d", TlsMode::Require), "a password may have a ?");
    }

    #[test]
    fn what_is_not_valid_is_refused_and_named() {
        assert!(why("postgres://h/d?sslmode=always").contains("sslmode must be disable, prefer"));
        assert!(why("postgres://h/d?sslmode=allow").contains("sslmode=allow is not taken"));
        assert!(why("postgres://h/d?sslmode=verify-full").contains("need sslrootcert=FILE"));
        assert!(why("postgres://h/d?sslmode=verify-ca&sslrootcert=/no/such/file").contains("sslrootcert /no/such/file"));
        assert!(why("postgres://h/d?sslmode=verify-ca&sslrootcert=/dev/null").contains("no certificate"));
    }
}
