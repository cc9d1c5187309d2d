//! A place that goods are sent from.

use daybook_kernel::{Context, Decider, Decision};
use shop_proto::inventory::v1::*;

/// A place that goods are sent from. Stream `warehouse/{warehouse}`.
pub struct Warehouse;

impl Decider for Warehouse {
    type Command = WarehouseCommand;
    type Event = WarehouseEvent;
    type State = WarehouseState;
    type Refusal = WarehouseRefusal;

    fn decide(state: &WarehouseState, command: &WarehouseCommand, _: &Context) -> Decision<Self> {
        match command {
            WarehouseCommand::OpenWarehouse(c) => open(state, c),
            WarehouseCommand::CloseWarehouse(c) if state.opened.is_none() => {
                Decision::refuse(UnknownWarehouse { warehouse: c.warehouse.clone() })
            }
            WarehouseCommand::CloseWarehouse(_) if state.closed => Decision::nothing(),
            WarehouseCommand::CloseWarehouse(c) => Decision::event(WarehouseClosed::from(c)),
        }
    }

    fn evolve(state: &mut WarehouseState, event: &WarehouseEvent) {
        match event {
            WarehouseEvent::WarehouseOpened(e) => *state = WarehouseState { opened: Some(e.clone()), closed: false },
            WarehouseEvent::WarehouseClosed(_) => state.closed = true,
        }
    }
}

fn open(state: &WarehouseState, c: &OpenWarehouse) -> Decision<Warehouse> {
    let mut opened = WarehouseOpened::from(c);
    opened.countries.sort_unstable();
    opened.countries.dedup();
    if !state.closed && state.opened.as_ref() == Some(&opened) {
        return Decision::nothing();
    }
    Decision::event(opened)
}

#[cfg(test)]
mod spec {
    use daybook_kernel::spec::{given, given_nothing, in_turn};
    use proptest::prelude::*;
    use shop_proto::common::v1::Address;
    use shop_proto::samples::warehouse::{close, closed, open, opened};

    use super::*;

    #[test]
    fn a_warehouse_is_opened_with_its_countries_in_order_and_each_once() {
        given_nothing::<Warehouse>().when(open(1, &["US", "DE", "US"])).then([opened(1, &["DE", "US"])]);
    }

    #[test]
    fn opening_it_as_it_is_changes_nothing_and_anything_else_does() {
        let history = || given::<Warehouse>([opened(1, &["DE", "US"])]);
        history().when(open(1, &["US", "DE"])).then_nothing();
        history().when(open(2, &["DE", "US"])).then([opened(2, &["DE", "US"])]);
        history().when(open(1, &["DE"])).then([opened(1, &["DE"])]);
        let (name, line1, city) = ("Lux".to_owned(), "Königsplatz 1".to_owned(), "Kassel".to_owned());
        let address =
            || Some(Address { name: name.clone(), line1: line1.clone(), city: city.clone(), country: "DE".into(), ..Default::default() });
        let told = WarehouseOpened { address: address(), ..(&open(1, &["DE", "US"])).into() };
        history().when(OpenWarehouse { address: address(), ..open(1, &["DE", "US"]) }).then([told.into()]);
    }

    #[test]
    fn a_closed_warehouse_is_opened_again_as_it_was_or_otherwise() {
        let history = || given::<Warehouse>([opened(1, &["DE"]), closed()]);
        history().when(open(1, &["DE"])).then([opened(1, &["DE"])]);
        history().when(open(3, &["FR"])).then([opened(3, &["FR"])]);
        given::<Warehouse>([opened(1, &["DE"]), closed(), opened(1, &["DE"])]).when(open(1, &["DE"])).then_nothing();
    }

    #[test]
    fn closing_is_done_once_and_what_was_never_opened_is_not_known() {
        given::<Warehouse>([opened(1, &["DE"])]).when(close()).then([closed()]);
        given::<Warehouse>([opened(1, &["DE"]), closed()]).when(close()).then_nothing();
        given_nothing::<Warehouse>().when(close()).then_refused(UnknownWarehouse { warehouse: "w-1".into() });
    }

    proptest! {
        /// The last that was asked holds, whatever came before.
        #[test]
        fn a_warehouse_is_what_was_said_last(asked in prop::collection::vec(prop::option::of((1..4_u32, "[AB][AB]")), 1..20)) {
            let commands: Vec<WarehouseCommand> = asked
                .iter()
                .map(|one| one.as_ref().map_or_else(|| close().into(), |(priority, country)| open(*priority, &[country]).into()))
                .collect();
            let mut asked = asked.iter();
            in_turn::<Warehouse>(&commands, |step| {
                let state = step.after;
                match asked.next().expect("a step a command") {
                    Some((priority, country)) => {
                        let opened = state.opened.as_ref().expect("it is open");
                        assert_eq!((opened.priority, &opened.countries[..], state.closed), (*priority, std::slice::from_ref(country), false));
                    }
                    None => assert!(state.closed || state.opened.is_none()),
                }
            });
        }
    }
}
