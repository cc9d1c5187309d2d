//! Reordering one SKU for one warehouse: a proposal, from the fall of the stock until enough is there again.

use daybook_kernel::{Context, Decider, Decision, EventAt, Reactor, ServiceMessage};
use shop_proto::inventory::v1::*;

/// The reordering of one SKU for one warehouse. Stream `reorder/{sku}@{warehouse}`.
pub struct Reorder;

impl Decider for Reorder {
    type Command = ReorderCommand;
    type Event = ReorderEvent;
    type State = ReorderState;
    type Refusal = ReorderRefusal;

    fn decide(state: &ReorderState, command: &ReorderCommand, _: &Context) -> Decision<Self> {
        use ReorderCommand as C;
        match command {
            C::OpenReorderProposal(c) => open(state, c),
            C::RaiseReorderProposal(c) => raise(state, c),
            C::CloseReorderProposal(c) => close(state, c),
        }
    }

    fn evolve(state: &mut ReorderState, event: &ReorderEvent) {
        match event {
            ReorderEvent::ReorderProposalOpened(e) => {
                state.stock_version = e.stock_version;
                state.proposal = Some(ReorderProposal::default());
            }
            ReorderEvent::ReorderProposalRaised(e) => {
                state.proposal = Some(ReorderProposal { quantity: e.quantity, reference: e.reference.clone() });
            }
            ReorderEvent::ReorderProposalClosed(e) => {
                state.stock_version = e.stock_version;
                state.proposal = None;
            }
        }
    }
}

/// A newer version of the stock has been heard of: what this one says is over.
fn is_over(state: &ReorderState, stock_version: i64) -> bool {
    stock_version <= state.stock_version
}

/// Where a proposal is open, the stock was back before it fell again, and that has not arrived yet: this is another proposal, and
/// what closes the one before comes too late.
fn open(state: &ReorderState, c: &OpenReorderProposal) -> Decision<Reorder> {
    if is_over(state, c.stock_version) {
        return Decision::nothing();
    }
    Decision::event(ReorderProposalOpened::from(c))
}

fn raise(state: &ReorderState, c: &RaiseReorderProposal) -> Decision<Reorder> {
    let Some(proposal) = &state.proposal else {
        return Decision::refuse(NoReorderProposal { sku: c.sku.clone(), warehouse: c.warehouse.clone() });
    };
    if proposal.quantity == c.quantity && proposal.reference == c.reference {
        return Decision::nothing();
    }
    if proposal.quantity > 0 {
        return Decision::refuse(ReorderProposalRaisedBefore { quantity: proposal.quantity, reference: proposal.reference.clone() });
    }
    Decision::event(ReorderProposalRaised::from(c))
}

/// The version is kept even where nothing is open: an older fall that arrives later must open nothing.
fn close(state: &ReorderState, c: &CloseReorderProposal) -> Decision<Reorder> {
    if is_over(state, c.stock_version) {
        return Decision::nothing();
    }
    Decision::event(ReorderProposalClosed::from(c))
}

/// Opens a proposal when a stock falls below its reorder point, and closes it when it is back.
pub struct Reordering;

impl Reactor for Reordering {
    const NAME: &'static str = "reorder";
    type Event = StockEvent;

    fn react(event: &StockEvent, at: &EventAt<'_>) -> Vec<ServiceMessage> {
        let command: ReorderCommand = match event {
            StockEvent::ReorderPointCrossed(e) => OpenReorderProposal {
                sku: e.sku.clone(),
                warehouse: e.warehouse.clone(),
                reorder_point: e.reorder_point,
                available: e.available,
                stock_version: at.version.0.cast_signed(),
            }
            .into(),
            StockEvent::ReorderPointRegained(e) => CloseReorderProposal {
                sku: e.sku.clone(),
                warehouse: e.warehouse.clone(),
                available: e.available,
                stock_version: at.version.0.cast_signed(),
            }
            .into(),
            _ => return Vec::new(),
        };
        vec![ServiceMessage::of(&command)]
    }
}

#[cfg(test)]
mod spec {
    use daybook_kernel::spec::{context, given, given_nothing};
    use daybook_kernel::{Instant, StreamId, Version};
    use daybook_proto::MessageSet as _;
    use proptest::prelude::*;
    use shop_proto::samples::reorder::{close, closed, open, opened, raise, raised};
    use shop_proto::samples::stock::{crossed, received, regained};
    use shop_proto::samples::{sku, warehouse};

    use super::*;

    #[test]
    fn each_fall_opens_a_proposal_whether_or_not_the_one_before_is_known_to_be_closed() {
        given_nothing::<Reorder>().when(open(2)).then([opened(2)]);
        given::<Reorder>([opened(2)]).when(open(2)).then_nothing();
        given::<Reorder>([opened(2), raised(50)]).when(open(7)).then([opened(7)]);
        given::<Reorder>([opened(2), opened(7)]).when(close(4)).then_nothing();
        given::<Reorder>([opened(2), raised(50), opened(7)]).when(raise(50)).then([raised(50)]);
        given::<Reorder>([opened(2), closed(4)]).when(open(7)).then([opened(7)]);
    }

    #[test]
    fn what_an_older_version_of_the_stock_says_is_over() {
        given::<Reorder>([closed(4)]).when(open(2)).then_nothing();
        given::<Reorder>([opened(7)]).when(close(4)).then_nothing();
        given_nothing::<Reorder>().when(close(4)).then([closed(4)]);
        given::<Reorder>([closed(4)]).when(close(4)).then_nothing();
    }

    #[test]
    fn goods_are_ordered_once_for_an_open_proposal() {
        let none = || NoReorderProposal { sku: sku(), warehouse: warehouse() };
        given_nothing::<Reorder>().when(raise(50)).then_refused(none());
        given::<Reorder>([opened(2)]).when(raise(50)).then([raised(50)]);
        given::<Reorder>([opened(2), raised(50)]).when(raise(50)).then_nothing();
        let before = || ReorderProposalRaisedBefore { quantity: 50, reference: "PO-7".into() };
        given::<Reorder>([opened(2), raised(50)]).when(raise(60)).then_refused(before());
        given::<Reorder>([opened(2), raised(50), closed(9)]).when(raise(50)).then_refused(none());
    }

    #[test]
    fn a_stock_that_falls_opens_a_proposal_and_one_that_is_back_closes_it() {
        let stream = StreamId::new("stock", "A-1@w-1");
        let react = |event: StockEvent| {
            let at = EventAt { stream: &stream, version: Version(7), recorded_at: Instant::default() };
            Reordering::react(&event, &at)
        };
        let sent = react(crossed(5, 3));
        assert_eq!(sent, [ServiceMessage::of(&ReorderCommand::from(open(7)))]);
        assert_eq!(sent[0].target.as_str(), "reorder/A-1@w-1");
        let sent = react(regained(5, 9));
        assert_eq!(sent, [ServiceMessage::of(&ReorderCommand::from(close(7)))]);
        assert_eq!(react(received(1)), []);
        assert!(ReorderEvent::TYPES.len() == 3, "all that happens to a proposal is tried here");
    }

    proptest! {
        /// A stock falls and is back by turns. In whatever order its messages arrive, and however often, they end in the same.
        #[test]
        fn the_order_in_which_messages_arrive_makes_no_difference(
            turns in 1..12_i64,
            arrivals in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let command = |version: i64| -> ReorderCommand { if version % 2 == 1 { open(version).into() } else { close(version).into() } };
            let in_order: Vec<i64> = (1..=turns).collect();
            let shuffled = arrivals.iter().map(|at| in_order[at.index(in_order.len())]).chain(in_order.iter().rev().copied());
            let end = |versions: Vec<i64>| {
                let mut state = ReorderState::default();
                for version in versions {
                    let context = context(Instant::default());
                    for event in Reorder::decide(&state, &command(version), &context).events {
                        Reorder::evolve(&mut state, &event);
                    }
                }
                state
            };
            prop_assert_eq!(end(shuffled.collect()), end(in_order.clone()));
        }
    }
}
