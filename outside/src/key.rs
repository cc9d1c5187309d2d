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
/// it by itself, to undo something.
pub fn operation_key(order: &str, operation: &str, number: u32, undo: bool) -> Uuid {
    key(&[b"payment", order.as_bytes(), operation.as_bytes(), &number.to_be_bytes(), &[u8::from(undo)]])
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
        assert_eq!(operation_key("o-1", "capture", 2, false).to_string(), "2db82a3d-ef84-5fc6-adbf-a9dabfda4563");
        assert_eq!(operation_key("o-1", "refund", 1, true).to_string(), "8caf7ece-b4fd-57ba-9695-d8813df184f4");
        assert_eq!(label_key("o-1", 3).to_string(), "cf5aaeb1-3cbe-5a59-91a3-7b3aeccbd368");
    }

    #[test]
    fn no_two_operations_share_a_key() {
        let mut keys: Vec<Uuid> = Vec::new();
        for order in ["o-1", "o-11", "o-1c"] {
            for operation in ["create", "confirm", "capture", "cancel", "refund"] {
                for number in [1, 2, 256] {
                    keys.extend([false, true].map(|undo| operation_key(order, operation, number, undo)));
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
