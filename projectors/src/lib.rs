//! The shop's read models, a file each. Pure: what an event means to a page. The runner is the engine's.

use daybook_kernel::ReadModel;

/// The list: a new read model is a file, and a line here. Each file has its `read_model`, and for tests its `samples`.
macro_rules! read_models {
    ($($file:ident),* $(,)?) => {
        $(mod $file;)*

        /// Every read model of the shop.
        pub fn read_models() -> Vec<ReadModel> {
            vec![$($file::read_model()),*]
        }

        /// Each read model with streams of every kind that it reads, such that together they set each of its fields, and every kind
        /// of part that has brothers under its key has one.
        #[cfg(test)]
        fn samples() -> Vec<(ReadModel, Vec<merging::Sample>)> {
            vec![$(($file::read_model(), $file::samples())),*]
        }
    };
}

read_models! {
    product_pages,
    category_listings,
    stock_levels,
    product_search,
    reorder_alerts,
    customers,
    wishlists,
    carts,
    warehouses,
    orders,
    customer_orders,
    payments,
    shipments,
    returns,
    sales,
    order_waits,
    stock_value,
}

/// The rules of merging, held for every read model of the list.
#[cfg(test)]
mod merging {
    use std::collections::{BTreeMap, BTreeSet};

    use daybook_kernel::{EventAt, Instant, RenderedPart, StreamId, Version};
    use daybook_proto::EventSet;
    use daybook_testkit::fuzz::damaged;
    use proptest::prelude::*;
    use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, Value};

    use super::*;

    /// A stream that a read model is tried with.
    pub(crate) struct Sample {
        service: &'static str,
        stream: StreamId,
        events: Vec<(&'static str, Vec<u8>)>,
    }

    impl Sample {
        pub(crate) fn of<E: EventSet>(key: &str, events: impl IntoIterator<Item = E>) -> Self {
            Self {
                service: E::SERVICE,
                stream: StreamId::new(E::AGGREGATE, key),
                events: events.into_iter().map(|e| (e.type_name(), e.encode_to_vec())).collect(),
            }
        }
    }

    /// A part, and what kind it is: its stream's aggregate, and what stands before the slash of its id.
    #[derive(Clone)]
    struct Kept {
        kind: String,
        /// Others of its kind may stand under its key.
        one_of_many: bool,
        part: RenderedPart,
    }

    /// The parts that a stream's first `events` make.
    fn parts(model: &ReadModel, sample: &Sample, events: usize) -> Vec<Kept> {
        let aggregate = sample.stream.aggregate();
        let fold = model.fold(sample.service, aggregate).unwrap_or_else(|| panic!("{} does not read {aggregate}", model.name));
        let mut view = fold.new_view();
        for (version, (type_name, payload)) in (1..).zip(&sample.events[..events]) {
            let at = EventAt { stream: &sample.stream, version: Version(version), recorded_at: Instant::from_micros(1_000_000) };
            fold.fold(&mut view, type_name, payload, &at).expect("a sample can be folded");
        }
        let rendered = fold.render(&view, &sample.stream).expect("a view can be rendered");
        rendered
            .into_iter()
            .map(|part| {
                let prefix = part.part.split_once('/').map(|(prefix, _)| prefix);
                // The id of a list's part begins with its sort key: that is no kind.
                let (kind, one_of_many) = match (model.root, prefix) {
                    (None, _) => (aggregate.to_owned(), true),
                    (Some(_), Some(prefix)) => (format!("{aggregate} {prefix}"), true),
                    (Some(_), None) => (format!("{aggregate} {}", part.part), false),
                };
                Kept { kind, one_of_many, part }
            })
            .collect()
    }

    fn descriptor(model: &ReadModel) -> MessageDescriptor {
        shop_proto::descriptors().get_message_by_name(model.message).expect("a read model's message is the shop's")
    }

    fn decode(of: &MessageDescriptor, bytes: &[u8]) -> DynamicMessage {
        DynamicMessage::decode(of.clone(), bytes).expect("parts are messages of the read model")
    }

    fn count(value: &Value) -> usize {
        value.as_list().map_or(0, <[Value]>::len)
    }

    /// The rules that do not hold for parts that stand, or could stand, under one key.
    fn faults(of: &MessageDescriptor, parts: &[Kept]) -> Vec<String> {
        let decoded: Vec<(&Kept, DynamicMessage)> = parts.iter().map(|p| (p, decode(of, &p.part.bytes))).collect();
        let mut faults = BTreeSet::new();
        for field in of.fields() {
            let set: Vec<_> = decoded.iter().filter(|(_, m)| m.has_field(&field)).collect();
            let kinds: BTreeSet<&str> = set.iter().map(|(p, _)| p.kind.as_str()).collect();
            let shared = kinds.len() > 1 || set.iter().any(|(p, _)| p.one_of_many);
            if !shared {
                continue;
            }
            let name = field.name();
            if field.is_map() {
                let mut writers: BTreeMap<String, BTreeSet<(&str, &str)>> = BTreeMap::new();
                for (p, m) in &set {
                    for key in m.get_field(&field).as_map().into_iter().flat_map(|map| map.keys()) {
                        writers.entry(format!("{key:?}")).or_default().insert((&p.kind, &p.part.part));
                    }
                }
                faults.extend(writers.iter().filter(|(_, w)| w.len() > 1).map(|(k, w)| format!("map {name} has {k} from {w:?}")));
            } else if field.is_list() {
                let long = set.iter().filter(|(_, m)| count(&m.get_field(&field)) > 1);
                faults.extend(long.map(|(p, _)| format!("{name} is shared, but {} has more than one element", p.kind)));
            } else {
                faults.insert(format!("{name} is singular, but set by {kinds:?}, which may meet under one key"));
            }
        }
        faults.into_iter().collect()
    }

    #[test]
    fn a_singular_field_belongs_to_one_kind_of_part_and_kinds_share_only_lists_and_disjoint_maps() {
        for (model, samples) in samples() {
            let of = descriptor(&model);
            let all: Vec<Kept> = samples.iter().flat_map(|s| (0..=s.events.len()).flat_map(|n| parts(&model, s, n))).collect();
            assert_eq!(faults(&of, &all), Vec::<String>::new(), "{}", model.name);

            // Samples that leave a field or a projection out would hold nothing.
            let set = |field: &FieldDescriptor| all.iter().any(|p| decode(&of, &p.part.bytes).has_field(field));
            let unset: Vec<_> = of.fields().filter(|f| !set(f)).map(|f| f.name().to_owned()).collect();
            assert!(unset.is_empty(), "{}: no sample sets {unset:?}", model.name);
            for fold in &model.folds {
                let of_it = |s: &&Sample| (s.service, s.stream.aggregate()) == (fold.service(), fold.aggregate());
                let made: usize = samples.iter().filter(of_it).map(|s| parts(&model, s, s.events.len()).len()).sum();
                assert!(made > 0, "{}: no sample of {} makes a part", model.name, fold.aggregate());
            }
            if let Some(root) = model.root {
                assert!(all.iter().any(|p| p.part.part.starts_with(root)), "{}: no sample makes its root {root}", model.name);
            }
        }
    }

    #[test]
    fn no_part_stands_under_a_key_that_is_not_told() {
        for (model, samples) in samples() {
            for sample in samples {
                let fold = model.fold(sample.service, sample.stream.aggregate()).expect("the model reads its samples");
                let mut view = fold.new_view();
                for (version, (type_name, payload)) in (1..).zip(&sample.events) {
                    let at = EventAt { stream: &sample.stream, version: Version(version), recorded_at: Instant::from_micros(1_000_000) };
                    let mut told = BTreeSet::new();
                    fold.fold_in_place(&mut view, type_name, payload, &at, &mut |key| _ = told.insert(key.to_owned())).expect("a sample");
                    for part in fold.render(&view, &sample.stream).expect("a view can be rendered") {
                        assert!(told.contains(&part.key), "{}: {} after event {version}", model.name, part.key);
                    }
                }
            }
        }
    }

    #[test]
    fn a_part_has_exactly_one_stream_as_its_writer() {
        for (model, samples) in samples() {
            let mut writers: BTreeMap<(String, String), BTreeSet<StreamId>> = BTreeMap::new();
            for sample in samples {
                for Kept { part, .. } in (0..=sample.events.len()).flat_map(|n| parts(&model, &sample, n)) {
                    writers.entry((part.key, part.part)).or_default().insert(sample.stream.clone());
                }
            }
            for (part, streams) in writers {
                assert_eq!(streams.len(), 1, "{}: {part:?} is written by {streams:?}", model.name);
            }
        }
    }

    #[test]
    fn each_read_model_says_who_may_read_it() {
        for model in read_models() {
            if let Err(why) = model.access {
                panic!("{why}");
            }
        }
    }

    /// The test above finds what it is for.
    #[test]
    fn parts_that_would_not_merge_are_found() {
        use prost::Message as _;
        use shop_proto::read::v1::{ProductPage, StockLine};
        let of = shop_proto::descriptors().get_message_by_name("shop.read.v1.ProductPage").expect("the shop's");
        let kept = |kind: &str, id: &str, one_of_many, page: ProductPage| Kept {
            kind: kind.to_owned(),
            one_of_many,
            part: RenderedPart { key: "A-1".into(), part: id.to_owned(), bytes: page.encode_to_vec() },
        };
        let titled = || ProductPage { title: "Lamp".into(), ..Default::default() };
        let coloured = || ProductPage { attributes: [("colour".into(), "red".into())].into(), ..Default::default() };
        let lines = |n| ProductPage { stock: vec![StockLine { on_hand: 1, ..Default::default() }; n], ..Default::default() };

        assert_eq!(faults(&of, &[kept("a", "a", false, titled()), kept("b", "b/1", true, lines(1))]), Vec::<String>::new());
        assert_eq!(faults(&of, &[kept("a", "a", false, titled()), kept("b", "b", false, titled())]).len(), 1, "a singular field twice");
        assert_eq!(faults(&of, &[kept("b", "b/1", true, titled())]).len(), 1, "a singular field in one of many");
        assert_eq!(faults(&of, &[kept("a", "a", false, coloured()), kept("b", "b", false, coloured())]).len(), 1, "a map's key twice");
        assert_eq!(faults(&of, &[kept("b", "b/1", true, lines(2))]).len(), 1, "two elements in one of many");
    }

    /// Merging by the book: singular fields from whoever sets them, lists one after the other, maps together.
    fn merged(of: &MessageDescriptor, parts: &[&RenderedPart]) -> DynamicMessage {
        let mut page = DynamicMessage::new(of.clone());
        for part in parts {
            let part = decode(of, &part.bytes);
            for field in of.fields().filter(|f| part.has_field(f)) {
                let new = part.get_field(&field).into_owned();
                match (page.get_field_mut(&field), new) {
                    (Value::List(all), Value::List(new)) => all.extend(new),
                    (Value::Map(all), Value::Map(new)) => all.extend(new),
                    (one, new) => *one = new,
                }
            }
        }
        page
    }

    proptest! {
        /// However far each stream has been read, and in whatever order.
        #[test]
        fn concatenated_parts_decode_to_the_merged_page(read in prop::collection::vec(0..100_usize, 16)) {
            for (model, samples) in samples() {
                let of = descriptor(&model);
                let mut pages: BTreeMap<String, BTreeMap<String, RenderedPart>> = BTreeMap::new();
                for (sample, read) in samples.iter().zip(read.iter().cycle()) {
                    for Kept { part, .. } in parts(&model, sample, read % (sample.events.len() + 1)) {
                        pages.entry(part.key.clone()).or_default().insert(part.part.clone(), part);
                    }
                }
                for parts in pages.values() {
                    let in_order: Vec<&RenderedPart> = parts.values().collect();
                    let bytes: Vec<u8> = in_order.iter().flat_map(|p| p.bytes.iter().copied()).collect();
                    prop_assert_eq!(decode(&of, &bytes), merged(&of, &in_order));
                }
            }
        }

        /// Events come from the log and from Kafka: one that is damaged is folded, or refused with the reason; the view can be
        /// kept and rendered after it, or says why not.
        #[test]
        fn a_damaged_event_is_folded_or_refused_with_a_reason(
            which in any::<prop::sample::Index>(),
            bytes in damaged(Just(vec![])),
            cut in any::<(prop::sample::Index, prop::sample::Index, u8)>(),
        ) {
            for (model, all) in samples() {
                let sample = &all[which.index(all.len())];
                let fold = model.fold(sample.service, sample.stream.aggregate()).expect("a projection folds it");
                let mut view = fold.new_view();
                for (type_name, payload) in &sample.events {
                    let at = EventAt { stream: &sample.stream, version: Version(1), recorded_at: Instant::default() };
                    let mut damaged = payload.clone();
                    damaged.truncate(cut.0.index(payload.len() + 1));
                    damaged.extend(&bytes);
                    if !damaged.is_empty() {
                        let at = cut.1.index(damaged.len());
                        damaged[at] ^= cut.2;
                    }
                    if let Err(why) = fold.fold(&mut view, type_name, &damaged, &at) {
                        prop_assert!(!why.to_string().is_empty());
                    }
                    if let Err(why) = fold.render(&view, &sample.stream) {
                        prop_assert!(!why.to_string().is_empty());
                    }
                    prop_assert!(fold.decode_view(&fold.encode_view(&view)).is_ok());
                }
            }
        }
    }
}
