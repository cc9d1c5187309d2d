//! Asking over HTTP, as the large providers do it: 200 with the object; 402 with `error.code`, a no for good, and what stands (`object`);
//! 400, 404, 410, 422 where a request is wrong. All else says nothing of what was done.

use std::time::Duration;

use daybook_kernel::Unknown;
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::said::Said;

/// Shorter than an effect's time limit, so that what was wrong is told.
const ANSWERED_WITHIN: Duration = Duration::from_secs(9);
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
/// Our key stands for another request: a bug of ours, or a rule that was changed. It proves nothing of what was done.
const KEY_REUSED: &str = "key-reused";
/// The largest answer that is read.
const LARGEST: usize = 1 << 20;

/// Where somebody outside is asked, with our key. Cheap to clone.
#[derive(Clone)]
pub struct Address {
    url: Url,
    key: Option<String>,
    client: Client,
}

/// An address that can't be one.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// It is no URL that can be asked.
    #[error("{0:?} must be a URL such as http://127.0.0.1:8090")]
    Url(String),
    /// There is no client.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

impl Address {
    /// An API's root, and the key that is sent with each request (`Authorization: Bearer`).
    ///
    /// # Errors
    /// When it is no URL of HTTP.
    pub fn new(url: &str, key: Option<String>) -> Result<Self, AddressError> {
        let bad = || AddressError::Url(url.to_owned());
        let url = Url::parse(&format!("{}/", url.trim_end_matches('/'))).map_err(|_| bad())?;
        if url.scheme() != "http" || url.host_str().is_none() || url.query().is_some() {
            return Err(bad());
        }
        // What redirects us elsewhere must not get the key, and may do a thing twice.
        let client = Client::builder()
            .timeout(ANSWERED_WITHIN)
            .connect_timeout(CONNECTED_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { url, key, client })
    }

    /// Has a thing done, once a key.
    pub(crate) async fn ask(&self, path: &[&str], key: Uuid, body: &Value) -> Result<Said<Value>, Unknown> {
        let request = self.request(Method::POST, path)?.header("Idempotency-Key", key.to_string());
        let request = if body.is_null() { request } else { request.json(body) };
        let (status, body) = answer(request).await?;
        said(status, body)
    }

    /// Looks at a thing, or at a list of them.
    pub(crate) async fn look(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Said<Value>, Unknown> {
        let (status, body) = answer(self.request_of(Method::GET, path, query)?).await?;
        said(status, body)
    }

    /// What came of a key; none: they have never heard of it.
    pub(crate) async fn outcome(&self, key: Uuid) -> Result<Option<Said<Value>>, Unknown> {
        #[derive(Deserialize)]
        struct Kept {
            status: u16,
            body: Value,
        }
        let (status, body) = answer(self.request(Method::GET, &["v1", "operations", &key.to_string()])?).await?;
        match status {
            StatusCode::OK => {
                let kept: Kept =
                    serde_json::from_value(body).map_err(|e| Unknown::Unusable(format!("an outcome that can't be read: {e}")))?;
                said(StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), kept.body).map(Some)
            }
            // Theirs, and not that of something between us that knows no such path.
            StatusCode::NOT_FOUND if code(&body).is_some() => Ok(None),
            _ => Err(unknown(status, &body)),
        }
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<reqwest::RequestBuilder, Unknown> {
        self.request_of(method, path, &[])
    }

    fn request_of(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Result<reqwest::RequestBuilder, Unknown> {
        let mut url = self.url.clone();
        // Each segment is escaped: an id is never a path.
        url.path_segments_mut().map_err(|()| Unknown::unanswered("an address without a path"))?.pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        Ok(match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<(StatusCode, Value), Unknown> {
    let response = request.send().await.map_err(|e| Unknown::Unanswered(told(&e)))?;
    let status = response.status();
    let bytes = whole(response).await?;
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}

async fn whole(mut response: Response) -> Result<Vec<u8>, Unknown> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Unknown::Unanswered(told(&e)))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST {
            return Err(Unknown::Unusable(format!("an answer of more than {LARGEST} bytes")));
        }
    }
    Ok(bytes)
}

/// An error with its causes: the first line of a client's error says hardly anything.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(because) = cause {
        text += &format!(": {because}");
        cause = because.source();
    }
    text
}

fn said(status: StatusCode, body: Value) -> Result<Said<Value>, Unknown> {
    match status {
        StatusCode::OK | StatusCode::CREATED if body.is_object() => Ok(Said::Done(body)),
        StatusCode::OK | StatusCode::CREATED => Err(Unknown::Unusable(format!("{status} without an object"))),
        StatusCode::PAYMENT_REQUIRED
        | StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::GONE
        | StatusCode::UNPROCESSABLE_ENTITY => match code(&body) {
            Some(KEY_REUSED) => Err(Unknown::Unusable(format!(
                "{status}: {KEY_REUSED}: our key stands there for another request; what was asked is not known to be done, nor not"
            ))),
            Some(code) => {
                if status != StatusCode::PAYMENT_REQUIRED {
                    tracing::error!(%status, code, "a request was wrong: it is taken for a no");
                }
                Ok(Said::Refused { code: code.to_owned(), object: body.get("object").filter(|object| object.is_object()).cloned() })
            }
            None => Err(unknown(status, &body)),
        },
        _ => Err(unknown(status, &body)),
    }
}

/// The code of an error of theirs.
fn code(body: &Value) -> Option<&str> {
    body.pointer("/error/code").and_then(Value::as_str).filter(|code| !code.is_empty())
}

fn unknown(status: StatusCode, body: &Value) -> Unknown {
    Unknown::Unanswered(match code(body) {
        Some(code) => format!("{status}: {code}"),
        None => status.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_no_of_theirs_is_a_no() {
        let no = || json!({ "error": { "code": "card-declined" }, "object": { "id": "p" } });
        let refused = Said::Refused { code: "card-declined".to_owned(), object: Some(json!({ "id": "p" })) };
        for status in [400, 402, 404, 410, 422] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(said(status, no()), Ok(refused.clone()), "{status}");
            assert!(said(status, Value::Null).is_err(), "{status} of something between us");
        }
        for status in [202, 301, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504] {
            assert!(said(StatusCode::from_u16(status).expect("a status"), no()).is_err(), "{status}");
        }
        assert_eq!(said(StatusCode::OK, json!({ "id": "p" })), Ok(Said::Done(json!({ "id": "p" }))));
    }

    #[test]
    fn what_can_t_be_an_answer_is_told_apart_from_none() {
        let unusable = |said: Result<Said<Value>, Unknown>| matches!(said, Err(Unknown::Unusable(_)));
        for body in [Value::Null, json!("done"), json!([1])] {
            assert!(unusable(said(StatusCode::OK, body.clone())), "{body}");
        }
        assert!(!unusable(said(StatusCode::BAD_GATEWAY, Value::Null)));
    }

    /// Whoever took it for a no would pay twice, or not at all.
    #[test]
    fn a_key_that_stands_for_another_request_is_never_a_no() {
        for status in [400, 402, 422] {
            let status = StatusCode::from_u16(status).expect("a status");
            let said = said(status, json!({ "error": { "code": "key-reused" } }));
            assert!(matches!(&said, Err(Unknown::Unusable(why)) if why.contains("key-reused")), "{said:?}");
        }
    }

    #[test]
    fn an_id_is_never_a_path_and_an_address_is_a_url() {
        let address = Address::new("http://h:1/api/", Some("k".to_owned())).expect("a URL");
        let request = address.request(Method::GET, &["v1", "payments", "../../x?y"]).expect("a request").build().expect("a request");
        assert_eq!(request.url().as_str(), "http://h:1/api/v1/payments/..%2F..%2Fx%3Fy");
        assert_eq!(request.headers()["authorization"], "Bearer k");
        for bad in ["", "h:1", "ftp://h", "http://", "http://h/?q", "/x"] {
            assert!(Address::new(bad, None).is_err(), "{bad:?}");
        }
    }
}
