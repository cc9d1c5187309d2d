use daybook_kernel::spec::{Given, SPEC_TIME, context, given, given_nothing};
use daybook_kernel::{EventAt, Reactor as _, ServiceMessage, StreamId, Version};
use daybook_proto::RefusalSet as _;
use daybook_proto::v1::Caller;
use shop_proto::samples::cart::{
    CART, EXPIRY, add, added, change, changed, check_out, checked_out, close, closed, expire, expired, handed_over, line, merge, merged,
    not_reopened, remove, removed, reopen, reopened, take, taken,
};
use shop_proto::samples::{at, money, sku};

use super::*;

/// The event of [`check_out`], whole.
fn ordered(command: &Checkout, lines: &[CartLine]) -> CartEvent {
    let content = ordering::content(command, &context(SPEC_TIME));
    CartCheckedOut { content, ..checked_out(&command.order_id, lines) }.into()
}

/// A cart with two lamps that is checked out under `o-1`, and what came after that.
fn after_checkout(events: impl IntoIterator<Item = CartEvent>) -> Given<Cart> {
    given([added(2), ordered(&check_out("o-1"), &[line("A-1", 2)])].into_iter().chain(events))
}

fn lines(state: &CartState) -> Vec<CartLine> {
    state.contents.as_ref().map(|contents| contents.lines.clone()).unwrap_or_default()
}

fn is_checked_out() -> CartIsCheckedOut {
    CartIsCheckedOut { cart_id: CART.into(), order_id: "o-1".into() }
}

fn is_merged() -> CartIsMerged {
    CartIsMerged { cart_id: CART.into(), into: "k-2".into() }
}

fn limit(lines: u32, quantity: u32) -> LineLimit {
    LineLimit { lines, lines_limit: 100, quantity, quantity_limit: 999 }
}

/// So many lines, by their numbers.
fn many(from: usize, to: usize) -> Vec<CartLine> {
    (from..to).map(|n| line(&format!("S-{n:03}"), 1)).collect()
}

#[test]
fn pieces_of_one_product_are_one_line() {
    given_nothing::<Cart>().when(add(2)).then([added(2)]);
    given::<Cart>([added(2)]).when(add(3)).then_state(|s| assert_eq!(lines(s), [line("A-1", 5)]));
    given::<Cart>([added(2)])
        .when(AddItem { sku: "B".into(), ..add(1) })
        .then_state(|s| assert_eq!(lines(s), [line("A-1", 2), line("B", 1)]));
}

#[test]
fn a_line_has_up_to_999_pieces() {
    given::<Cart>([added(998)]).when(add(1)).then([added(1)]);
    given::<Cart>([added(998)]).when(add(2)).then_refused(limit(1, 1000));
    given_nothing::<Cart>().when(add(999)).then([added(999)]);
}

#[test]
fn shoppers_fill_a_cart_with_up_to_100_lines_and_add_to_those_that_a_merge_has_brought() {
    given::<Cart>([taken(&many(0, 99))]).when(add(1)).then([added(1)]);
    given::<Cart>([taken(&many(0, 100))]).when(add(1)).then_refused(limit(101, 1));
    let known = || AddItem { sku: "S-007".into(), ..add(1) };
    let event = || ItemAdded { expires_at: Some(at(EXPIRY)), ..(&known()).into() }.into();
    given::<Cart>([taken(&many(0, 150))]).when(known()).then([event()]);
    given::<Cart>([taken(&many(0, 150))]).when(AddItem { quantity: 999, ..known() }).then_refused(limit(150, 1000));
}

#[test]
fn a_quantity_is_changed_to_what_is_said() {
    given::<Cart>([added(2)]).when(change(5)).then([changed(5)]);
    given::<Cart>([added(2), changed(5)]).when(add(1)).then_state(|s| assert_eq!(lines(s), [line("A-1", 6)]));
    given::<Cart>([added(2)]).when(change(2)).then_nothing();
    given::<Cart>([added(2)]).when(ChangeQuantity { sku: "B".into(), ..change(5) }).then_refused(UnknownLine { sku: "B".into() });
}

#[test]
fn a_line_is_removed_once_and_one_that_never_was_is_unknown() {
    given::<Cart>([added(2)]).when(remove()).then([removed()]);
    given::<Cart>([added(2), removed()]).when(remove()).then_nothing();
    given::<Cart>([added(2), removed()]).when(change(1)).then_refused(UnknownLine { sku: sku() });
    given_nothing::<Cart>().when(remove()).then_refused(UnknownLine { sku: sku() });
    // What was removed in a life before this one is as unknown as anything.
    given::<Cart>([added(2), removed(), added(1), expired(&[line("A-1", 1)])]).when(remove()).then_refused(UnknownLine { sku: sku() });
}

#[test]
fn a_cart_is_checked_out_with_all_that_its_order_needs() {
    given::<Cart>([added(2)]).when(check_out("o-1")).then([ordered(&check_out("o-1"), &[line("A-1", 2)])]);
}

#[test]
fn one_cart_makes_one_order_however_often_it_is_said() {
    after_checkout([]).when(check_out("o-1")).then_nothing();
    after_checkout([]).when(check_out("o-2")).then_refused(is_checked_out());
    after_checkout([]).when(Checkout { email: "eve@example.org".into(), ..check_out("o-1") }).then_refused(is_checked_out());
    // The order is over, and has taken the lines with it.
    after_checkout([closed("o-1")]).when(check_out("o-1")).then_nothing();
    let again = || Checkout { expected_total: Some(money("EUR", 1)), ..check_out("o-1") };
    after_checkout([closed("o-1")]).when(again()).then_refused(OrderUsedBefore { order_id: "o-1".into() });
}

#[test]
fn an_order_that_gave_the_cart_back_is_not_made_again() {
    let back = || after_checkout([reopened("o-1", &[line("A-1", 2)])]);
    back().when(check_out("o-1")).then_refused(OrderUsedBefore { order_id: "o-1".into() });
    back().when(check_out("o-2")).then([ordered(&check_out("o-2"), &[line("A-1", 2)])]);
}

#[test]
fn what_is_in_an_order_or_in_another_cart_shoppers_do_not_change() {
    after_checkout([]).when(add(1)).then_refused(is_checked_out());
    after_checkout([]).when(change(1)).then_refused(is_checked_out());
    after_checkout([]).when(remove()).then_refused(is_checked_out());
    let merged = || given::<Cart>([added(2), merged("k-2", &[line("A-1", 2)])]);
    merged().when(add(1)).then_refused(is_merged());
    merged().when(change(1)).then_refused(is_merged());
    merged().when(remove()).then_refused(is_merged());
    merged().when(check_out("o-1")).then_refused(is_merged());
}

#[test]
fn what_cannot_be_an_order_is_refused() {
    let empty = || CartEmpty { cart_id: CART.into() };
    given_nothing::<Cart>().when(check_out("o-1")).then_refused(empty());
    given::<Cart>([added(2), removed()]).when(check_out("o-1")).then_refused(empty());
    let coupons = || vec!["SUMMER".to_owned()];
    given::<Cart>([added(2)]).when(Checkout { coupons: coupons(), ..check_out("o-1") }).then_refused(UnknownCoupons { coupons: coupons() });
    given::<Cart>([taken(&many(0, 101))]).when(check_out("o-1")).then_refused(limit(101, 1));
    let hundred = many(0, 100);
    given::<Cart>([taken(&hundred)]).when(check_out("o-1")).then([ordered(&check_out("o-1"), &hundred)]);
}

#[test]
fn a_cart_gives_all_it_has_to_another_one_once() {
    given::<Cart>([added(2)]).when(merge("k-2")).then([merged("k-2", &[line("A-1", 2)])]);
    given::<Cart>([added(2), merged("k-2", &[line("A-1", 2)])]).when(merge("k-2")).then_nothing();
    given::<Cart>([added(2), merged("k-2", &[line("A-1", 2)])]).when(merge("k-3")).then_refused(is_merged());
    given_nothing::<Cart>().when(merge("k-2")).then([merged("k-2", &[])]);
    given::<Cart>([added(2)]).when(merge(CART)).then_refused(MergeIntoItself { cart_id: CART.into() });
}

#[test]
fn a_cart_that_is_checked_out_is_merged_too_and_its_order_s_lines_follow_when_they_are_back() {
    let lamps = || [line("A-1", 2)];
    after_checkout([]).when(merge("k-2")).then([merged("k-2", &[])]);
    after_checkout([]).when(take(&many(0, 2))).then_state(|s| assert_eq!(lines(s), many(0, 2)));
    let kept = || LinesTaken { expires_at: None, ..(&take(&many(0, 2))).into() }.into();
    after_checkout([kept()]).when(merge("k-2")).then([merged("k-2", &many(0, 2))]);
    let back = CartReopened { expires_at: None, lines: lamps().to_vec(), ..(&reopen("o-1")).into() }.into();
    after_checkout([merged("k-2", &[])]).when(reopen("o-1")).then([back, handed_over("k-2", &lamps(), &[CART])]);
    let over = CartClosed { expires_at: None, ..(&close("o-1")).into() }.into();
    after_checkout([merged("k-2", &[])]).when(close("o-1")).then([over]);
    after_checkout([merged("k-2", &[])]).when(check_out("o-1")).then_nothing();
}

#[test]
fn lines_of_another_cart_add_up_to_the_most_that_a_line_may_have() {
    given::<Cart>([added(600)]).when(take(&[line("B", 1), line("A-1", 600)])).then([taken(&[line("B", 1), line("A-1", 600)])]);
    given::<Cart>([added(600)])
        .when(take(&[line("B", 1), line("A-1", 600)]))
        .then_state(|s| assert_eq!(lines(s), [line("A-1", 999), line("B", 1)]));
}

#[test]
fn a_cart_keeps_up_to_500_lines_whichever_came_first() {
    let other = TakeLines { from: "cart/guest-2".into(), ..take(&many(0, 300)) };
    given::<Cart>([taken(&many(300, 600))]).when(other).then_state(|s| {
        let mut kept = lines(s);
        kept.sort_by(|a, b| a.sku.cmp(&b.sku));
        assert_eq!(kept, many(0, 500));
    });
}

#[test]
fn what_one_event_gave_away_is_taken_once() {
    let lamp = [line("A-1", 1)];
    given::<Cart>([taken(&lamp)]).when(take(&lamp)).then_nothing();
    let (later, elsewhere) =
        (TakeLines { handover: 3, ..take(&lamp) }, TakeLines { from: "wishlist/c-1".into(), through: vec![], ..take(&lamp) });
    given::<Cart>([taken(&lamp)]).when(later).then_state(|s| assert_eq!(lines(s), [line("A-1", 2)]));
    given::<Cart>([taken(&lamp)]).when(elsewhere).then_state(|s| assert_eq!(lines(s), [line("A-1", 2)]));
}

#[test]
fn empty_carts_that_are_merged_into_each_other_are_not_shut_for_ever() {
    let empty = |through: &[&str]| TakeLines { through: through.iter().map(|&id| id.into()).collect(), ..take(&[]) };
    given_nothing::<Cart>().when(empty(&["k-2"])).then_nothing();
    given::<Cart>([added(2)]).when(empty(&["k-2"])).then_nothing();
    // The one that hears of the circle is open again; the other one is merged into it.
    let came = LinesTaken { ..(&empty(&["k-2"])).into() };
    let ended = CartMergeEnded { cart_id: CART.into(), into: "k-2".into() };
    let expires_at = expiry(&context(SPEC_TIME));
    let came = LinesTaken { expires_at, ..came };
    given::<Cart>([merged("k-2", &[])]).when(empty(&["k-2"])).then([ended.into(), came.into()]);
    given::<Cart>([merged("k-3", &[])]).when(empty(&["k-2"])).then_state(|s| assert_eq!(lines(s), []));
}

#[test]
fn a_merged_cart_hands_on_what_comes() {
    let came = || LinesTaken { expires_at: None, ..(&take(&[line("B", 1)])).into() }.into();
    let history = || given::<Cart>([merged("k-2", &[])]);
    history().when(take(&[line("B", 1)])).then([came(), handed_over("k-2", &[line("B", 1)], &["guest-1", CART])]);
    history().when(take(&[line("B", 1)])).then_state(|s| assert_eq!(lines(s), []));
}

#[test]
fn merges_that_make_a_circle_or_a_chain_without_end_are_over() {
    let ended = || CartMergeEnded { cart_id: CART.into(), into: "guest-1".into() }.into();
    given::<Cart>([merged("guest-1", &[])]).when(take(&[line("B", 1)])).then([ended(), taken(&[line("B", 1)])]);
    given::<Cart>([merged("guest-1", &[]), ended(), taken(&[line("B", 1)])]).when(add(1)).then([added(1)]);
    let through = |n: usize| (0..n).map(|n| format!("g-{n}")).collect::<Vec<_>>();
    let long = |n| TakeLines { through: through(n), ..take(&[line("B", 1)]) };
    given::<Cart>([merged("guest-1", &[])])
        .when(long(100))
        .then([ended(), LinesTaken { expires_at: Some(at(EXPIRY)), ..(&long(100)).into() }.into()]);
    given::<Cart>([merged("guest-1", &[])]).when(long(99)).then_state(|s| assert_eq!(lines(s), []));
    // One that is checked out as well is not open yet.
    let kept = LinesTaken { expires_at: None, ..(&take(&[line("B", 1)])).into() };
    after_checkout([merged("guest-1", &[])]).when(take(&[line("B", 1)])).then([ended(), kept.into()]);
}

#[test]
fn reopening_names_its_order_and_has_exactly_one_answer() {
    after_checkout([]).when(reopen("o-1")).then([reopened("o-1", &[line("A-1", 2)])]);
    after_checkout([]).when(reopen("o-2")).then([not_reopened("o-2", "order-unknown")]);
    after_checkout([closed("o-1")]).when(reopen("o-1")).then([not_reopened("o-1", "order-over")]);
    let back = || after_checkout([reopened("o-1", &[line("A-1", 2)])]);
    back().when(reopen("o-1")).then([not_reopened("o-1", "order-over")]);
    back().when(change(5)).then([changed(5)]);
    given_nothing::<Cart>().when(reopen("o-1")).then([not_reopened("o-1", "order-unknown")]);
    given::<Cart>([merged("k-2", &[])]).when(reopen("o-1")).then([not_reopened("o-1", "order-unknown")]);
}

#[test]
fn an_order_that_wanted_the_cart_back_first_does_not_get_it_later() {
    given::<Cart>([not_reopened("o-1", "order-unknown"), added(2)])
        .when(check_out("o-1"))
        .then_refused(OrderUsedBefore { order_id: "o-1".into() });
    given::<Cart>([not_reopened("o-1", "order-unknown")]).when(reopen("o-1")).then([not_reopened("o-1", "order-over")]);
}

#[test]
fn a_life_ends_with_its_order_and_the_next_one_has_what_came_meanwhile() {
    after_checkout([]).when(close("o-1")).then([closed("o-1")]);
    after_checkout([closed("o-1")]).when(close("o-1")).then_nothing();
    after_checkout([]).when(close("o-2")).then_nothing();
    given_nothing::<Cart>().when(close("o-1")).then_nothing();
    let came = || LinesTaken { expires_at: None, ..(&take(&[line("A-1", 1), line("B", 1)])).into() }.into();
    after_checkout([came()]).when(close("o-1")).then_state(|s| assert_eq!(lines(s), [line("A-1", 1), line("B", 1)]));
    after_checkout([came()]).when(reopen("o-1")).then_state(|s| assert_eq!(lines(s), [line("A-1", 3), line("B", 1)]));
}

#[test]
fn a_cart_expires_at_its_own_time_whatever_the_clock_says() {
    let history = || given::<Cart>([added(2)]);
    history().at(SPEC_TIME).when(expire(EXPIRY)).then([expired(&[line("A-1", 2)])]);
    history().at(Instant::from_micros(i64::MAX)).when(expire(EXPIRY - 1)).then_nothing();
    given::<Cart>([added(2), expired(&[line("A-1", 2)])]).when(expire(EXPIRY)).then_nothing();
    given::<Cart>([added(2), removed()]).when(expire(EXPIRY)).then_nothing();
    given_nothing::<Cart>().when(expire(EXPIRY)).then_nothing();
    after_checkout([]).when(expire(EXPIRY)).then_nothing();
    given::<Cart>([added(2), merged("k-2", &[line("A-1", 2)])]).when(expire(EXPIRY)).then_nothing();
    // Who touches it moves its time.
    let later = QuantityChanged { expires_at: Some(at(EXPIRY + 60)), ..(&change(3)).into() };
    given::<Cart>([added(2)]).at(Instant::from_micros(SPEC_TIME.micros() + 60_000_000)).when(change(3)).then([later.clone().into()]);
    given::<Cart>([added(2), later.clone().into()]).when(expire(EXPIRY)).then_nothing();
    given::<Cart>([added(2), later.into()]).when(expire(EXPIRY + 60)).then([expired(&[line("A-1", 3)])]);
}

fn decide_as(kind: Who, id: &str, history: &[CartEvent], command: impl Into<CartCommand>) -> Decision<Cart> {
    let state = daybook_kernel::fold::<Cart>(history);
    let caller = Caller { kind: kind.into(), id: id.into(), ..Default::default() };
    Cart::decide(&state, &command.into(), &context(SPEC_TIME).with_request(&caller, "", ""))
}

#[test]
fn a_cart_is_of_whoever_spoke_to_it_first() {
    let claimed = |owner: &str| CartEvent::from(CartClaimed { cart_id: CART.into(), owner: owner.into() });
    assert_eq!(decide_as(Who::Guest, "g-1", &[], add(2)).events, [claimed("g-1"), added(2)]);
    assert_eq!(decide_as(Who::Customer, "c-1", &[claimed("g-1"), added(2)], add(2)).events, [added(2)]);
    // Anybody, and a process, own nothing; nor does who is refused.
    assert_eq!(decide_as(Who::Public, "", &[], add(2)).events, [added(2)]);
    assert_eq!(decide_as(Who::Process, "reactor/merge", &[], take(&[line("A-1", 1)])).events, [taken(&[line("A-1", 1)])]);
    assert_eq!(decide_as(Who::Guest, "g-1", &[], remove()).events, []);
    let state = daybook_kernel::fold::<Cart>(&[claimed("g-1"), added(2)]);
    assert_eq!(state.owner, "g-1");
}

#[test]
fn shoppers_do_not_say_when_they_ordered() {
    let then = || Checkout { ordered_at: Some(at(-60)), ..check_out("o-1") };
    let event = || {
        let content = ordering::content(&then(), &context(SPEC_TIME));
        CartEvent::from(CartCheckedOut { content, ordered_at: Some(at(-60)), ..checked_out("o-1", &[line("A-1", 2)]) })
    };
    given::<Cart>([added(2)]).when(then()).then([event()]);
    for shopper in [Who::Guest, Who::Customer] {
        let decision = decide_as(shopper, "", &[added(2)], then());
        assert_eq!(decision.refusal, Some(OrderedAtNotYours {}.into()));
    }
    assert_eq!(decide_as(Who::Staff, "", &[added(2)], then()).events, [event()]);
}

#[test]
fn nothing_was_ordered_in_the_future_but_clocks_may_differ() {
    let then = |seconds| Checkout { ordered_at: Some(at(seconds)), ..check_out("o-1") };
    let refused = OrderedInTheFuture { ordered_at: Some(at(301)), now: Some(at(0)) };
    given::<Cart>([added(2)]).when(then(301)).then_refused(refused);
    assert_eq!(decide_as(Who::Staff, "", &[added(2)], then(300)).refusal, None);
}

#[test]
fn lines_that_are_given_away_are_brought_to_the_cart_that_they_go_to() {
    let stream = StreamId::new("cart", CART);
    let react = |event: CartEvent| Merging::react(&event, &EventAt { stream: &stream, version: Version(7), recorded_at: SPEC_TIME });
    let brought = |through: &[&str]| {
        let through = through.iter().map(|id| (*id).to_owned()).collect();
        let (cart_id, from, lines) = ("k-2".into(), "cart/k-1".into(), vec![line("B", 1)]);
        [ServiceMessage::of(&CartCommand::from(TakeLines { cart_id, from, handover: 7, lines, through, owner: String::new() }))]
    };
    assert_eq!(react(merged("k-2", &[line("B", 1)])), brought(&[CART]));
    assert_eq!(react(merged("k-2", &[line("B", 1)]))[0].target.as_str(), "cart/k-2");
    assert_eq!(react(handed_over("k-2", &[line("B", 1)], &["guest-1", CART])), brought(&["guest-1", CART]));
    assert_eq!(react(merged("k-2", &[]))[0].target.as_str(), "cart/k-2", "also without lines");
    assert_eq!(react(added(1)), []);
}

#[test]
fn refusals_have_stable_codes() {
    let code = |refusal: CartRefusal| refusal.code();
    assert_eq!(code(CartEmpty::default().into()), "cart-empty");
    assert_eq!(code(is_checked_out().into()), "cart-is-checked-out");
    assert_eq!(code(is_merged().into()), "cart-is-merged");
    assert_eq!(code(limit(1, 1).into()), "line-limit");
    assert_eq!(code(UnknownLine::default().into()), "unknown-line");
    assert_eq!(code(UnknownCoupons::default().into()), "unknown-coupons");
}

#[test]
fn a_cart_that_is_checked_out_opens_its_order_with_all_that_it_says() {
    use daybook_proto::{CommandSet as _, MessageSet as _};
    use shop_proto::order::v1::{OrderCommand, RecordCartReopened};

    let stream = StreamId::new("cart", CART);
    let react = |event: CartEvent| CheckingOut::react(&event, &EventAt { stream: &stream, version: Version(7), recorded_at: SPEC_TIME });
    let sent = react(CartCheckedOut { ordered_at: Some(at(-60)), ..checked_out("o-1", &[line("A-1", 2), line("B", 1)]) }.into());
    assert_eq!((sent.len(), sent[0].target.as_str()), (1, "order/o-1"));
    let command = OrderCommand::decode(sent[0].type_name, &sent[0].bytes).expect("as it was encoded");
    assert_eq!(command.violations(), []);
    let OrderCommand::OpenOrder(order) = command else { panic!("{command:?}") };
    let lines: Vec<_> = order.lines.iter().map(|line| (line.sku.as_str(), line.quantity)).collect();
    assert_eq!(lines, [("A-1", 2), ("B", 1)]);
    let said = check_out("o-1");
    assert_eq!(
        (order.cart_id, order.customer_id, order.email, order.delivery),
        (said.cart_id, said.customer_id, said.email, said.delivery)
    );
    assert_eq!((order.shipping_address, order.payment_token.as_str()), (said.shipping_address, "tok_ok"));
    assert_eq!((order.expected_total, order.ordered_at), (said.expected_total, Some(at(-60))));

    let told = |reopened| {
        let command = RecordCartReopened { order_id: "o-1".into(), cart_id: CART.into(), reopened };
        [ServiceMessage::of(&OrderCommand::from(command))]
    };
    assert_eq!(react(reopened("o-1", &[line("A-1", 2)])), told(true));
    assert_eq!(react(not_reopened("o-1", "order-over")), told(false));
    assert_eq!(react(closed("o-1")), []);
}

#[test]
fn a_cart_that_is_nobodys_is_theirs_whose_lines_come_first() {
    let claimed = |owner: &str| CartEvent::from(CartClaimed { cart_id: CART.into(), owner: owner.into() });
    let given_by = |owner: &str, lines: &[CartLine]| TakeLines { owner: owner.into(), ..take(lines) };
    given_nothing::<Cart>().when(given_by("c-1", &[line("B", 1)])).then([claimed("c-1"), taken(&[line("B", 1)])]);
    given_nothing::<Cart>().when(given_by("c-1", &[])).then([claimed("c-1")]);
    given::<Cart>([claimed("g-1")]).when(given_by("c-1", &[line("B", 1)])).then([taken(&[line("B", 1)])]);
    // Who logs in takes them along; of what staff merges, whose it was.
    let owner = |who: Who, id: &str| {
        let decision = decide_as(who, id, &[claimed("g-1"), added(2)], merge("k-2"));
        decision.events.iter().find_map(|event| if let CartEvent::CartMerged(e) = event { Some(e.owner.clone()) } else { None })
    };
    assert_eq!((owner(Who::Customer, "c-1"), owner(Who::Staff, "s-1")), (Some("c-1".into()), Some("g-1".into())));
}
