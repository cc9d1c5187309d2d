//! What the OpenAPI document says of searching.

use daybook_search::SearchSchema;
use serde_json::{Value, json};

use super::params::{LONGEST_NAME, LONGEST_PAGE, LONGEST_QUERY, MOST_SUGGESTIONS, MOST_VALUES, PAGE, SUGGESTIONS};
use crate::openapi::{consistency_token, query, unshown};

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
    let search = json!({
        "operationId": format!("{model}-search"),
        "summary": format!("Searches {model}."),
        "tags": ["search"],
        "parameters": [
            query("q", "Words. Without any, everything is found.", text()),
            query("brand", "Only these brands, exactly as they are named; may stand several times.", names()),
            query("category", "Only these categories and what is within them; may stand several times.", names()),
            query("price_min", "Least price in the currency's smallest unit, inclusive.", minor()),
            query("price_max", "Highest price in the currency's smallest unit, inclusive.", minor()),
            query("in_stock", "Only what is, or is not, in stock.", json!({ "type": "boolean" })),
            query("sort", "By relevance, what is in stock stands first.", json!({ "type": "string", "enum": ["relevance", "price_asc", "price_desc", "newest", "title"], "default": "relevance" })),
            query("facets", "Which are counted, separated by commas: brand, category, price. Each under the other filters.", json!({ "type": "string", "pattern": "^(brand|category|price)(,(brand|category|price)){0,2}$", "example": "brand,category,price" })),
            query("page_size", "Items of a page.", json!({ "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE })),
            query("page_token", "nextPageToken of the page before, with the same q, filters and sort.", json!({ "type": "string" })),
            token.clone(),
        ],
        "responses": responses(&found(&schema.key)),
    });
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

fn found(key: &str) -> Value {
    let text = || json!({ "type": "string" });
    let int64 = || json!({ "type": "string", "format": "int64" });
    let value = json!({ "type": "object", "properties": { "value": text(), "count": { "type": "integer" } } });
    let range = json!({ "type": "object", "properties": { "from": int64(), "to": int64(), "count": { "type": "integer" } } });
    let item = json!({ "type": "object", "properties": {
        key: text(), "title": text(), "brand": text(), "category": text(), "inStock": { "type": "boolean" },
        "price": { "type": "object", "properties": { "currency": text(), "minorUnits": int64() } },
    } });
    json!({ "type": "object", "properties": {
        "items": { "type": "array", "items": item },
        "total": { "type": "integer", "description": "On all pages." },
        "nextPageToken": { "type": "string", "description": "Absent on the last page." },
        "corrected": { "type": "string", "description": "What the query was taken for, when nothing has a word of it." },
        "facets": { "type": "object", "properties": {
            "brand": { "type": "array", "items": value }, "category": { "type": "array", "items": value }, "price": { "type": "array", "items": range },
        } },
    } })
}

fn responses(schema: &Value) -> Value {
    let problem = |description: &str| json!({ "description": description, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } });
    json!({
        "200": {
            "description": "What was found.",
            "headers": { "Daybook-Unshown": unshown() },
            "content": { "application/json": { "schema": schema } },
        },
        "304": { "description": "The client holds it already." },
        "400": problem("A parameter or a token can't be read; the field is named."),
        "406": problem("Accept does not take JSON."),
        "409": problem("The token is of another epoch of its log."),
        "414": { "description": "The URL is longer than 65,534 bytes." },
        "503": problem("The index has not got to the token in time, or is being read."),
    })
}
