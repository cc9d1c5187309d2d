//! The body as a request's headers tell it: the media type, and the coding (RFC 9110, 8.3 and 8.4).

use std::io::{ErrorKind, Read};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::Problem;
use crate::field::{Elements, Media};

/// The largest window of zstd that is kept: 8 MiB, as RFC 9659 asks of everybody.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Content codings that are taken.
const TAKEN: &str = "gzip, deflate, zstd";

/// The place of the body's media type among those that are taken.
///
/// # Errors
/// 415 that names them, also where the text is not UTF-8; 400 when the header stands twice.
pub fn content_type(headers: &HeaderMap, taken: &[&'static str]) -> Result<usize, Problem> {
    let refused = |title: String| {
        let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, title);
        // In an answer it names the codings that requests may have (RFC 9110, 12.5.1).
        Err(match HeaderValue::from_str(&taken.join(", ")) {
            Ok(all) => problem.header(header::ACCEPT, all),
            Err(_) => problem,
        })
    };
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return match headers.contains_key(header::CONTENT_TYPE) {
            true => Err(Problem::invalid("Content-Type", "must be sent once")),
            false => refused(format!("Content-Type must be {}", taken.join(" or "))),
        };
    };
    let media = value.to_str().ok().and_then(|text| Media::read(text.trim()));
    let place = media.and_then(|media| taken.iter().position(|t| t.split_once('/').is_some_and(|(top, sub)| media.is(top, sub))));
    let (Some(media), Some(place)) = (media, place) else { return refused(format!("Content-Type must be {}", taken.join(" or "))) };
    for parameter in media.parameters() {
        match parameter {
            Ok((name, value)) if name.eq_ignore_ascii_case("charset") && !(value.is("utf-8") || value.is("us-ascii")) => {
                return refused("Content-Type: the charset must be utf-8".to_owned());
            }
            Ok(_) => {}
            Err(_) => return refused("Content-Type: a parameter can't be read".to_owned()),
        }
    }
    Ok(place)
}

/// A coding in which a body comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952; several members are one body.
    Gzip,
    /// RFC 1950: zlib's format around deflate.
    Deflate,
    /// RFC 8878, with windows up to 8 MiB; several frames are one body.
    Zstd,
}

/// Why a body can't be unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packed {
    /// It would be larger than it may be.
    TooLarge,
    /// It is not in its coding, or does not end where it says: the fault, as a predicate.
    Damaged(&'static str),
}

impl Coding {
    /// The coding that `Content-Encoding` names; none: the body comes as it is.
    ///
    /// # Errors
    /// 415 with `Accept-Encoding`, for others and for more than one.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let refused = |title: String| {
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, title);
            problem.header(header::ACCEPT_ENCODING, HeaderValue::from_static(TAKEN))
        };
        let mut coding = None;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let text = value.to_str().map_err(|_| refused(format!("Content-Encoding can't be read: {TAKEN} are taken")))?;
            for name in Elements::of(text) {
                let named = match name.to_ascii_lowercase().as_str() {
                    "identity" => continue,
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    "zstd" => Self::Zstd,
                    other => {
                        let other: String = other.chars().take(40).collect();
                        return Err(refused(format!("Content-Encoding {other:?} is not taken: {TAKEN} are, or none")));
                    }
                };
                if coding.replace(named).is_some() {
                    return Err(refused(format!("Content-Encoding must name one coding: {TAKEN} are taken, one at a time")));
                }
            }
        }
        Ok(coding)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }

    /// The unpacked bytes, at most so many of them: no more memory than that and a window is taken, whatever comes.
    ///
    /// # Errors
    /// When it is larger, damaged, cut off, or has more behind its end.
    pub fn unpack(self, packed: &[u8], most: usize) -> Result<Vec<u8>, Packed> {
        if packed.is_empty() {
            return Err(Packed::Damaged("is empty"));
        }
        if !self.begins(packed) {
            return Err(Packed::Damaged(self.no_beginning()));
        }
        if packed.len() < self.head() {
            return Err(Packed::Damaged(self.too_short()));
        }
        match self {
            Self::Gzip => self.bounded(flate2::bufread::MultiGzDecoder::new(packed), most),
            Self::Deflate => {
                let mut decoder = flate2::bufread::ZlibDecoder::new(packed);
                let body = self.bounded(&mut decoder, most)?;
                match decoder.into_inner().is_empty() {
                    true => Ok(body),
                    false => Err(Packed::Damaged(MORE)),
                }
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(|e| self.damaged(&e))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(|e| self.damaged(&e))?;
                self.bounded(decoder, most)
            }
        }
    }

    /// Whether bytes begin as the coding's do.
    fn begins(self, packed: &[u8]) -> bool {
        match self {
            // … then the method, which is deflate, and flags, of which three are none.
            Self::Gzip => {
                let first = &packed[..packed.len().min(3)];
                [0x1f, 0x8b, 8].starts_with(first) && packed.get(3).is_none_or(|flags| flags & 0xe0 == 0)
            }
            // The method is deflate, and the two bytes together a multiple of 31.
            Self::Deflate => match *packed {
                [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31),
                _ => packed[0] & 0x0f == 8,
            },
            // A frame, or one that is to be skipped.
            Self::Zstd => {
                let [frame, skipped] = [[0x28, 0xb5, 0x2f, 0xfd], [0x50, 0x2a, 0x4d, 0x18]];
                let first = &packed[..packed.len().min(4)];
                frame.starts_with(first) || (first[0] & 0xf0 == skipped[0] && skipped[1..].starts_with(&first[1..]))
            }
        }
    }

    fn bounded(self, packed: impl Read, most: usize) -> Result<Vec<u8>, Packed> {
        let mut body = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        packed.take(limit).read_to_end(&mut body).map_err(|error| self.damaged(&error))?;
        if body.len() > most { Err(Packed::TooLarge) } else { Ok(body) }
    }

    /// The fault behind a library's error: the error's own words are for programmers.
    fn damaged(self, error: &std::io::Error) -> Packed {
        Packed::Damaged(match self {
            // A frame of zstd may follow another, so bytes behind the last one are read as the beginning of a further one.
            Self::Zstd if error.kind() == ErrorKind::UnexpectedEof => "ends too early: it was cut off, or has more behind its end",
            _ if error.kind() == ErrorKind::UnexpectedEof => "ends too early: it was cut off",
            Self::Gzip => "is damaged: its packed bytes or their checksum are wrong, or there is more behind its end",
            Self::Deflate => "is damaged: its packed bytes or their checksum are wrong",
            Self::Zstd => {
                "is damaged: its packed bytes or their checksum are wrong, there is more behind its end, or its window is larger than 8 MiB"
            }
        })
    }

    /// Packed bytes before any of the content.
    fn head(self) -> usize {
        match self {
            Self::Gzip => 10,
            Self::Deflate => 2,
            Self::Zstd => 5,
        }
    }

    /// So few bytes may begin as the coding's do by chance.
    fn too_short(self) -> &'static str {
        match self {
            Self::Gzip => "is too short for gzip (RFC 1952): it was cut off, or never packed",
            Self::Deflate => "is too short for deflate, which is zlib's format (RFC 1950): it was cut off, or never packed",
            Self::Zstd => "is too short for zstd (RFC 8878): it was cut off, or never packed",
        }
    }

    fn no_beginning(self) -> &'static str {
        match self {
            Self::Gzip => "does not begin as gzip does (RFC 1952): send it packed, or leave the header out",
            Self::Deflate => {
                "does not begin as deflate does in HTTP, which is zlib's format (RFC 1950): send it packed so, or leave the header out"
            }
            Self::Zstd => "does not begin as zstd does (RFC 8878): send it packed, or leave the header out",
        }
    }
}

/// There is something behind the end of the packed bytes.
const MORE: &str = "has more behind its end";

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const MOST: usize = 10_000;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).expect("a header"))).collect()
    }

    fn packed(coding: Coding, body: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).expect("into memory");
                encoder.finish().expect("into memory")
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(body).expect("into memory");
                encoder.finish().expect("into memory")
            }
            Coding::Zstd => zstd::stream::encode_all(body, 3).expect("into memory"),
        }
    }

    const ALL: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];

    #[test]
    fn a_body_is_unpacked_as_it_was_packed_and_not_beyond_its_bound() {
        for coding in ALL {
            let body: Vec<u8> = (0..MOST).map(|n| (n * n % 251) as u8).collect();
            assert_eq!(coding.unpack(&packed(coding, &body), MOST).expect("as large as it may be"), body);
            assert_eq!(coding.unpack(&packed(coding, &body), MOST - 1), Err(Packed::TooLarge));
            // A hundred megabytes of nothing.
            assert_eq!(coding.unpack(&packed(coding, &vec![0; 100 << 20]), MOST), Err(Packed::TooLarge));
            assert_eq!(coding.unpack(&packed(coding, b""), MOST).expect("nothing"), b"");
        }
    }

    #[test]
    fn members_and_frames_one_behind_the_other_are_one_body() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let both = [packed(coding, b"{\"a\":"), packed(coding, b"1}")].concat();
            assert_eq!(coding.unpack(&both, MOST).expect("two"), b"{\"a\":1}");
        }
    }

    #[test]
    fn what_is_damaged_cut_off_or_in_another_coding_is_seen() {
        let body = b"{\"sku\":\"A-1\",\"title\":\"A lamp, and what belongs to it\"}".repeat(9);
        for coding in ALL {
            let good = packed(coding, &body);
            let damaged = |bytes: &[u8]| matches!(coding.unpack(bytes, MOST), Err(Packed::Damaged(_)));
            for end in 1..good.len() {
                let Err(Packed::Damaged(why)) = coding.unpack(&good[..end], MOST) else { panic!("{coding:?} ends at {end}") };
                let said = if end < coding.head() { "is too short for" } else { "ends too early: it was cut off" };
                assert!(why.starts_with(said) && why.contains("cut off"), "{coding:?} ends at {end}: {why}");
            }
            assert_eq!(coding.unpack(b"", MOST), Err(Packed::Damaged("is empty")));
            // Rubbish, also such that begins as something packed does.
            for rubbish in [&b"x"[..], b"P", b"(", b"hi", b"\x1f\x8bhello, I am no gzip", b"\x1f\x8b\x08\xffhello, I am none either"] {
                let Err(Packed::Damaged(why)) = coding.unpack(rubbish, MOST) else { panic!("{coding:?}: {rubbish:?}") };
                assert!(why.contains("never packed") || why.starts_with("does not begin as"), "{coding:?} {rubbish:?}: {why}");
            }
            for (bytes, part) in [
                (&body[..], "does not begin as"),
                (&[&good[..], b"garbage, more of it than a heading has"].concat(), "more behind its end"),
            ] {
                let Err(Packed::Damaged(why)) = coding.unpack(bytes, MOST) else { panic!("{coding:?}: {part}") };
                assert!(why.contains(part), "{coding:?}: {why}");
            }
            assert!(damaged(&[&good[..], b"garbage"].concat()), "{coding:?}");
            assert!(damaged(&body), "{coding:?}: it was never packed");
            let mut changed = good.clone();
            let last = changed.len() - 3;
            changed[last] ^= 1;
            assert!(coding == Coding::Zstd || damaged(&changed), "{coding:?}: its checksum");
            for other in ALL.into_iter().filter(|other| *other != coding) {
                assert!(damaged(&packed(other, &body)), "{other:?} is not {coding:?}");
            }
        }
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
        raw.write_all(&body).expect("into memory");
        let raw = raw.finish().expect("into memory");
        assert!(matches!(Coding::Deflate.unpack(&raw, MOST), Err(Packed::Damaged(_))), "deflate is zlib's format");
    }

    #[test]
    fn one_coding_is_taken_and_others_are_415_that_says_which_are() {
        let of = |values: &[&str]| Coding::of(&headers(header::CONTENT_ENCODING, values));
        for (values, expected) in [
            (&[][..], None),
            (&["identity"], None),
            (&["gzip"], Some(Coding::Gzip)),
            (&["X-GZIP"], Some(Coding::Gzip)),
            (&["deflate"], Some(Coding::Deflate)),
            (&[" zstd , identity"], Some(Coding::Zstd)),
        ] {
            assert_eq!(of(values).expect("it is taken"), expected, "{values:?}");
        }
        for bad in [&["br"][..], &["gzip, gzip"], &["gzip", "zstd"], &["compress"], &["gzip;q=1"], &["é"], &["aws-chunked"]] {
            let problem = of(bad).expect_err("it is not taken");
            assert_eq!(problem.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{bad:?}");
        }
    }

    #[test]
    fn a_media_type_is_taken_whatever_its_case_and_its_text_must_be_utf_8() {
        const TAKEN: [&str; 2] = ["application/json", "application/x-protobuf"];
        let of = |values: &[&str]| content_type(&headers(header::CONTENT_TYPE, values), &TAKEN);
        for good in
            ["application/json", "Application/JSON ; Charset=\"UTF-8\"", "application/json;charset=utf-8", "application/json; x=\"a;b\""]
        {
            assert_eq!(of(&[good]).expect("it is taken"), 0, "{good}");
        }
        assert_eq!(of(&["application/x-protobuf"]).expect("it is taken"), 1);
        for bad in
            ["", "text/plain", "application/json, application/json", "application/json;charset=latin1", "application/json; charset", "json"]
        {
            assert_eq!(of(&[bad]).map_err(|p| p.status()), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE), "{bad:?}");
        }
        assert_eq!(of(&[]).map_err(|p| p.status()), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(of(&["application/json", "application/json"]).map_err(|p| p.status()), Err(StatusCode::BAD_REQUEST));
    }
}
