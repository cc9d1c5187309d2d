//! Searching, as the OpenAPI document describes it.

use daybook_search::SearchSchema;
use serde_json::{Value, json};

use super::params::{LONGEST_NAME, LONGEST_PAGE, LONGEST_QUERY, MOST_SUGGESTIONS, MOST_VALUES, PAGE, SUGGESTIONS, of_property};
use crate::openapi::{consistency_token, hidden, query};

/// Adds the paths of a search to a document.
pub(crate) fn describe(document: &mut Value, schema: &SearchSchema) {
    if let (Some(all), Value::Object(more)) = (document["paths"].as_object_mut(), paths(schema)) {
        all.extend(more);
    }
}

/// The paths of a search.
fn paths(schema: &SearchSchema) -> Value {
    let model = &schema.model;
    let text = || json!({ "type": "string", "maxLength": LONGEST_QUERY });
    // Bytes are counted; so many characters always fit.
    let name = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_NAME / 4 });
    let names = || json!({ "type": "array", "items": name, "maxItems": MOST_VALUES });
    let minor = || json!({ "type": "integer", "format": "int64", "minimum": 0 });
    let token = consistency_token("As a command's result gave it. The answer is made from an index that has got there.");
    let mut search = json!({
        "operationId": format!("{model}-search"),
        "summary": format!("Searches {model}."),
        "tags": ["search"],
        "parameters": [
            query("q", "Words. Without any, everything is found.", text()),
            query("brand", "Only these brands, in any case; may stand several times.", names()),
            query("category", "Only these categories and what is within them, in any case; may stand several times. Levels are separated by ` > `: `Home > Lamps`.", names()),
            query("currency", "ISO 4217. Price ranges, the facet of prices and the order by price are of prices in it; what has a price in another one is found, lies in no range, and stands behind.", json!({ "type": "string", "pattern": "^[A-Z]{3}$", "default": schema.default_currency })),
            query("price_min", "Least price in the currency's smallest unit, inclusive.", minor()),
            query("price_max", "Highest price in the currency's smallest unit, inclusive.", minor()),
            query("in_stock", "Only what is, or is not, in stock.", json!({ "type": "boolean" })),
            query("sort", "By relevance: an identifier typed in full, then what has all words, of those what is in stock first.", json!({ "type": "string", "enum": ["relevance", "price_asc", "price_desc", "newest", "title"], "default": "relevance" })),
            query("facets", "Which are counted, separated by commas: brand, category, price, and the properties that are declared as filters. Each under the other filters but not its own.", json!({ "type": "string", "pattern": facets(schema), "example": "brand,category,price" })),
            query("page_size", "Items of a page.", json!({ "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE })),
            query("page_token", "nextPageToken of the page before, with the same q, filters, currency and sort.", json!({ "type": "string" })),
            token.clone(),
        ],
        "responses": responses(&found(schema)),
    });
    if let Some(parameters) = search["parameters"].as_array_mut() {
        for name in &schema.filters {
            let says = format!("Only what has one of these values of {name}, in any case; may stand several times.");
            parameters.push(query(&of_property(schema, name), &says, names()));
        }
    }
    let suggestion = json!({ "type": "object", "properties": {
        "kind": { "type": "string", "enum": ["query", "brand", "category", "item"] },
        "text": { "type": "string" },
        "count": { "type": "integer", "description": "How many are found with it; not of an item." },
        schema.key.as_str(): { "type": "string", "description": "Of an item." },
    } });
    let suggest = json!({
        "operationId": format!("{model}-suggest"),
        "summary": format!("Suggests searches of {model} for a text that may end within a word."),
        "tags": ["search"],
        "parameters": [
            query("q", "The text so far.", text()),
            query("limit", "How many.", json!({ "type": "integer", "minimum": 1, "maximum": MOST_SUGGESTIONS, "default": SUGGESTIONS })),
            token,
        ],
        "responses": responses(&json!({ "type": "object", "properties": { "suggestions": { "type": "array", "items": suggestion } } })),
    });
    json!({ format!("/v1/{model}/search"): { "get": search }, format!("/v1/{model}/suggest"): { "get": suggest } })
}

/// The regular expression of the names of facets, separated by commas.
fn facets(schema: &SearchSchema) -> String {
    let properties = schema.filters.iter().map(|name| of_property(schema, name));
    let all: Vec<String> =
        ["brand", "category", "price"].map(str::to_owned).into_iter().chain(properties).map(|name| escaped(&name)).collect();
    let one = all.join("|");
    format!("^({one})(,({one})){{0,{}}}$", all.len() - 1)
}

/// A text as a regular expression of it alone.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\^$.|?*+()[]{}/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn found(schema: &SearchSchema) -> Value {
    let key = schema.key.as_str();
    let text = || json!({ "type": "string" });
    let int64 = || json!({ "type": "string", "format": "int64" });
    let value = json!({ "type": "object", "properties": { "value": text(), "count": { "type": "integer" } } });
    let level = json!({ "type": "object", "properties": {
        "value": { "type": "string", "description": "The whole path: what the filter takes." },
        "path": { "type": "array", "items": text(), "description": "From the outermost level to its own." },
        "level": { "type": "integer", "description": "1 is the outermost." },
        "count": { "type": "integer", "description": "With what is within it, each product once." },
    } });
    let mut facets = json!({ "brand": { "type": "array", "items": value }, "category": {
        "type": "array", "items": level,
        "description": "A tree: each level stands behind the one that it is within, before others within that.",
    } });
    for name in &schema.filters {
        facets[of_property(schema, name)] = json!({ "type": "array", "items": value });
    }
    let range = json!({ "type": "object", "properties": { "from": int64(), "to": int64(), "count": { "type": "integer" } } });
    facets["price"] = json!({ "type": "array", "items": range });
    let item = json!({ "type": "object", "properties": {
        key: text(), "title": text(), "brand": text(), "category": text(), "inStock": { "type": "boolean" },
        "price": { "type": "object", "properties": { "currency": text(), "minorUnits": int64() } },
    } });
    json!({ "type": "object", "properties": {
        "items": { "type": "array", "items": item },
        "total": { "type": "integer", "description": "On all pages." },
        "nextPageToken": { "type": "string", "description": "Absent on the last page." },
        "corrected": { "type": "string", "description": "What the query was taken for, when nothing has a word of it." },
        "currency": { "type": "string", "description": "Of price ranges, of the facet of prices and of the order by price." },
        "facets": { "type": "object", "properties": facets },
    } })
}

fn responses(schema: &Value) -> Value {
    let problem = |description: &str| json!({ "description": description, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } });
    json!({
        "200": {
            "description": "What was found.",
            "headers": { "Daybook-Hidden-Streams": hidden() },
            "content": { "application/json": { "schema": schema } },
        },
        "304": { "description": "The client holds it already." },
        "400": problem("A parameter or a token can't be read; the field is named."),
        "406": problem("Accept does not take JSON."),
        "409": problem("The token is of another epoch of its log."),
        "412": problem("If-Match names none that is the ETag of the answer."),
        "414": { "description": "The URL is longer than 65,534 bytes." },
        "503": problem("The index has not got to the token in time, or is being read."),
    })
}
