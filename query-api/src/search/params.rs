//! Parameters of a search's URL.

use daybook_http::Problem;
use daybook_search::{FacetsAsked, Filter, SearchRequest, SearchSchema, SearchSort};

/// Longest query, in characters.
pub(super) const LONGEST_QUERY: usize = 256;
/// Longest page.
pub(super) const LONGEST_PAGE: usize = 100;
/// A page when nobody says how long.
pub(super) const PAGE: usize = 20;
/// Most suggestions.
pub(super) const MOST_SUGGESTIONS: usize = 20;
/// Suggestions when nobody says how many.
pub(super) const SUGGESTIONS: usize = 8;
/// Most values of one filter: brands, categories, those of one property.
pub(super) const MOST_VALUES: usize = 50;
/// Longest name of a brand, a category or a property's value, in bytes.
pub(super) const LONGEST_NAME: usize = 1_000;

fn invalid<T>(field: &str, message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::invalid(field, message))
}

fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, Problem> {
    Ok(daybook_http::pairs(query)?.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

/// A parameter that stands once at most.
fn once(slot: &mut Option<String>, name: &str, value: String) -> Result<(), Problem> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => invalid(name, "must stand once"),
    }
}

fn text(value: Option<String>) -> Result<String, Problem> {
    let text = value.unwrap_or_default();
    if text.chars().count() > LONGEST_QUERY { invalid("q", format!("must be at most {LONGEST_QUERY} characters")) } else { Ok(text) }
}

fn number(name: &str, value: Option<String>, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(value) = value else { return Ok(default) };
    match value.parse() {
        Ok(n) if (1..=most).contains(&n) => Ok(n),
        _ => invalid(name, format!("must be a number from 1 to {most}, is {}", daybook_proto::shown(&value))),
    }
}

fn price(name: &str, value: Option<String>) -> Result<Option<i64>, Problem> {
    let Some(value) = value else { return Ok(None) };
    match value.parse::<i64>() {
        Ok(n) if n >= 0 => Ok(Some(n)),
        _ => {
            invalid(name, format!("must be a whole number of the currency's smallest unit, 0 or more, is {}", daybook_proto::shown(&value)))
        }
    }
}

/// The name of a property's filter and facet: `attributes.colour`.
pub(super) fn of_property(schema: &SearchSchema, name: &str) -> String {
    format!("{}.{name}", schema.attributes)
}

/// A property by the name of its filter or facet; none where it is another one's.
fn property<'a>(schema: &SearchSchema, name: &'a str) -> Option<&'a str> {
    name.strip_prefix(schema.attributes.as_str())?.strip_prefix('.')
}

/// The filters of properties that there are, for whoever asks for another.
fn declared(schema: &SearchSchema) -> String {
    if schema.filters.is_empty() {
        return "no property is declared as a filter (--search-filters)".to_owned();
    }
    let all: Vec<String> = schema.filters.iter().map(|name| of_property(schema, name)).collect();
    format!("of the properties, these are declared as filters (--search-filters): {}", all.join(", "))
}

/// As it was typed, but no longer than somebody reads.
fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}

fn currency(schema: &SearchSchema, value: Option<String>) -> Result<String, Problem> {
    let Some(value) = value else { return Ok(schema.default_currency.clone()) };
    match (schema.decimals)(&value) {
        Some(_) => Ok(value),
        None => {
            invalid("currency", format!("must be a currency of ISO 4217 in capitals, for example EUR, is {}", daybook_proto::shown(&value)))
        }
    }
}

/// Reads the parameters of a search, and its page token.
///
/// # Errors
/// 400, naming the first that is wrong.
pub(super) fn search(query: Option<&str>, schema: &SearchSchema) -> Result<(SearchRequest, Option<String>), Problem> {
    let [mut q, mut min, mut max, mut stock, mut sort, mut facets, mut size, mut token, mut priced] = [const { None }; 9];
    let mut filter = Filter::default();
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "q" => once(&mut q, "q", value)?,
            "price_min" => once(&mut min, "price_min", value)?,
            "price_max" => once(&mut max, "price_max", value)?,
            "in_stock" => once(&mut stock, "in_stock", value)?,
            "sort" => once(&mut sort, "sort", value)?,
            "facets" => once(&mut facets, "facets", value)?,
            "page_size" => once(&mut size, "page_size", value)?,
            "page_token" => once(&mut token, "page_token", value)?,
            "currency" => once(&mut priced, "currency", value)?,
            _ if name == "brand"
                || name == "category"
                || property(schema, &name).is_some_and(|p| schema.filters.iter().any(|f| f == p)) =>
            {
                let values = match (name.as_str(), property(schema, &name)) {
                    ("brand", _) => &mut filter.brands,
                    (_, Some(property)) => filter.properties.entry(property.to_owned()).or_default(),
                    _ => &mut filter.categories,
                };
                if value.is_empty() || value.len() > LONGEST_NAME || values.len() == MOST_VALUES {
                    return invalid(&name, format!("must be 1 to {LONGEST_NAME} bytes, and stand at most {MOST_VALUES} times"));
                }
                values.push(value);
            }
            other if property(schema, other).is_some() => {
                return invalid(&shown(other), format!("can't be filtered by: {}", declared(schema)));
            }
            other => {
                let known = "q, brand, category, currency, price_min, price_max, in_stock, sort, facets, page_size, page_token";
                return invalid(&shown(other), format!("is no parameter of a search: {known}; {}", declared(schema)));
            }
        }
    }
    filter.currency = Some(currency(schema, priced)?);
    filter.price_min = price("price_min", min)?;
    filter.price_max = price("price_max", max)?;
    if let (Some(min), Some(max)) = (filter.price_min, filter.price_max)
        && min > max
    {
        return invalid("price_max", "must not be less than price_min");
    }
    filter.in_stock = match stock.as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => return invalid("in_stock", format!("must be true or false, is {}", daybook_proto::shown(other))),
    };
    // The same filter is the same, however it is written.
    for values in [&mut filter.brands, &mut filter.categories].into_iter().chain(filter.properties.values_mut()) {
        values.sort_unstable();
        values.dedup();
    }
    let sort = match sort.as_deref() {
        None | Some("relevance") => SearchSort::Relevance,
        Some("price_asc") => SearchSort::PriceAscending,
        Some("price_desc") => SearchSort::PriceDescending,
        Some("newest") => SearchSort::Newest,
        Some("title") => SearchSort::Title,
        Some(other) => {
            let must = "must be relevance, price_asc, price_desc, newest or title";
            return invalid("sort", format!("{must}, is {}", daybook_proto::shown(other)));
        }
    };
    let mut asked = FacetsAsked::default();
    for facet in facets.iter().flat_map(|f| f.split(',')).map(str::trim).filter(|f| !f.is_empty()) {
        match facet {
            "brand" => asked.brand = true,
            "category" => asked.category = true,
            "price" => asked.price = true,
            _ => match property(schema, facet) {
                Some(property) if schema.filters.iter().any(|f| f == property) => {
                    if !asked.properties.iter().any(|p| p == property) {
                        asked.properties.push(property.to_owned());
                    }
                }
                Some(_) => return invalid("facets", format!("{} can't be counted: {}", shown(facet), declared(schema))),
                None => {
                    return invalid(
                        "facets",
                        format!("must be brand, category, price and properties, separated by commas; {}", declared(schema)),
                    );
                }
            },
        }
    }
    let limit = number("page_size", size, PAGE, LONGEST_PAGE)?;
    let request = SearchRequest { text: text(q)?, filter, sort, facets: asked, limit };
    Ok((request, token.filter(|t| !t.is_empty())))
}

/// Reads the parameters of a suggestion: the text so far, and how many are wanted.
///
/// # Errors
/// 400, naming the first that is wrong.
pub(super) fn suggest(query: Option<&str>) -> Result<(String, usize), Problem> {
    let [mut q, mut limit] = [const { None }; 2];
    for (name, value) in pairs(query)? {
        match name.as_str() {
            "q" => once(&mut q, "q", value)?,
            "limit" => once(&mut limit, "limit", value)?,
            other => return invalid(&shown(other), "is no parameter of suggestions: q, limit"),
        }
    }
    Ok((text(q)?, number("limit", limit, SUGGESTIONS, MOST_SUGGESTIONS)?))
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;

    use super::super::tests::schema;
    use super::*;

    #[test]
    fn what_is_asked_is_read() {
        let url = "q=usb%20hub&brand=HP&brand=A,B&category=Cables&price_min=1&price_max=500&in_stock=true&sort=price_asc&facets=brand,price,attributes.colour&page_size=5&page_token=t\
                   &currency=JPY&attributes.colour=red&attributes.colour=blue&attributes.colour=red&attributes.shoe%20size=42";
        let (request, token) = search(Some(url), &schema()).expect("valid");
        let filter = Filter {
            brands: vec!["A,B".into(), "HP".into()],
            categories: vec!["Cables".into()],
            properties: [("colour", vec!["blue", "red"]), ("shoe size", vec!["42"])]
                .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()))
                .into(),
            currency: Some("JPY".into()),
            price_min: Some(1),
            price_max: Some(500),
            in_stock: Some(true),
        };
        assert_eq!((request.text.as_str(), request.filter), ("usb hub", filter));
        assert_eq!((request.sort, request.limit), (SearchSort::PriceAscending, 5));
        assert_eq!(request.facets, FacetsAsked { brand: true, category: false, price: true, properties: vec!["colour".into()] });
        assert_eq!(token.as_deref(), Some("t"));
        let (everything, _) = search(None, &schema()).expect("nothing is something");
        assert_eq!(everything.filter.currency.as_deref(), Some("EUR"), "the shop's");
        assert_eq!((everything.text.as_str(), everything.limit), ("", PAGE));
        assert_eq!(suggest(Some("q=la&limit=3")).expect("valid"), ("la".to_owned(), 3));
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let long = format!("q={}", "x".repeat(257));
        for (url, field) in [
            ("sort=best", "sort"),
            ("price_min=-1", "price_min"),
            ("price_max=1.5", "price_max"),
            ("price_min=5&price_max=4", "price_max"),
            ("page_size=0", "page_size"),
            ("page_size=101", "page_size"),
            ("page_size=x", "page_size"),
            (long.as_str(), "q"),
            ("facets=colour", "facets"),
            ("in_stock=yes", "in_stock"),
            ("brand=", "brand"),
            ("q=a&q=b", "q"),
            ("colour=red", "colour"),
            ("currency=eur", "currency"),
            ("currency=XYZ", "currency"),
            ("currency=EUR&currency=EUR", "currency"),
            ("attributes.weight=5", "attributes.weight"),
            ("attributes=red", "attributes"),
            ("attributes.colour=", "attributes.colour"),
            ("facets=attributes.weight", "facets"),
        ] {
            let response = search(Some(url), &schema()).expect_err(url).into_response();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{url}");
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
            let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(problem["errors"][0]["field"], field, "{url}");
            if ["sort", "price", "page_size", "in_stock", "currency="].iter().any(|name| url.starts_with(name)) && !url.contains('&') {
                let (_, value) = url.split_once('=').expect("a value");
                let told = problem["errors"][0]["message"].as_str().expect("a text");
                assert!(told.ends_with(&format!(", is {value:?}")), "{url}: {told}");
            }
            let tells = problem["errors"][0]["message"].as_str().is_some_and(|m| m.contains("attributes.colour, attributes.shoe size"));
            assert_eq!(
                tells,
                url.contains("weight") || ["colour=red", "attributes=red", "facets=colour"].contains(&url),
                "{url}: {problem}"
            );
        }
        assert!(suggest(Some("limit=21")).is_err() && suggest(Some("sort=title")).is_err());
    }
}
