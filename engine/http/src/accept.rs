//! `Accept`: which of the forms that there are a client likes best (RFC 9110, 12.5.1).
//!
//! A small one of our own: of the libraries, one splits quoted strings at commas, and one goes by order where the most
//! specific range decides. This one takes no memory, so pages from memory are negotiated by it too.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use crate::Problem;
use crate::field::{Elements, Media};

const VARY: HeaderValue = HeaderValue::from_static("Accept");

/// A form in which something can be had.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// `application/json`, without parameters.
    pub media_type: &'static str,
    /// Only for those who name it: `*/*` and `text/*` don't. An answer without end is nobody's default.
    pub by_name: bool,
}

impl Offer {
    /// A form for everybody.
    pub const fn new(media_type: &'static str) -> Self {
        Self { media_type, by_name: false }
    }

    /// A form for those who name it.
    pub const fn by_name(media_type: &'static str) -> Self {
        Self { media_type, by_name: true }
    }
}

/// The choice of `Accept` among some offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one, by its place among the offers.
    Offer(usize),
    /// None of them.
    None,
    /// No element of the field can be read.
    Unreadable,
}

impl Choice {
    /// The offer that a client likes best; of those that it likes as much, the first. Without `Accept`: the first. Elements
    /// that can't be read are passed over.
    pub fn of(headers: &HeaderMap, offers: &[Offer]) -> Self {
        let mut all = headers.get_all(header::ACCEPT).iter();
        // Nearly everybody's field: nothing needs to be taken apart.
        match (all.next().map(HeaderValue::as_bytes), all.next()) {
            (None, _) => return Self::Offer(0),
            (Some(b"*/*"), None) if !offers[0].by_name => return Self::Offer(0),
            (Some(one), None) => {
                if let Some(named) = offers.iter().position(|offer| offer.media_type.as_bytes() == one) {
                    return Self::Offer(named);
                }
            }
            _ => {}
        }
        let (mut elements, mut ranges) = (0_usize, 0_usize);
        // By offer: the specificity of the range that decides, and its quality.
        let mut weights = [(0, 0); 4];
        debug_assert!(offers.len() <= weights.len());
        for value in headers.get_all(header::ACCEPT) {
            let Ok(field) = value.to_str() else {
                elements += 1;
                continue;
            };
            for element in Elements::of(field) {
                elements += 1;
                let Some(range) = Range::read(element) else { continue };
                ranges += 1;
                for (offer, weight) in offers.iter().zip(&mut weights) {
                    if let Some(specific) = range.fits(offer) {
                        *weight = (*weight).max((specific, range.quality));
                    }
                }
            }
        }
        if elements == 0 {
            return Self::Offer(0);
        }
        if ranges == 0 {
            return Self::Unreadable;
        }
        let best = weights.iter().take(offers.len()).map(|(_, quality)| *quality).max().unwrap_or_default();
        match weights.iter().position(|(_, quality)| *quality == best) {
            Some(offer) if best > 0 => Self::Offer(offer),
            _ => Self::None,
        }
    }

    /// The offer.
    ///
    /// # Errors
    /// 406 that names the offers, or 400.
    pub fn offer(self, offers: &[Offer]) -> Result<usize, Problem> {
        let problem = match self {
            Self::Offer(offer) => return Ok(offer),
            Self::None => {
                let all: Vec<&str> = offers.iter().map(|offer| offer.media_type).collect();
                Problem::new(StatusCode::NOT_ACCEPTABLE, format!("there is {} here: Accept takes none of it", all.join(", ")))
                    .with("available", json!(all))
            }
            Self::Unreadable => {
                Problem::invalid("Accept", "must be media types or ranges such as application/json or */*, with q from 0 to 1")
            }
        };
        Err(problem.header(header::VARY, VARY))
    }
}

/// A media range of the field.
struct Range<'a> {
    media: Media<'a>,
    /// In thousandths.
    quality: u16,
    /// Its parameters beyond type and subtype.
    parameters: Parameters,
}

#[derive(PartialEq, Eq)]
enum Parameters {
    None,
    /// `charset=utf-8`, which all our texts are.
    Utf8,
    /// None of our forms has any.
    Others,
}

impl<'a> Range<'a> {
    fn read(element: &'a str) -> Option<Self> {
        let media = Media::read(element)?;
        if media.top == "*" && media.sub != "*" {
            return None;
        }
        let mut range = Self { media, quality: 1_000, parameters: Parameters::None };
        for parameter in media.parameters() {
            let (name, value) = parameter.ok()?;
            if name.eq_ignore_ascii_case("q") {
                // Parameters behind the weight say nothing any more.
                range.quality = thousandths(value.token()?)?;
                break;
            }
            let utf8 = name.eq_ignore_ascii_case("charset") && value.is("utf-8") && range.parameters != Parameters::Others;
            range.parameters = if utf8 { Parameters::Utf8 } else { Parameters::Others };
        }
        Some(range)
    }

    /// Its specificity, where it fits an offer.
    fn fits(&self, offer: &Offer) -> Option<u8> {
        let (top, sub) = offer.media_type.split_once('/')?;
        let specific = match (self.media.top, self.media.sub) {
            _ if self.parameters == Parameters::Others => return None,
            ("*", _) => 0,
            (range, "*") if range.eq_ignore_ascii_case(top) => 1,
            _ if self.media.is(top, sub) => 2 + u8::from(self.parameters == Parameters::Utf8),
            _ => return None,
        };
        (specific > 1 || !offer.by_name).then_some(specific)
    }
}

/// `0.5` as 500; none when it is no weight.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
    let fraction = digits.fold(0, |all, digit| all * 10 + u16::from(digit - b'0'));
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [Offer; 3] = [Offer::new("application/json"), Offer::new("application/x-protobuf"), Offer::by_name("text/event-stream")];
    const JSON: Choice = Choice::Offer(0);
    const PROTOBUF: Choice = Choice::Offer(1);
    const EVENTS: Choice = Choice::Offer(2);

    fn choice(values: &[&str]) -> Choice {
        let values = values.iter().map(|value| (header::ACCEPT, HeaderValue::from_bytes(value.as_bytes()).expect("a header")));
        Choice::of(&values.collect(), &OFFERS)
    }

    #[test]
    fn the_form_is_the_one_that_accept_likes_best() {
        for (accept, expected) in [
            ("", JSON),
            (" , ,", JSON),
            ("*/*", JSON),
            ("application/*", JSON),
            ("application/json", JSON),
            ("APPLICATION/JSON", JSON),
            ("application/x-protobuf", PROTOBUF),
            ("Application/X-Protobuf; q=0.5", PROTOBUF),
            ("application/json;q=0.4, application/x-protobuf;q=0.5", PROTOBUF),
            ("application/x-protobuf, */*;q=0.1", PROTOBUF),
            ("application/x-protobuf, */*", JSON),
            ("application/json;q=0, */*", PROTOBUF),
            ("*/*;q=0.2, application/json;q=0.1", PROTOBUF),
            ("application/*;q=0.9, application/json;q=0.1, */*;q=0.5", PROTOBUF),
            ("text/html, application/xhtml+xml, */*;q=0.8", JSON),
            ("text/html", Choice::None),
            ("*/*;q=0", Choice::None),
            ("*/*;q=0, application/json;q=0.001", JSON),
            ("application/json;q=0, application/x-protobuf;q=0.000", Choice::None),
            // An answer without end is for those who name it, and like it best.
            ("text/event-stream", EVENTS),
            ("text/*", Choice::None),
            ("text/event-stream;q=0.2, application/json", JSON),
            ("text/event-stream;q=0, */*", JSON),
            ("text/event-stream;q=0", Choice::None),
            ("text/event-stream, application/json", JSON),
            ("text/event-stream, application/json;q=0.9", EVENTS),
            ("text/html;x=\"text/event-stream\", */*;q=0.1", JSON),
            ("text/html;x=\"a, text/event-stream, b\"", Choice::None),
            ("text/html;x=\"\\\", application/json\", application/x-protobuf;q=0.1", PROTOBUF),
            // A parameter asks for texts that have it. Our texts are UTF-8.
            ("application/json; charset=utf-8; q=1.000", JSON),
            ("application/json;charset=\"UTF-8\"", JSON),
            ("application/json;charset=utf-16", Choice::None),
            ("application/json;version=2;q=0, application/json;q=0.5", JSON),
            ("application/json;version=2, application/x-protobuf;q=0.1", PROTOBUF),
            ("application/json;q=0.5;version=2", JSON),
            // Elements that can't be read are passed over.
            ("application/json;q=7", Choice::Unreadable),
            ("application/json;q=0.1234", Choice::Unreadable),
            ("application/json;q=\"1\"", Choice::Unreadable),
            ("application/json;q=-1, application/x-protobuf;q=0.1", PROTOBUF),
            ("json, application/x-protobuf", PROTOBUF),
            ("*/json", Choice::Unreadable),
            ("application/json;q", Choice::Unreadable),
            ("\"", Choice::Unreadable),
            ("é", Choice::Unreadable),
        ] {
            assert_eq!(choice(&[accept]), expected, "{accept:?}");
        }
        assert_eq!(choice(&[]), JSON);
        assert_eq!(choice(&["text/html", "application/x-protobuf"]), PROTOBUF);
        assert_eq!(choice(&["*/*;q=0.1", "application/x-protobuf;q=0.2"]), PROTOBUF);
    }

    #[test]
    fn who_likes_nothing_of_it_is_told_what_there_is() {
        assert_eq!(JSON.offer(&OFFERS).ok(), Some(0));
        assert_eq!(Choice::None.offer(&OFFERS).map_err(|p| p.status()), Err(StatusCode::NOT_ACCEPTABLE));
        assert_eq!(Choice::Unreadable.offer(&OFFERS).map_err(|p| p.status()), Err(StatusCode::BAD_REQUEST));
    }
}
