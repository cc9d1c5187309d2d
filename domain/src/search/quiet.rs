//! The end of a shop in which nobody but the processes and the staff does anything more.

use std::ops::RangeInclusive;

use shop_proto::holds::{AUTHORISATION_ENDS, AUTHORISATION_LOST, DISPUTED};
use shop_proto::order::v1::{OrderStatus, PieceFate, PieceRun};
use shop_proto::payment::v1::Operation;
use shop_proto::shipping::v1::ShipmentStatus;

use super::moves::{Move, SHIPMENTS};
use super::provider::Says;
use super::table::Table;
use super::world::{CART, OTHER_CART, Rules, World};

/// More steps than any end needs.
const MOST: usize = 2_000;

/// The world when all has come to rest. The provider begins nothing more, and does what it is asked to undo or to take; staff sends what is to
/// be sent, and it arrives.
///
/// # Errors
/// What is wrong with the end.
pub(super) fn settled(world: &World, rules: &Rules, table: &mut Table) -> Result<World, String> {
    let mut world = world.clone();
    for _ in 0..MOST {
        if let Some(what) = world.wrong().or_else(|| should_be_held(&world)) {
            return Err(what);
        }
        let Some(one) = next(&world) else { return ended(&world).map(|()| world) };
        world.go(&one, rules, table);
    }
    Err(format!("it never comes to rest: {:?}", world.order().status()))
}

fn next(world: &World) -> Option<Move> {
    let mail = world.waiting().next().map(|(from, to)| Move::Deliver(from.clone(), to.clone()));
    let read = (world.reads() > 0).then_some(Move::Read(0));
    // Staff compares the books with the provider's every day.
    let tell = || world.provider.untold(&world.payment()).first().copied().map(Move::Tell);
    let again = || world.to_try_again().into_iter().next();
    mail.or(read).or_else(|| asked(world)).or_else(|| shipment(world)).or_else(tell).or_else(again).or_else(|| {
        // Nothing more comes by itself.
        world.armed().next().map(|armed| Move::Fire(Box::new(armed.clone())))
    })
}

/// A shipment that could leave though its money is in doubt or something else holds its order, or that nothing holds and that can't leave,
/// now that everybody has heard of all. What staff has overruled holds nothing.
fn should_be_held(world: &World) -> Option<String> {
    if world.waiting().next().is_some() || !world.asked.is_empty() || world.reads() > 0 {
        return None;
    }
    let (order, payment) = (world.order(), world.payment());
    let is_all_asked_for = order.captures_once && order.captures > 0 && !order.captures_failed.contains(&order.captures);
    let doubts = [
        (AUTHORISATION_LOST, payment.authorisation_lost),
        (DISPUTED, payment.deviated_refunded > 0),
        (AUTHORISATION_ENDS, world.is_about_to_end && !is_all_asked_for),
    ];
    let stands = |reason: &str| order.holds.iter().any(|held| held == reason);
    SHIPMENTS.iter().find_map(|number| {
        let shipment = world.shipment(*number);
        if !matches!(shipment.status(), ShipmentStatus::Created | ShipmentStatus::Labelled) {
            return None;
        }
        let missed = doubts.iter().find(|(reason, is_so)| *is_so && !stands(reason) && !world.overruled.contains(*reason));
        match missed {
            Some((reason, _)) => Some(format!("shipment {number} is not held for {reason}")),
            None if shipment.held == order.holds.is_empty() => {
                Some(format!("shipment {number} is held: {}, its order for {:?}", shipment.held, order.holds))
            }
            None => None,
        }
    })
}

fn asked(world: &World) -> Option<Move> {
    let asked = world.asked.first()?;
    let begins = matches!(asked.event().operation(), Operation::Create | Operation::Confirm);
    Some(match (&asked.outcome, begins) {
        (Some(_), _) => Move::Answer(0),
        (None, true) => Move::NotBegun(0),
        (None, false) => Move::Perform(0, Says::Yes),
    })
}

fn shipment(world: &World) -> Option<Move> {
    SHIPMENTS.into_iter().find_map(|number| match world.shipment(number).status() {
        // Nothing can be taken for it any more.
        ShipmentStatus::Created | ShipmentStatus::Labelled if world.order().authorisation_lost => Some(Move::CancelOrder),
        ShipmentStatus::Created | ShipmentStatus::Labelled if world.shipment(number).held => {
            world.order().holds.first().cloned().map(Move::EndHold)
        }
        ShipmentStatus::Created | ShipmentStatus::Labelled => Some(Move::Dispatch(number)),
        ShipmentStatus::Dispatched => Some(Move::Delivered(number)),
        _ => None,
    })
}

/// Whether the books are right, now that all is quiet.
fn ended(world: &World) -> Result<(), String> {
    let order = world.order();
    // Nobody has ordered anything.
    if order.status() == OrderStatus::Unspecified {
        return Ok(());
    }
    if !matches!(order.status(), OrderStatus::Completed | OrderStatus::Cancelled | OrderStatus::Rejected) {
        return Err(format!("the order ends {:?}", order.status()));
    }
    if let Some(open) = order.shipments.iter().find(|shipment| !shipment.asks_open.is_empty()) {
        return Err(format!("nobody was told what became of cancellation {:?} of shipment {}", open.asks_open, open.number));
    }
    for cart in [CART, OTHER_CART] {
        if world.cart(cart).contents.is_some_and(|contents| contents.order.is_some()) {
            return Err(format!("cart {cart} is still the order's"));
        }
    }
    for (stream, stock) in world.stocks() {
        if stock.reserved > 0 {
            return Err(format!("{stream} still holds {} pieces", stock.reserved));
        }
    }
    let gone = |run: &PieceRun| matches!(run.fate(), PieceFate::Delivered | PieceFate::Returning | PieceFate::Lost);
    let (left, gone) = (world.on_shelves(), crate::order::pieces_of(&order, gone));
    if left + gone + world.missing != world.pieces {
        return Err(format!("of {} pieces {left} are left, {gone} are gone and {} were not found", world.pieces, world.missing));
    }
    if let Some(open) = world.provider.objects().find(|object| world.provider.is_open(object)) {
        return Err(format!("an authorisation stands open: {open:?}"));
    }
    let kept = |run: &PieceRun| matches!(run.fate(), PieceFate::Delivered | PieceFate::Returning) && !run.was_lost;
    let is_completed = order.status() == OrderStatus::Completed;
    let costs = if is_completed { crate::order::costs_of(&order, kept) } else { 0 };
    let may_be = may_be_paid(world, costs, is_completed);
    let paid: i64 = world.provider.objects().map(|object| object.captured - object.refunded).sum();
    if !may_be.contains(&paid) {
        return Err(format!("{paid} are paid for pieces that cost {costs}"));
    }
    let owed: i64 = order.captures_owed.iter().map(|owed| owed.minor_units).sum();
    let thinks = order.captured - order.refunded + owed;
    if is_completed && thinks != costs {
        return Err(format!("the order thinks that {thinks} are paid for pieces that cost {costs}"));
    }
    Ok(())
}

/// What may be paid for pieces that cost this much: just that, unless an authorisation has ended, or money was taken back; then staff has to
/// see to it. What was taken back is not given back once more. What somebody has taken by hand stays where an order is paid: it is shown, and
/// nobody here knows whose it is. An order that was given up gives it back, too.
fn may_be_paid(world: &World, costs: i64, is_completed: bool) -> RangeInclusive<i64> {
    let provider = &world.provider;
    let least = if provider.has_expired { 0 } else { (costs - provider.charged_back).max(0) };
    least..=costs + if is_completed { provider.by_hand } else { 0 }
}
