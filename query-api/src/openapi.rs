//! The OpenAPI document, worked out from the read models' descriptors.

use daybook_http::Schemas;
use serde_json::{Map, Value, json};

use crate::api::Served;
use crate::page::MAX_KEY;

fn header(description: &str) -> Value {
    json!({ "description": description, "schema": { "type": "string" } })
}

fn parameter(name: &str, description: &str, example: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" }, "example": example })
}

fn problem(description: &str) -> Value {
    json!({ "description": description, "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } })
}

fn operation(description: &str) -> Value {
    json!({ "get": { "summary": description, "tags": ["operations"], "responses": { "200": { "description": description } } } })
}

/// The document.
pub(crate) fn document<'a>(models: impl Iterator<Item = &'a Served>) -> Value {
    let mut schemas = Schemas::served("");
    let mut paths = Map::new();
    for served in models {
        let (name, message) = (&served.model.name, &served.message);
        let schema = schemas.reference(message);
        let summary = schemas.description(message).unwrap_or(message.name()).to_owned();
        let headers = json!({
            "ETag": header("A hash of the served bytes, one per representation."),
            "Consistency-Position": header("How far the logs that this answer rests on had been folded; may be sent as a Consistency-Token."),
        });
        let get = json!({
            "operationId": name,
            "summary": summary,
            "tags": ["read models"],
            "parameters": [
                { "name": "key", "in": "path", "required": true, "schema": { "type": "string", "minLength": 1, "maxLength": MAX_KEY } },
                parameter("Consistency-Token", "As a command's result gave it; several are separated by commas. The answer is made from a state that has got there.", "catalog/3:17@1"),
                parameter("Prefer", "How many seconds to wait for the token, 0 to 30; 2 without it.", "wait=5"),
                parameter("If-None-Match", "An ETag that the client holds.", "\"jNq6Xk0V7…\""),
            ],
            "responses": {
                "200": {
                    "description": format!("{} as it is now.", message.name()),
                    "headers": headers.clone(),
                    "content": {
                        "application/json": { "schema": schema },
                        "application/x-protobuf": { "schema": { "type": "string", "format": "binary", "description": format!("{}, as it is stored.", message.full_name()) } },
                    },
                },
                "304": { "description": "The client holds it already.", "headers": headers },
                "400": problem("The key or a token can't be read, or names a partition that does not exist."),
                "404": problem("There is nothing under this key."),
                "406": problem("Accept takes neither form."),
                "409": problem("The token is of another epoch of its log."),
                "503": problem("The read model has not got to the token in time; `positions` says where it stands. Or the database does not answer."),
            },
        });
        paths.insert(format!("/v1/{name}/{{key}}"), json!({ "get": get }));
    }
    for (path, what) in [
        ("/healthz", "Whether the process is alive."),
        ("/readyz", "Whether it can do its work."),
        ("/metrics", "Metrics, for Prometheus."),
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
        "info": { "title": "Daybook query API", "version": env!("CARGO_PKG_VERSION"), "description": "Read models, as JSON or as the stored protobuf." },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}
