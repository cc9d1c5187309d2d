//! Idempotency keys of what is asked for outside: of state alone. A restored log has other places, and must not make other keys: money
//! would move twice.

use daybook_kernel::ids::NAMESPACE;
use uuid::Uuid;

/// UUIDv5 over length-prefixed parts: no two lists of parts share an encoding.
fn key(parts: &[&[u8]]) -> Uuid {
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        name.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &name)
}

/// The key of an operation on an order's payment: `create`, `confirm`, `capture`, `cancel`, `refund`; its number; whether the payment does
/// it by itself, to undo something; how often it is asked again because the provider has forgotten the key before.
pub fn operation_key(order: &str, operation: &str, number: u32, undo: bool, again: u32) -> Uuid {
    let (number, undo, again) = (number.to_be_bytes(), [u8::from(undo)], again.to_be_bytes());
    let first: [&[u8]; 5] = [b"payment", order.as_bytes(), operation.as_bytes(), &number, &undo];
    if again == [0; 4] { key(&first) } else { key(&[&first[..], &[&again]].concat()) }
}

/// The key of the label of an order's shipment.
pub fn label_key(order: &str, number: u32) -> Uuid {
    key(&[b"label", order.as_bytes(), &number.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by Python's `uuid` and `struct`. A key that changes moves money twice.
    #[test]
    fn keys_are_what_they_have_always_been() {
        assert_eq!(operation_key("o-1", "capture", 2, false, 0).to_string(), "2db82a3d-ef84-5fc6-adbf-a9dabfda4563");
        assert_eq!(operation_key("o-1", "refund", 1, true, 0).to_string(), "8caf7ece-b4fd-57ba-9695-d8813df184f4");
        assert_eq!(operation_key("o-1", "capture", 2, false, 1).to_string(), "4202fb65-61d7-53b7-a4a2-6bb94645befa");
        assert_eq!(label_key("o-1", 3).to_string(), "cf5aaeb1-3cbe-5a59-91a3-7b3aeccbd368");
    }

    #[test]
    fn no_two_operations_share_a_key() {
        let mut keys: Vec<Uuid> = Vec::new();
        for order in ["o-1", "o-11", "o-1c"] {
            for operation in ["create", "confirm", "capture", "cancel", "refund"] {
                for number in [1, 2, 256] {
                    for again in [0, 1, 256] {
                        keys.extend([false, true].map(|undo| operation_key(order, operation, number, undo, again)));
                    }
                }
            }
            keys.extend([1, 2, 256].map(|number| label_key(order, number)));
        }
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
