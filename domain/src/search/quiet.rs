//! The end of a shop in which nobody but the processes and the staff does anything more.

use shop_proto::order::v1::{OrderStatus, PieceFate, PieceRun};
use shop_proto::payment::v1::{Operation, ProviderStatus};
use shop_proto::shipping::v1::ShipmentStatus;

use super::moves::{Move, SHIPMENTS};
use super::provider::Says;
use super::table::Table;
use super::world::{Rules, World};

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
        if let Some(what) = world.wrong() {
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
    mail.or(read).or_else(|| asked(world)).or_else(|| shipment(world)).or_else(|| {
        // Nothing more comes by itself.
        world.armed().next().map(|armed| Move::Fire(Box::new(armed.clone())))
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
        ShipmentStatus::Created | ShipmentStatus::Labelled if world.shipment(number).held => Some(Move::EndHold),
        ShipmentStatus::Created | ShipmentStatus::Labelled => Some(Move::Dispatch(number)),
        ShipmentStatus::Dispatched => Some(Move::Delivered(number)),
        _ => None,
    })
}

/// Whether the books are right, now that all is quiet.
fn ended(world: &World) -> Result<(), String> {
    let order = world.order();
    if !matches!(order.status(), OrderStatus::Completed | OrderStatus::Cancelled | OrderStatus::Rejected) {
        return Err(format!("the order ends {:?}", order.status()));
    }
    if world.cart().contents.is_some_and(|contents| contents.order.is_some()) {
        return Err("the cart is still the order's".to_owned());
    }
    for (stream, stock) in world.stocks() {
        if stock.reserved > 0 {
            return Err(format!("{stream} still holds {} pieces", stock.reserved));
        }
    }
    let open = world.provider.objects().find(|object| object.status() == ProviderStatus::Authorised && object.captured == 0);
    if let Some(open) = open.filter(|_| !world.left.may_refuse) {
        return Err(format!("an authorisation stands open: {open:?}"));
    }
    let kept = |run: &PieceRun| matches!(run.fate(), PieceFate::Delivered | PieceFate::Returning);
    let costs = if order.status() == OrderStatus::Completed { crate::order::costs_of(&order, kept) } else { 0 };
    let paid: i64 = world.provider.objects().map(|object| object.captured - object.refunded).sum();
    // Where the provider does not take or give back what it is asked to, staff has to see to it.
    if paid != costs && !(world.left.may_refuse && order.status() == OrderStatus::Completed) {
        return Err(format!("{paid} are paid for pieces that cost {costs}"));
    }
    if order.captured - order.refunded != costs && order.status() == OrderStatus::Completed && !world.left.may_refuse {
        return Err(format!("the order thinks that {} are paid for pieces that cost {costs}", order.captured - order.refunded));
    }
    Ok(())
}
