//! A look over encoded bytes, for a field that a message does not have.

/// The fields of a message. Generated.
#[derive(Debug)]
pub struct Shape {
    /// The number of each, ascending, and the shape of the message that it holds, where it holds one. Of a message that
    /// holds itself the inner one is left empty: it covers nothing, and who asks looks more closely.
    pub fields: &'static [(u32, Option<&'static Shape>)],
}

impl Shape {
    /// Whether bytes that decode as this message hold its own fields and no other, however deep. Far cheaper than to encode the
    /// message again; what it can't be sure of it does not cover.
    pub fn covers(&self, mut bytes: &[u8]) -> bool {
        // Fields come in ascending order, where Daybook has written them.
        let mut at = 0;
        while !bytes.is_empty() {
            let Some(tag) = varint(&mut bytes) else { return false };
            let Some(found) = self.find(at, tag >> 3) else { return false };
            at = found;
            let is_known = match tag & 7 {
                0 => varint(&mut bytes).is_some(),
                1 => skip(&mut bytes, 8).is_some(),
                2 => {
                    let value = varint(&mut bytes).and_then(|length| skip(&mut bytes, length));
                    value.is_some_and(|value| self.fields[at].1.is_none_or(|inner| inner.covers(value)))
                }
                5 => skip(&mut bytes, 4).is_some(),
                _ => false,
            };
            if !is_known {
                return false;
            }
        }
        true
    }

    fn find(&self, from: usize, number: u64) -> Option<usize> {
        let is_it = |(known, _): &(u32, _)| u64::from(*known) == number;
        let (before, after) = self.fields.split_at(from);
        after.iter().position(is_it).map(|i| from + i).or_else(|| before.iter().position(is_it))
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn skip<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (value, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: Shape = Shape { fields: &[(1, None), (15, None)] };
    const OUTER: Shape = Shape { fields: &[(1, None), (2, Some(&INNER)), (300, None)] };

    #[test]
    fn what_has_only_known_fields_is_covered_in_any_order_and_in_every_wire_type() {
        for known in [
            &[][..],
            &[0x08, 0x96, 0x01],
            &[0x0a, 2, 0xff, 0xff, 0x12, 2, 0x78, 1, 0xe2, 0x12, 0],
            &[0xe0, 0x12, 7, 0x08, 1, 0x12, 0, 0x12, 2, 0x08, 1],
            &[0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x0d, 1, 2, 3, 4],
        ] {
            assert!(OUTER.covers(known), "{known:?}");
        }
    }

    #[test]
    fn an_unknown_field_however_deep_and_what_is_cut_off_are_not_covered() {
        for strange in [
            &[0x18, 1][..],
            &[0x08, 1, 0x18, 1],
            &[0x12, 2, 0x10, 1],
            &[0x12, 4, 0x08, 1, 0x10, 1],
            &[0x0b, 0x0c],
            &[0x08],
            &[0x12, 5, 0x08],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert!(!OUTER.covers(strange), "{strange:?}");
        }
    }
}
