use super::*;

#[test]
fn a_schema_that_does_not_fit_is_told() {
    let message = shop_proto::descriptors().get_message_by_name("shop.read.v1.SearchedProduct").expect("the shop's");
    for wrong in [
        SearchSchema { title: "name".into(), ..schema() },
        SearchSchema { title: "price".into(), ..schema() },
        SearchSchema { price: "price".into(), ..schema() },
        SearchSchema { attributes: "title".into(), ..schema() },
        SearchSchema { created: "title".into(), ..schema() },
    ] {
        assert!(SearchReader::new(wrong.clone(), &message).is_err(), "{wrong:?}");
    }
}
