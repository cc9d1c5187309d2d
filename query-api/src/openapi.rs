//! The OpenAPI document, worked out from the read models' descriptors.

use daybook_http::Schemas;
use daybook_proto::TextForm;
use serde_json::{Map, Value, json};

use crate::answer::list::{DEFAULT_SIZE, MAX_SIZE};
use crate::model::{MAX_KEY, ServedModel};

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn parameter(name: &str, description: &str, example: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" }, "example": example })
}

pub(crate) fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

fn key(form: TextForm) -> Value {
    // U+0000 is no character of a key: Postgres could not keep it.
    let schema = json!({ "type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[^\\u0000]+$" });
    let mut key = json!({ "name": "key", "in": "path", "required": true, "schema": schema });
    if form != TextForm::AsSent {
        key["description"] = json!(format!("Read in its canonical form, {}.", form.as_str_name()));
    }
    key
}

/// The tokens of a request; a number of so many digits fits whatever it stands for.
pub(crate) fn consistency_token(description: &str) -> Value {
    let token = "[a-z_-]{1,63}/(0|[1-9][0-9]{0,8}):(-1|0|[1-9][0-9]{0,17})@[1-9][0-9]{0,8}";
    // Said again as a length: tools that make up the shortest text go by that.
    let schema = json!({ "type": "string", "pattern": format!("^{token}( ?, ?{token}){{0,63}}$"), "minLength": "a/0:0@1".len() });
    json!({ "name": "Consistency-Token", "in": "header", "required": false, "description": description, "schema": schema, "example": "catalog/3:17@1" })
}

/// The header of hidden streams, which every answer of a read model has.
pub(crate) fn hidden() -> Value {
    header(
        "Streams that could not be folded before anything of them was shown: what this read model should show of them is missing, \
         here or elsewhere. At most 20, and * where there are more.",
    )
}

fn problem(description: &str) -> Value {
    json!({ "description": description, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } })
}

fn operation(description: &str) -> Value {
    json!({ "get": { "summary": description, "tags": ["operations"], "responses": { "200": { "description": description } } } })
}

/// The live query of a read model.
fn events(name: &str, key: Value) -> Value {
    json!({
        "operationId": format!("{name}-events"),
        "summary": "The state now, then each change: the newest one where the reader is slow. Also given by the page itself, under Accept: text/event-stream.",
        "tags": ["read models"],
        "parameters": [
            key,
            parameter("Last-Event-ID", "The id of the last event that the client has got: the first state covers it.", "catalog/3:17@1"),
            consistency_token("As for the page."),
        ],
        "responses": {
            "200": {
                "description": "`state` events whose data is the page as JSON, and `gone` where there is nothing under the key; the id is the Consistency-Position.",
                "content": { "text/event-stream": { "schema": { "type": "string" } } },
            },
            "400": problem("The key, a parameter, Accept or a token can't be read, or names a partition that does not exist."),
            "406": problem("Accept does not take text/event-stream."),
            "409": problem("The token is of another epoch of its log."),
            "503": problem("There is no place for another live query, the token was not reached in time, or the database does not answer."),
        },
    })
}

/// The document.
pub(crate) fn document<'a>(models: impl Iterator<Item = &'a ServedModel>) -> Value {
    let mut schemas = Schemas::served("");
    let mut paths = Map::new();
    for served in models {
        let (name, message) = (&served.model.name, &served.message);
        let mut schema = schemas.reference(message);
        let summary = schemas.description(message).unwrap_or(message.name()).to_owned();
        let mut headers = json!({
            "ETag": header("A hash of the served bytes, one per representation."),
            "Daybook-Stale": header("Streams that could not be folded further: what the answer shows of them is older than the log."),
            "Daybook-Hidden-Streams": hidden(),
            "Consistency-Position": header("How far the logs that this answer rests on had been folded; may be sent as a Consistency-Token."),
        });
        let mut parameters = vec![
            key(served.key_form),
            consistency_token(
                "As a command's result gave it; several are separated by commas. The answer is made from a state that has got there. \
                 A client that has none may send `stored`: the answer is no older than what is stored when it asks.",
            ),
            parameter("Prefer", "How many seconds to wait for the token, 0 to 30; 2 without it.", "wait=5"),
            parameter("If-None-Match", "An ETag that the client holds; several are separated by commas.", "\"jNq6Xk0V7\""),
            parameter("If-Match", "ETags, one of which must be that of the answer; weak ones match none.", "\"jNq6Xk0V7\""),
        ];
        if served.items.is_some() {
            let size = json!({ "type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE });
            parameters.push(query("page_size", "Items of a page.", size));
            let token = "nextPageToken of the page before: this one begins behind its last item. Without one, the first page.";
            parameters.push(query("page_token", token, json!({ "type": "string" })));
            headers["Next-Page-Token"] = header("What nextPageToken is in JSON; absent on the last page.");
            let next = json!({ "type": "string", "description": "The page_token of the next page; empty on the last one." });
            let page = json!({ "type": "object", "properties": { "nextPageToken": next }, "required": ["nextPageToken"] });
            schema = json!({ "allOf": [schema, page] });
        }
        let mut absent = problem("There is nothing under this key.");
        absent["headers"] = json!({ "Daybook-Hidden-Streams": hidden() });
        let get = json!({
            "operationId": name,
            "summary": summary,
            "tags": ["read models"],
            "parameters": parameters,
            "responses": {
                "200": {
                    "description": format!("{} as it is now.", message.name()),
                    "headers": headers.clone(),
                    "content": {
                        "application/json": { "schema": schema },
                        "application/x-protobuf": { "schema": { "type": "string", "format": "binary", "description": format!("{}, as it is {}.", message.full_name(), if served.is_made() { "served" } else { "stored" }) } },
                    },
                },
                "304": { "description": "The client holds it already.", "headers": headers },
                "400": problem("The key, a parameter, Accept, If-Match or a token can't be read, a parameter is not known, or there is no such partition."),
                "404": absent,
                "406": problem("Accept takes none of the forms."),
                "409": problem("The token is of another epoch of its log."),
                "412": problem("If-Match names none that is the ETag of the answer."),
                "414": { "description": "The URL is longer than 65,534 bytes." },
                "503": problem("The read model has not got to the token in time; `positions` says where it stands. Or the database does not answer."),
            },
        });
        let mut unhidden = get.clone();
        unhidden["operationId"] = json!(format!("{name}-page"));
        unhidden["description"] = json!("The same, under a path that no other route hides, whatever the key is called.");
        paths.insert(format!("/v1/{name}/{{key}}"), json!({ "get": get }));
        paths.insert(format!("/v1/{name}/{{key}}/page"), json!({ "get": unhidden }));
        if served.items.is_none() {
            paths.insert(format!("/v1/{name}/{{key}}/events"), json!({ "get": events(name, key(served.key_form)) }));
        }
    }
    for (path, what) in [
        ("/healthz", "Whether the process is alive."),
        ("/readyz", "Whether it can do its work; why not is told on the process's operations address."),
        ("/openapi.json", "This document."),
    ] {
        paths.insert(path.to_owned(), operation(what));
    }
    let mut schemas = schemas.into_components();
    schemas.insert(
        "Problem".to_owned(),
        json!({
            "type": "object",
            "description": "What is wrong (RFC 9457), with members that explain it.",
            "required": ["type", "title", "status"],
            "properties": { "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" } },
            "additionalProperties": true,
        }),
    );
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Daybook query API", "version": env!("CARGO_PKG_VERSION"), "description": "Read models, as JSON or as the stored protobuf: by Accept, JSON where it likes both as much. Every path answers HEAD as GET, and OPTIONS with Allow. Web pages of other origins may ask where --cors-origins names them." },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}
