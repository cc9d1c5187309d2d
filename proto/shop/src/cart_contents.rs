//! Changes of what lies in a cart, for the state of its decisions and for its page.

use crate::cart::v1::{CartContents, CartEvent, CartLine, CheckedOutOrder};

impl CartContents {
    /// The most pieces that a line may have. Nobody buys more of one thing by a cart; three digits fit any shop's field.
    pub const MAX_QUANTITY: u32 = 999;
    /// The most lines that a cart keeps. Shoppers are held to far fewer, but what is merged is never refused; so there is a bound that
    /// keeps a cart in its page, its pushes and its snapshots.
    pub const MAX_KEPT: usize = 500;

    /// What lies in the cart after an event.
    pub fn apply(&mut self, event: &CartEvent) {
        use CartEvent as E;
        match event {
            E::ItemAdded(e) => add_up(&mut self.lines, &[CartLine { sku: e.sku.clone(), quantity: e.quantity }]),
            E::QuantityChanged(e) => {
                if let Some(line) = self.lines.iter_mut().find(|line| line.sku == e.sku) {
                    line.quantity = e.quantity.min(Self::MAX_QUANTITY);
                }
            }
            E::ItemRemoved(e) => self.lines.retain(|line| line.sku != e.sku),
            E::CartCheckedOut(e) => {
                self.order = Some(CheckedOutOrder { order_id: e.order_id.clone(), lines: e.lines.clone() });
                self.lines.clear();
            }
            E::CartMerged(e) => {
                self.into.clone_from(&e.into);
                self.lines.clear();
            }
            E::CartMergeEnded(_) => self.into.clear(),
            E::LinesTaken(e) => add_up(&mut self.lines, &e.lines),
            E::LinesHandedOver(_) | E::CartExpired(_) => self.lines.clear(),
            E::CartReopened(e) => {
                self.order = None;
                let came = std::mem::take(&mut self.lines);
                add_up(&mut self.lines, &e.lines);
                add_up(&mut self.lines, &came);
            }
            E::CartClosed(_) => self.order = None,
            // Nothing moved.
            E::CartClaimed(_) | E::CartNotReopened(_) => {}
        }
    }
}

/// Adds lines to lines: quantities of one SKU add up, to the most that a line may have. Beyond the most lines, those of the lowest SKUs
/// are kept. So the lines of several carts make the same cart, whichever comes first.
fn add_up(lines: &mut Vec<CartLine>, more: &[CartLine]) {
    for new in more {
        match lines.iter_mut().find(|line| line.sku == new.sku) {
            Some(line) => line.quantity = line.quantity.saturating_add(new.quantity).min(CartContents::MAX_QUANTITY),
            None => lines.push(CartLine { sku: new.sku.clone(), quantity: new.quantity.min(CartContents::MAX_QUANTITY) }),
        }
    }
    if lines.len() > CartContents::MAX_KEPT {
        let mut skus: Vec<String> = lines.iter().map(|line| line.sku.clone()).collect();
        skus.sort_unstable();
        let first_left_out = skus.swap_remove(CartContents::MAX_KEPT);
        lines.retain(|line| line.sku < first_left_out);
    }
}
