//! `customers`: a customer's account, for themselves and for staff.

use daybook_kernel::{EventAt, Part, Projection, ReadModel, StreamId};
use shop_proto::customer::v1::{CustomerAddress, CustomerEvent, CustomerStatus};
use shop_proto::read::v1::CustomerPage;

const CUSTOMER: &str = "customer";

pub(crate) fn read_model() -> ReadModel {
    ReadModel::of::<CustomerPage>("customers", Some(CUSTOMER)).with::<Customers>()
}

struct Customers;

impl Projection for Customers {
    type Event = CustomerEvent;
    type View = CustomerPage;
    type Model = CustomerPage;

    fn fold(page: &mut CustomerPage, event: &CustomerEvent, at: &EventAt<'_>) {
        use CustomerEvent as E;
        match event {
            E::CustomerRegistered(e) => {
                *page = CustomerPage {
                    customer_id: e.customer_id.clone(),
                    name: e.name.clone(),
                    phone: e.phone.clone(),
                    asked_email: e.email.clone(),
                    registered_at: Some(at.recorded_at.to_proto()),
                    ..Default::default()
                };
                page.set_status(CustomerStatus::Pending);
            }
            E::EmailConfirmed(e) => {
                page.email.clone_from(&e.email);
                page.asked_email.clear();
                page.set_status(CustomerStatus::Active);
            }
            E::RegistrationRejected(e) => {
                let taken_email = std::mem::take(&mut page.asked_email);
                *page = CustomerPage { customer_id: e.customer_id.clone(), taken_email, ..Default::default() };
                page.set_status(CustomerStatus::Rejected);
            }
            E::EmailChangeAsked(e) => {
                page.asked_email.clone_from(&e.email);
                page.taken_email.clear();
            }
            E::EmailChangeWithdrawn(_) => page.asked_email.clear(),
            E::EmailChangeRejected(_) => page.taken_email = std::mem::take(&mut page.asked_email),
            E::ContactChanged(e) => {
                let wanted = if page.asked_email.is_empty() { &mut page.email } else { &mut page.asked_email };
                for (field, new) in [(wanted, &e.email), (&mut page.name, &e.name), (&mut page.phone, &e.phone)] {
                    if let Some(new) = new {
                        field.clone_from(new);
                    }
                }
            }
            E::AddressAdded(e) => {
                page.addresses.push(CustomerAddress { address_id: e.address_id.clone(), address: e.address.clone() });
            }
            E::AddressChanged(e) => {
                if let Some(known) = page.addresses.iter_mut().find(|a| a.address_id == e.address_id) {
                    known.address.clone_from(&e.address);
                }
            }
            E::AddressDropped(e) => page.addresses.retain(|a| a.address_id != e.address_id),
            E::AccountClosed(e) => {
                *page = CustomerPage { customer_id: e.customer_id.clone(), ..Default::default() };
                page.set_status(CustomerStatus::Closed);
            }
            E::LateEmailGivenUp(_) => {}
        }
        page.version = at.version.0;
        page.updated_at = Some(at.recorded_at.to_proto());
    }

    fn render(page: &CustomerPage, _: &StreamId) -> Vec<Part<CustomerPage>> {
        // Nobody registered: an answer to somebody who never asked.
        if page.customer_id.is_empty() {
            return Vec::new();
        }
        vec![Part { key: page.customer_id.clone(), part: CUSTOMER.to_owned(), message: page.clone() }]
    }
}

#[cfg(test)]
pub(crate) use spec::samples;

#[cfg(test)]
mod spec {
    use daybook_kernel::{Instant, Version};
    use shop_proto::customer::v1::ChangeContact;
    use shop_proto::samples::customer::*;
    use shop_proto::samples::with;

    use super::*;
    use crate::merging::Sample;

    const HOME: &str = "ann@example.org";
    const WORK: &str = "ann@example.com";

    fn active() -> Vec<CustomerEvent> {
        vec![registered(HOME, claim_of("h", 1)), confirmed(HOME, claim_of("h", 1), None)]
    }

    /// Wants another address beside the one that stands.
    fn moving() -> Vec<CustomerEvent> {
        [active(), vec![change_asked(WORK, claim_of("w", 2), None)]].concat()
    }

    /// See `crate::samples`.
    pub(crate) fn samples() -> Vec<Sample> {
        let refused = [moving(), vec![address_added("home", "Street 1"), change_rejected(claim_of("w", 2))]].concat();
        let bob = with(&registered("bob@example.org", claim_of("b", 1)), "customer_id", "c-2");
        vec![Sample::of("c-1", refused), Sample::of("c-2", [bob])]
    }

    fn page(events: &[CustomerEvent]) -> Option<CustomerPage> {
        let stream = StreamId::new("customer", "c-1");
        let mut view = CustomerPage::default();
        for (n, event) in (1..).zip(events) {
            let at = EventAt { stream: &stream, version: Version(n), recorded_at: Instant::from_micros(n.cast_signed() * 1_000_000) };
            Customers::fold(&mut view, event, &at);
        }
        let mut parts = Customers::render(&view, &stream);
        assert!(parts.len() < 2);
        let part = parts.pop()?;
        assert_eq!((part.key.as_str(), part.part.as_str(), &part.message), ("c-1", "customer", &view), "it is kept once");
        Some(part.message)
    }

    /// The address that stands, the one that is wanted, and the one that is another's.
    fn emails(events: &[CustomerEvent]) -> [String; 3] {
        let page = page(events).expect("a page");
        [page.email, page.asked_email, page.taken_email]
    }

    fn after(history: Vec<CustomerEvent>, event: CustomerEvent) -> Vec<CustomerEvent> {
        [history, vec![event]].concat()
    }

    #[test]
    fn a_page_tells_what_is_known_from_the_registration_on() {
        let pending = page(&active()[..1]).expect("a page");
        assert_eq!(
            (pending.status(), pending.name.as_str(), pending.phone.as_str()),
            (CustomerStatus::Pending, "Ann Other", "+49 30 901820")
        );
        let active = page(&active()).expect("a page");
        assert_eq!((active.status(), active.version), (CustomerStatus::Active, 2));
        assert_eq!((active.registered_at.map(|at| at.seconds), active.updated_at.map(|at| at.seconds)), (Some(1), Some(2)));
        assert_eq!(page(&[]), None);
        assert_eq!(page(&[late_given_up(claim_of("h", 1))]), None, "an answer to nobody");
    }

    #[test]
    fn an_address_stands_until_the_new_one_is_known_to_be_theirs() {
        assert_eq!(emails(&active()[..1]), ["", HOME, ""]);
        assert_eq!(emails(&active()), [HOME, "", ""]);
        assert_eq!(emails(&moving()), [HOME, WORK, ""]);
        assert_eq!(emails(&after(moving(), confirmed(WORK, claim_of("w", 2), Some(claim_of("h", 1))))), [WORK, "", ""]);
        assert_eq!(emails(&after(moving(), change_withdrawn(claim_of("w", 2)))), [HOME, "", ""]);
        let refused = after(moving(), change_rejected(claim_of("w", 2)));
        assert_eq!(emails(&refused), [HOME, "", WORK]);
        assert_eq!(emails(&after(refused, change_asked("a@b", claim_of("x", 3), None))), [HOME, "a@b", ""]);
    }

    #[test]
    fn another_spelling_is_of_the_address_that_is_wanted() {
        let spelled = changed(&change_email("ANN@example.org"));
        assert_eq!(emails(&after(active(), spelled)), ["ANN@example.org", "", ""]);
        let spelled = changed(&change_email("ANN@example.com"));
        assert_eq!(emails(&after(moving(), spelled)), [HOME, "ANN@example.com", ""]);
        let named =
            page(&after(active(), changed(&ChangeContact { name: Some("Ann Elk".into()), phone: Some(String::new()), ..change() })));
        assert_eq!(named.map(|page| (page.name, page.phone, page.email)), Some(("Ann Elk".into(), String::new(), HOME.into())));
    }

    #[test]
    fn addresses_are_shown_in_the_order_in_which_they_were_added() {
        let lines = |events: &[CustomerEvent]| {
            let all = page(events).expect("a page").addresses;
            all.into_iter().map(|a| (a.address_id, a.address.expect("one").line1)).collect::<Vec<_>>()
        };
        let of = |all: &[(&str, &str)]| all.iter().map(|(id, line)| ((*id).to_owned(), (*line).to_owned())).collect::<Vec<_>>();
        let two = after(after(active(), address_added("work", "Street 1")), address_added("home", "Street 2"));
        assert_eq!(lines(&two), of(&[("work", "Street 1"), ("home", "Street 2")]));
        let moved = after(two, address_changed("work", "Street 3"));
        assert_eq!(lines(&moved), of(&[("work", "Street 3"), ("home", "Street 2")]));
        assert_eq!(lines(&after(moved, address_dropped("work"))), of(&[("home", "Street 2")]));
    }

    #[test]
    fn what_came_to_nothing_and_what_is_over_is_told_without_the_person() {
        let rejected = page(&[active().remove(0), rejected(claim_of("h", 1))]).expect("a page");
        assert_eq!((rejected.status(), rejected.taken_email.as_str(), rejected.name.as_str()), (CustomerStatus::Rejected, HOME, ""));
        let closed = page(&after(moving(), closed(vec![]))).expect("a page");
        let updated_at = closed.updated_at;
        let bare = CustomerPage { customer_id: customer_id(), version: 4, updated_at, ..Default::default() };
        assert_eq!(closed, CustomerPage { status: CustomerStatus::Closed.into(), ..bare });
    }
}
