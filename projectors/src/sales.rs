//! `sales`: what was sold on a day, by order and category; `sales_by_day` and `sales` are its views.

use daybook_kernel::{EventAt, Instant, Part, Projection, ReadModel, SqlView, StreamId};
use shop_proto::order::v1::{OrderEvent, OrderState, PieceFate, PieceRun};
use shop_proto::pieces::{self, Moved};
use shop_proto::read::v1::{Sale, Sales as Page, SalesView};

/// Its rows, and the days that they make. Sums of whole numbers are `numeric`: they can't be too large.
const VIEWS: &[SqlView] = &[
    SqlView {
        name: "sales",
        select: "
            SELECT order_id, ordered_at, (ordered_at AT TIME ZONE 'UTC')::date AS day, currency, category, pieces, gross, discounts,
                cancelled_pieces, cancelled, returned_pieces, returned, net
            FROM {rows}",
    },
    SqlView {
        name: "sales_by_day",
        select: "
            SELECT (ordered_at AT TIME ZONE 'UTC')::date AS day, currency, category, count(DISTINCT order_id) AS orders,
                sum(pieces) AS pieces, sum(gross) AS gross, sum(discounts) AS discounts,
                sum(cancelled_pieces) AS cancelled_pieces, sum(cancelled) AS cancelled,
                sum(returned_pieces) AS returned_pieces, sum(returned) AS returned, sum(net) AS net
            FROM {rows}
            GROUP BY day, currency, category",
    },
];

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<Page>("sales", None).with::<Sales>().kept_as_sql::<Page>(Some("items"), VIEWS)
}

struct Sales;

impl Projection for Sales {
    type Event = OrderEvent;
    type View = SalesView;
    type Model = Page;

    fn fold(view: &mut SalesView, event: &OrderEvent, at: &EventAt<'_>) {
        use OrderEvent as E;
        match event {
            E::OrderOpened(e) => {
                view.order_id.clone_from(&e.order_id);
                view.ordered_at = e.ordered_at.or_else(|| Some(at.recorded_at.to_proto()));
            }
            E::OrderPlaced(e) => {
                view.currency = e.total.as_ref().map(|total| total.currency.clone()).unwrap_or_default();
                view.lines.clone_from(&e.lines);
                view.pieces = pieces::placed(&e.lines);
            }
            _ => {
                view.confirmed |= matches!(event, E::OrderConfirmed(_));
                let mut order = taken(view);
                pieces::apply(&mut order, event);
                (view.lines, view.pieces) = (order.lines, order.pieces);
            }
        }
    }

    fn render(view: &SalesView, _: &StreamId) -> Vec<Part<Page>> {
        if !view.confirmed {
            return Vec::new();
        }
        let at = view.ordered_at.as_ref().map(Instant::from_proto).unwrap_or_default();
        let day = at.to_string().split('T').next().unwrap_or_default().to_owned();
        let part = |sale: Sale| Part {
            key: day.clone(),
            part: format!("{}/{}/{}", oldest_first(at), sale.order_id, sale.category),
            message: Page { items: vec![sale] },
        };
        sold(view).into_iter().map(part).collect()
    }

    fn keys(view: &SalesView, _: &StreamId, tell: &mut dyn FnMut(&str)) {
        if view.confirmed {
            let at = view.ordered_at.as_ref().map(Instant::from_proto).unwrap_or_default();
            tell(at.to_string().split('T').next().unwrap_or_default());
        }
    }
}

/// The pieces of an order, as it knows them itself. They are to be given back.
fn taken(view: &mut SalesView) -> OrderState {
    OrderState { lines: std::mem::take(&mut view.lines), pieces: std::mem::take(&mut view.pieces), ..Default::default() }
}

/// A sale a category, in the order of the lines.
fn sold(view: &SalesView) -> Vec<Sale> {
    let mut sales: Vec<Sale> = Vec::new();
    let order = taken(&mut view.clone());
    let [cancelled, returned] =
        [is_cancelled, pieces::is_given_back].map(|is| pieces::change(&mut order.clone(), pieces::all, is, PieceRun::clone));
    let of = |moved: &Moved, sku: &str| {
        let lines = moved.lines.iter().filter(|line| line.sku == sku);
        lines.fold((0_u32, 0_i64), |(pieces, costs), line| (pieces.saturating_add(line.quantity), costs.saturating_add(line.costs)))
    };
    for line in &order.lines {
        let at = sales.iter().position(|sale| sale.category == line.category).unwrap_or_else(|| {
            sales.push(Sale {
                order_id: view.order_id.clone(),
                ordered_at: view.ordered_at,
                currency: view.currency.clone(),
                category: line.category.clone(),
                ..Default::default()
            });
            sales.len() - 1
        });
        let sale = &mut sales[at];
        let units = |money: &Option<shop_proto::common::v1::Money>| money.as_ref().map_or(0, |money| money.minor_units);
        let (gross, total) = (units(&line.price).saturating_mul(line.quantity.into()), units(&line.total));
        let ((not_sent, cancelled), (back, returned)) = (of(&cancelled, &line.sku), of(&returned, &line.sku));
        sale.pieces = sale.pieces.saturating_add(line.quantity);
        sale.gross = sale.gross.saturating_add(gross);
        sale.discounts = sale.discounts.saturating_add(gross.saturating_sub(total));
        sale.cancelled_pieces = sale.cancelled_pieces.saturating_add(not_sent);
        sale.cancelled = sale.cancelled.saturating_add(cancelled);
        sale.returned_pieces = sale.returned_pieces.saturating_add(back);
        sale.returned = sale.returned.saturating_add(returned);
        sale.net = sale.net.saturating_add(total.saturating_sub(cancelled).saturating_sub(returned));
    }
    sales
}

fn is_cancelled(run: &PieceRun) -> bool {
    run.fate() == PieceFate::Cancelled
}

/// A sort key by which an earlier moment stands before a later one, also one before 1970: 16 hexadecimal digits.
fn oldest_first(at: Instant) -> String {
    format!("{:016x}", at.micros().cast_unsigned() ^ (1 << 63))
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::Version;
    use proptest::prelude::*;
    use shop_proto::order::v1::*;
    use shop_proto::samples::order::{
        cancelled, cancelling, confirmed, held, in_two_shipments, lamp, line, opened, ordered, placed, shipped,
    };
    use shop_proto::samples::{at, money, order};

    use super::*;
    use crate::merging::Sample;

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let bare = OrderOpened { ordered_at: Some(at(0)), ..(&order::open()).into() };
        let other = vec![bare.into(), two_categories(), confirmed([("w-1", vec![ordered("A-1", 3), ordered("B-2", 1)])])];
        let other = other.into_iter().map(|event| shop_proto::samples::with(&event, "order_id", "o-2"));
        vec![Sample::of("o-1", whole_way()), Sample::of("o-2", other)]
    }

    /// Three lamps at 19.99, of which a discount takes 3.00, and a vase at 5.00 without a category.
    fn two_categories() -> OrderEvent {
        let vase = ProductRead { sku: "B-2".into(), category: String::new(), price: Some(money("EUR", 500)), ..lamp() };
        let lamps = OrderLine { total: Some(money("EUR", 5697)), ..line(&lamp(), 3) };
        order::placed_with(vec![lamps, line(&vase, 1)], 6197)
    }

    /// Two lamps in two shipments: one does not leave, the other comes back.
    fn whole_way() -> Vec<OrderEvent> {
        let ended = [not_sent(2), shipped(1, 1, 1999, OrderStatus::Shipped), order::delivered(1, OrderStatus::Delivered), back("A-1", 1)];
        [in_two_shipments(), ended.into()].concat()
    }

    fn not_sent(number: u32) -> OrderEvent {
        OrderLinesCancelled { order_id: "o-1".into(), number, lines: vec![ordered("A-1", 1)], ..Default::default() }.into()
    }

    fn back(sku: &str, quantity: u32) -> OrderEvent {
        OrderReturned { order_id: "o-1".into(), lines: vec![held(sku, "w-1", quantity)], condition: 1, ..Default::default() }.into()
    }

    fn parts(events: &[OrderEvent]) -> Vec<Part<Page>> {
        let stream = StreamId::new("order", "o-1");
        let mut view = SalesView::default();
        for (n, event) in (1..).zip(events) {
            let recorded_at = Instant::from_micros(86_400_000_000 + n);
            Sales::fold(&mut view, event, &EventAt { stream: &stream, version: Version(n.unsigned_abs()), recorded_at });
        }
        Sales::render(&view, &stream)
    }

    fn sales(events: &[OrderEvent]) -> Vec<Sale> {
        parts(events).into_iter().flat_map(|part| part.message.items).collect()
    }

    #[test]
    fn an_order_is_a_sale_once_it_is_confirmed_and_never_where_it_is_not() {
        let all = in_two_shipments();
        assert_eq!(sales(&all[..all.len() - 1]), []);
        assert_eq!(sales(&[opened(), placed(), cancelling(), cancelled()]), []);
        let [sale] = &sales(&all)[..] else { panic!("of one category") };
        assert_eq!((sale.order_id.as_str(), sale.currency.as_str(), sale.category.as_str()), ("o-1", "EUR", "Home > Lamps"));
        assert_eq!((sale.pieces, sale.gross, sale.discounts, sale.net), (2, 3998, 0, 3998));
    }

    #[test]
    fn it_counts_on_the_day_on_which_it_was_ordered_in_utc() {
        let days = |ordered_at| {
            let first = OrderOpened { ordered_at, ..(&order::open()).into() }.into();
            let events: Vec<OrderEvent> = [first].into_iter().chain(in_two_shipments().into_iter().skip(1)).collect();
            parts(&events).into_iter().map(|part| part.key).collect::<Vec<_>>()
        };
        assert_eq!(days(None), ["1970-01-02"], "when it was recorded");
        let of = |seconds: i64| Some(Instant::from_micros(seconds * 1_000_000).to_proto());
        assert_eq!((days(of(1_795_996_799)), days(of(1_795_996_800))), (vec!["2026-11-29".to_owned()], vec!["2026-11-30".to_owned()]));
        assert_eq!(days(of(-1)), ["1969-12-31"]);
    }

    #[test]
    fn pieces_that_do_not_leave_and_pieces_that_come_back_are_taken_off() {
        let [sale] = &sales(&whole_way())[..] else { panic!("of one category") };
        assert_eq!((sale.cancelled_pieces, sale.cancelled), (1, 1999));
        assert_eq!((sale.returned_pieces, sale.returned, sale.net), (1, 1999, 0));
        let lost = OrderLost { order_id: "o-1".into(), number: 1, ..Default::default() };
        let events = [in_two_shipments(), vec![shipped(1, 1, 1999, OrderStatus::PartlyShipped), lost.into()]].concat();
        let [sale] = &sales(&events)[..] else { panic!("of one category") };
        assert_eq!((sale.returned_pieces, sale.returned, sale.net), (1, 1999, 1999));
        // What was lost and found is paid for no more, and it counts once when it comes back.
        let found = OrderFound { order_id: "o-1".into(), number: 1, lines: vec![ordered("A-1", 1)], delivered_at: Some(at(0)) };
        let events = [events, vec![found.into()]].concat();
        let back = [events.clone(), vec![back("A-1", 1)]].concat();
        for events in [events, back] {
            let [sale] = &sales(&events)[..] else { panic!("of one category") };
            assert_eq!((sale.returned_pieces, sale.returned, sale.net), (1, 1999, 1999));
        }
    }

    #[test]
    fn each_category_is_a_row_and_discounts_are_what_is_not_to_be_paid_of_the_prices() {
        let all = vec![ordered("A-1", 3), ordered("B-2", 1)];
        let gone = OrderShipped { order_id: "o-1".into(), number: 1, lines: all.clone(), ..Default::default() };
        let there = OrderDelivered { order_id: "o-1".into(), number: 1, ..Default::default() };
        let events = [opened(), two_categories(), confirmed([("w-1", all)]), gone.into(), there.into(), back("A-1", 2)];
        let [lamps, vase] = &sales(&events)[..] else { panic!("of two categories") };
        assert_eq!((lamps.category.as_str(), lamps.pieces, lamps.gross, lamps.discounts), ("Home > Lamps", 3, 5997, 300));
        assert_eq!((lamps.returned_pieces, lamps.returned, lamps.net), (2, 3798, 1899), "to the cent of these pieces");
        assert_eq!((vase.category.as_str(), vase.pieces, vase.gross, vase.discounts, vase.net), ("", 1, 500, 0, 500));
    }

    proptest! {
        #[test]
        fn the_parts_of_a_day_stand_in_the_order_of_time(one: i64, other: i64) {
            let (first, second) = (oldest_first(Instant::from_micros(one)), oldest_first(Instant::from_micros(other)));
            prop_assert_eq!(first.cmp(&second), one.cmp(&other));
        }
    }
}
