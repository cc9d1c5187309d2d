//! The endpoint's OpenAPI document, worked out from the registry and the messages' descriptors, so that it can't say
//! anything else than the code does.

use daybook_http::Schemas;
use daybook_kernel::{Aggregate, Registry, kebab};
use serde_json::{Map, Value, json};

use super::headers::MAX_DIGITS;
use crate::Webhook;

/// Texts of headers as any client can send them; the endpoint takes UTF-8 too.
const PRINTABLE: &str = "^[ -~]*$";
/// Blanks around a key, and one pair of double quotes, are not part of it.
const KEY: &str = r#"^([!#-~]([ -~]*[!#-~])?|"([ !#-\[\]-~]|\\["\\])+")$"#;
const TOKEN: &str = r"^[a-z_-]{1,63}/[0-9]+:(-1|[0-9]+)@[1-9][0-9]*$";

/// The document.
pub(crate) fn document(registry: &Registry, webhooks: &[Webhook]) -> Value {
    let mut sent = Schemas::sent();
    let mut served = Schemas::served(".served");
    let mut paths = Map::new();
    let mut refusals = Map::new();
    for service in registry.services() {
        for (name, type_name) in registry.commands(service) {
            let aggregate = registry.of_command(type_name).expect("the registry named it");
            let refused = format!("{service}.{}.Refused", aggregate.name());
            if !refusals.contains_key(&refused) {
                refusals.insert(refused.clone(), refusal(&**aggregate, &mut served));
            }
            let message = aggregate.descriptors().get_message_by_name(type_name).expect("generated from these descriptors");
            let body = sent.reference(&message);
            paths.insert(format!("/v1/{service}/{name}"), json!({ "post": command(service, name, body, &refused) }));
        }
    }
    paths.insert("/v1/commands/{handle}".to_owned(), json!({ "get": deferred(refusals.keys()) }));
    paths.extend(webhooks.iter().map(|webhook| (format!("/v1/webhooks/{}", webhook.name), json!({ "post": notice(webhook) }))));
    paths.extend(operations());
    let mut schemas = common_schemas();
    schemas.extend(refusals);
    schemas.extend(sent.into_components());
    schemas.extend(served.into_components());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Daybook command endpoint",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Commands in, results out. A result is kept for ever: the same Idempotency-Key gives the original one again. \
                JSON is protobuf's mapping; field names may also be sent as the .proto files spell them. Names and other words of people are \
                one however they are composed (Unicode's NFC) and whatever blanks stand around them. Every path answers OPTIONS with Allow, \
                and HEAD where it answers GET. Answers have one form each: Accept is passed over. Web pages of other origins may send \
                commands where --cors-origins names them.",
        },
        "servers": [{ "url": "/" }],
        "tags": registry.services().iter().map(|s| json!({ "name": s })).chain([json!({ "name": "operations" })]).collect::<Vec<_>>(),
        "paths": paths,
        "components": { "schemas": schemas, "parameters": parameters(), "headers": headers(), "responses": responses() },
    })
}

fn response(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

fn schema(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// A response with a body of problem+json.
fn problem(description: &str, schema: Value, headers: Value) -> Value {
    json!({ "description": description, "headers": headers, "content": { "application/problem+json": { "schema": schema } } })
}

/// The responses in which a result is told, whether a POST waited for it or a handle was asked later.
fn results(refused: Value) -> Map<String, Value> {
    let mut all = Map::new();
    let refusal =
        problem("The domain says no. A result like any other: kept, and given again under the same key.", refused, result_headers());
    all.insert("200".to_owned(), response("Result"));
    all.insert("202".to_owned(), response("Accepted"));
    all.insert("409".to_owned(), refusal);
    all.insert("412".to_owned(), response("PreconditionFailed"));
    all.insert("503".to_owned(), response("Unavailable"));
    all
}

fn command(service: &str, name: &str, body: Value, refused: &str) -> Value {
    let mut responses = results(schema(refused));
    for (status, name) in [
        ("400", "Invalid"),
        ("404", "NotFound"),
        ("405", "MethodNotAllowed"),
        ("408", "TooSlow"),
        ("413", "TooLarge"),
        ("415", "UnsupportedMediaType"),
        ("417", "NotExpected"),
        ("422", "KeyReused"),
        ("429", "TooMany"),
        ("500", "Parked"),
    ] {
        responses.insert(status.to_owned(), response(name));
    }
    let parameters = ["IdempotencyKey", "IfMatch", "Prefer", "Actor", "Reason", "CorrelationId", "Traceparent"];
    json!({
        "tags": [service],
        "operationId": format!("{service}.{name}"),
        "parameters": parameters.map(|p| json!({ "$ref": format!("#/components/parameters/{p}") })),
        "requestBody": {
            "required": true,
            "description": "At most 512 KiB, unpacked too, within 10 s. Content-Encoding may be gzip, deflate or zstd.",
            "content": {
                "application/json": { "schema": body },
                "application/x-protobuf": { "schema": { "contentMediaType": "application/x-protobuf" } },
            },
        },
        "responses": responses,
    })
}

fn deferred<'a>(refusals: impl Iterator<Item = &'a String>) -> Value {
    let mut responses = results(json!({ "anyOf": refusals.map(|r| schema(r)).collect::<Vec<_>>() }));
    responses.insert("400".to_owned(), response("Invalid"));
    responses.insert("404".to_owned(), response("NotFound"));
    responses.insert("410".to_owned(), response("Gone"));
    json!({
        "tags": ["operations"],
        "operationId": "deferred-result",
        "description": "What became of a command that was answered 202, from any process: the status and body that the POST would have had.",
        "parameters": [{
            "name": "handle", "in": "path", "required": true, "description": "From `Location` of the 202, or `location` of one of a result's `next`.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9_-]+$", "minLength": 22, "maxLength": 2048 },
        }],
        "responses": responses,
    })
}

/// What others tell by themselves.
fn notice(webhook: &Webhook) -> Value {
    let word = json!({ "type": "object", "required": ["status"], "properties": { "status": { "type": "string" } } });
    let taken = |description: &str| json!({ "description": description, "content": { "application/json": { "schema": word.clone() } } });
    let mut responses = Map::new();
    responses.insert("200".to_owned(), taken("The notice was taken, now or before."));
    responses.insert("202".to_owned(), taken("The notice was taken, and nothing is known yet of what comes of it; or nothing will."));
    responses.insert(
        "401".to_owned(),
        problem("It is not signed, or was signed long ago. Nothing of it is kept.", schema("Problem"), json!({})),
    );
    for (status, name) in [
        ("400", "Invalid"),
        ("405", "MethodNotAllowed"),
        ("408", "TooSlow"),
        ("413", "TooLarge"),
        ("429", "TooMany"),
        ("503", "Unavailable"),
    ] {
        responses.insert(status.to_owned(), response(name));
    }
    json!({
        "tags": [webhook.service],
        "operationId": format!("webhooks.{}", webhook.name),
        "description": "For who is known by a signature, which is over the bytes of the body. The same notice may come again.",
        "requestBody": { "required": true, "description": "At most 64 KiB.", "content": { "application/json": { "schema": {} } } },
        "responses": responses,
    })
}

fn operations() -> Map<String, Value> {
    let get = |id: &str, description: &str, responses: Value| json!({ "get": { "tags": ["operations"], "operationId": id, "description": description, "responses": responses } });
    let body =
        |description: &str, kind: &str, schema: Value| json!({ "description": description, "content": { kind: { "schema": schema } } });
    let ready = json!({
        "type": "object",
        "required": ["status"],
        "properties": { "status": { "enum": ["ready", "degraded", "not ready"] } },
    });
    let alive = json!({ "type": "object", "required": ["status"], "properties": { "status": { "const": "alive" } } });
    let mut paths = Map::new();
    paths.insert(
        "/healthz".to_owned(),
        get("healthz", "Whether the process is alive.", json!({ "200": body("It is.", "application/json", alive) })),
    );
    paths.insert(
        "/readyz".to_owned(),
        get(
            "readyz",
            "Whether lanes have joined their groups, and Postgres and Kafka are within reach. `degraded`: ready, and a partition of a service \
             waits. Which, and why, is told on the process's operations address.",
            json!({ "200": body("Ready, or degraded.", "application/json", ready.clone()), "503": body("Not ready.", "application/json", ready) }),
        ),
    );
    let any = json!({ "type": "object" });
    paths.insert(
        "/openapi.json".to_owned(),
        get("openapi", "This document.", json!({ "200": body("OpenAPI 3.1.", "application/json", any) })),
    );
    paths
}

fn parameters() -> Value {
    let header = |name: &str, required: bool, description: &str, schema: Value| json!({ "name": name, "in": "header", "required": required, "description": description, "schema": schema });
    let text = |max: u32| json!({ "type": "string", "pattern": PRINTABLE, "maxLength": max });
    json!({
        "IdempotencyKey": header("Idempotency-Key", true,
            "Names this attempt: the same for every repeat of it, and nobody else can guess it. A new UUID is good. Scoped to one caller and one stream. \
             Double quotes around it are no part of it.",
            json!({ "type": "string", "pattern": KEY, "minLength": 1, "maxLength": 255 })),
        "IfMatch": header("If-Match", false, "The version that the stream must be at, as ETag gave it: `\"7\"`.",
            json!({ "type": "string", "pattern": format!("^\"(0|[1-9][0-9]{{0,{}}})\"$", MAX_DIGITS - 1), "minLength": 3, "maxLength": MAX_DIGITS + 2 })),
        "Prefer": header("Prefer", false,
            "`wait=N`: wait at most N seconds for the result (5 without it, at most 30). `respond-async`: don't wait. Anything else is passed over.",
            json!({ "type": "string" })),
        "Actor": header("Daybook-Actor", false, "On whose behalf.", text(255)),
        "Reason": header("Daybook-Reason", false, "Why; kept with the events.", text(1_000)),
        "CorrelationId": header("Correlation-Id", false, "Ties together all that one request caused. Without it the command's id does.", text(255)),
        "Traceparent": header("traceparent", false, "W3C trace context; one that can't be read is passed over.", json!({ "type": "string" })),
    })
}

fn headers() -> Value {
    json!({
        "ConsistencyToken": { "description": "Give it to a query, which then waits until it has seen this result.", "schema": { "type": "string", "pattern": TOKEN } },
        "ETag": { "description": "The stream's version, in quotes.", "schema": { "type": "string", "pattern": "^\"[0-9]+\"$" } },
        "Replayed": { "description": "`true`: the original result, given again. Absent otherwise.", "schema": { "const": "true" } },
        "Location": { "description": "Where the result can be asked for.", "schema": { "type": "string", "pattern": "^/v1/commands/[A-Za-z0-9_-]+$" } },
        "RetryAfter": { "description": "In seconds.", "schema": { "type": "string", "pattern": "^[0-9]+$" } },
    })
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn result_headers() -> Value {
    json!({ "Consistency-Token": header("ConsistencyToken"), "ETag": header("ETag"), "Idempotent-Replayed": header("Replayed") })
}

fn responses() -> Value {
    let retry = || json!({ "Retry-After": header("RetryAfter") });
    let none = || json!({});
    json!({
        "Result": {
            "description": "The command was decided. \"Already done\" is a result without events.",
            "headers": result_headers(),
            "content": { "application/json": { "schema": schema("CommandResult") } },
        },
        "Accepted": {
            "description": "The wait ended first. Kafka has the command, and it will be decided once: ask `Location`.",
            "headers": { "Location": header("Location"), "Retry-After": header("RetryAfter") },
            "content": { "application/json": { "schema": schema("Accepted") } },
        },
        "Invalid": problem("The request is unreadable, breaks its rules, or has a parameter or a condition that is not known here; `errors` names them.", schema("Invalid"), none()),
        "NotFound": problem("No such service, command or handle; `near` has the nearest names.", schema("Problem"), none()),
        "MethodNotAllowed": problem("The path does not take this method.", schema("Problem"),
            json!({ "Allow": { "description": "The methods that it takes.", "schema": { "type": "string" } } })),
        "PreconditionFailed": problem("The stream is not at the version that If-Match names. A result: kept, and given again under the same key.",
            schema("PreconditionFailed"), result_headers()),
        "Gone": problem("There is no result and will be none by itself: rejected, parked or lost. The title says what to do.", schema("Problem"), none()),
        "TooSlow": problem("The body did not come within 10 s. Nothing was done: repeat with the same key.", schema("Problem"), none()),
        "TooLarge": problem("The body is larger than 512 KiB, as it came or unpacked.", schema("Problem"), none()),
        "UnsupportedMediaType": problem(
            "Content-Type is neither application/json nor application/x-protobuf, or not in UTF-8; or Content-Encoding is not taken.",
            schema("Problem"),
            json!({
                "Accept": { "description": "The media types that are taken, where that was the reason.", "schema": { "type": "string" } },
                "Accept-Encoding": { "description": "The codings that are taken, where that was the reason.", "schema": { "type": "string" } },
            }),
        ),
        "NotExpected": problem("Expect wants something else than 100-continue.", schema("Problem"), none()),
        "KeyReused": problem("The Idempotency-Key stands for another command, body or If-Match.", schema("KeyReused"), none()),
        "TooMany": problem("Too many commands are under way. Nothing was done: repeat with the same key.", schema("Problem"), retry()),
        "Parked": problem("The command could not be handled and was parked for an operator. Repeating it is safe.", schema("Problem"), none()),
        "Unavailable": problem("Nothing was done, or with `unknown: true` it is not known: repeat with the same key.", schema("Unavailable"), retry()),
    })
}

/// Fields of every result that tell its place, whatever it came to.
fn place() -> Map<String, Value> {
    let Value::Object(place) = json!({
        "commandId": { "type": "string", "format": "uuid" },
        "service": { "type": "string" },
        "stream": { "type": "string", "description": "`<aggregate>/<id>`." },
        "version": { "type": "integer", "minimum": 0, "description": "The stream's version after the command." },
        "token": { "type": "string", "pattern": TOKEN, "description": "The consistency token." },
    }) else {
        unreachable!("an object was written")
    };
    place
}

/// A problem with further members, of which some are always there.
fn problem_with(members: Map<String, Value>, required: &[&str]) -> Value {
    json!({ "allOf": [schema("Problem"), { "type": "object", "properties": members, "required": required }] })
}

const PLACE: [&str; 5] = ["commandId", "service", "stream", "version", "token"];

fn common_schemas() -> Map<String, Value> {
    let object = |members: Value| if let Value::Object(members) = members { members } else { Map::new() };
    let mut result = place();
    result.insert(
        "events".to_owned(),
        json!({
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "offset"],
                "properties": { "type": { "type": "string" }, "offset": { "type": "integer", "minimum": 0 } },
            },
        }),
    );
    result.insert(
        "next".to_owned(),
        json!({
            "description": "The commands that follow from the events, in other streams: ask `location` for the result of each.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["commandId", "service", "stream", "location"],
                "properties": {
                    "commandId": { "type": "string", "format": "uuid" },
                    "command": { "type": "string", "description": "Its full protobuf name, where that is known." },
                    "service": { "type": "string" },
                    "stream": { "type": "string" },
                    "location": { "type": "string" },
                },
            },
        }),
    );
    let mut failed = place();
    failed.insert("expected".to_owned(), json!({ "type": "integer", "minimum": 0 }));
    let errors = json!({
        "errors": {
            "type": "array",
            "items": { "type": "object", "required": ["field", "message"], "properties": { "field": { "type": "string" }, "message": { "type": "string" } } },
        },
    });
    object(json!({
        "CommandResult": { "type": "object", "properties": result, "required": ["commandId", "service", "stream", "version", "events", "token"] },
        "Accepted": {
            "type": "object",
            "required": ["commandId", "service", "stream", "status", "location"],
            "properties": {
                "commandId": { "type": "string", "format": "uuid" },
                "service": { "type": "string" },
                "stream": { "type": "string" },
                "status": { "const": "accepted" },
                "location": { "type": "string" },
            },
        },
        "Problem": {
            "description": "RFC 9457. Clients may branch on `type` and `status`; `title` is for people.",
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": { "type": "string" },
                "title": { "type": "string" },
                "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                "detail": { "type": "string" },
            },
        },
        "Invalid": problem_with(object(errors), &[]),
        "KeyReused": problem_with(object(json!({ "type": { "const": "urn:daybook:problem:key-reused" }, "commandId": { "type": "string", "format": "uuid" } })), &["commandId"]),
        "PreconditionFailed": problem_with(failed, &["commandId", "service", "stream", "version", "token", "expected"]),
        "Unavailable": problem_with(object(json!({ "unknown": { "type": "boolean", "description": "True: Kafka was tried and did not answer." } })), &[]),
    }))
}

/// Every way in which an aggregate says no, with the members that explain it.
fn refusal(aggregate: &dyn Aggregate, served: &mut Schemas) -> Value {
    let kinds = aggregate.refusal_types().iter().filter_map(|name| {
        let message = aggregate.descriptors().get_message_by_name(name)?;
        let mut members = place();
        members.insert("type".to_owned(), json!({ "const": format!("urn:daybook:refusal:{}", kebab(name)) }));
        let mut object = served.object(&message);
        if let Some(Value::Object(own)) = object.get_mut("properties") {
            // The problem's own members can't be replaced.
            members.extend(std::mem::take(own).into_iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "title" | "status")));
        }
        let mut kind = problem_with(members, &PLACE);
        kind["title"] = json!(kebab(name));
        if let Some(description) = object.get("description") {
            kind["description"] = description.clone();
        }
        Some(kind)
    });
    json!({ "oneOf": kinds.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> (Registry, Value) {
        let registry = Registry::new(shop_domain::aggregates()).expect("the shop's list is sound");
        let read = |_: &_, _: &_, _| Err(crate::WebhookRefusal::Unaddressed(String::new()));
        let document = document(&registry, &[Webhook { name: "bank", service: "inventory", read: std::sync::Arc::new(read) }]);
        (registry, document)
    }

    fn body_of<'a>(document: &'a Value, path: &str) -> &'a Value {
        let reference = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
        document.pointer(reference.expect("a reference").trim_start_matches('#')).expect("a component")
    }

    #[test]
    fn every_command_has_a_path_with_all_that_the_contract_names() {
        let (registry, document) = shop();
        let mut count = 0;
        for service in registry.services() {
            for (name, _) in registry.commands(service) {
                let operation = &document["paths"][format!("/v1/{service}/{name}")]["post"];
                let statuses: Vec<&str> = operation["responses"].as_object().expect("there").keys().map(String::as_str).collect();
                assert_eq!(
                    statuses,
                    ["200", "202", "400", "404", "405", "408", "409", "412", "413", "415", "417", "422", "429", "500", "503"],
                    "{name}"
                );
                assert_eq!(operation["parameters"].as_array().map(Vec::len), Some(7));
                count += 1;
            }
        }
        assert_eq!(document["paths"].as_object().map(Map::len), Some(count + 5));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, document: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                        assert!(document.pointer(target.trim_start_matches('#')).is_some_and(Value::is_object), "{target}");
                    }
                    members.values().for_each(|v| walk(v, document));
                }
                Value::Array(items) => items.iter().for_each(|v| walk(v, document)),
                _ => {}
            }
        }
        let (_, document) = shop();
        walk(&document, &document);
    }

    #[test]
    fn a_body_says_what_is_required_and_how_each_field_looks() {
        let (_, document) = shop();
        let create = body_of(&document, "/v1/catalog/create-product");
        assert_eq!(create["required"], json!(["sku", "title", "price"]));
        assert_eq!(create["additionalProperties"], false);
        assert_eq!(create["properties"]["sku"]["pattern"], r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$");
        assert_eq!(create["properties"]["title"]["minLength"], 1);
        assert_eq!(create["properties"]["title"]["maxLength"], 500);
        assert_eq!(create["properties"]["title"]["description"], "1 to 500 characters.");
        assert_eq!(create["properties"]["attributes"]["anyOf"][0]["maxProperties"], 300);
        let money = &document["components"]["schemas"]["shop.common.v1.Money"];
        assert_eq!(money["required"], json!(["currency", "minorUnits"]), "what is forgotten is not 0");
        assert!(money["properties"]["currency"]["enum"].as_array().is_some_and(|c| c.contains(&json!("EUR")) && !c.contains(&json!(""))));
        assert_eq!(money["properties"]["minorUnits"]["anyOf"][0]["minimum"], 0);
        assert_eq!(money["properties"]["minorUnits"]["anyOf"][1]["type"], "string");

        let reserve = body_of(&document, "/v1/inventory/reserve-stock");
        assert_eq!(
            reserve["required"],
            json!(["sku", "warehouse", "orderId", "quantity"]),
            "a quantity that is absent is 0, and that is too little"
        );
        assert_eq!(reserve["properties"]["process"]["anyOf"][0]["allOf"][0]["pattern"], "^$|^(?:[A-Za-z0-9._-]+/[A-Za-z0-9._@-]+)$");
        assert_eq!(reserve["properties"]["expiresInSeconds"]["anyOf"][2]["type"], "null");
        let expire = body_of(&document, "/v1/inventory/expire-reservation");
        assert_eq!(expire["properties"]["dueAt"]["format"], "date-time");
        let media = &document["components"]["schemas"]["shop.catalog.v1.Media"];
        let kinds = &media["properties"]["kind"]["anyOf"];
        assert_eq!(kinds[0]["enum"], json!(["MEDIA_KIND_IMAGE", "MEDIA_KIND_VIDEO", "MEDIA_KIND_DOCUMENT"]));
        assert_eq!(kinds[1]["enum"], json!([1, 2, 3]));
    }

    #[test]
    fn a_refusal_is_told_by_its_type_with_the_numbers_that_explain_it() {
        let (_, document) = shop();
        let refused = document["components"]["schemas"]["inventory.stock.Refused"]["oneOf"].as_array().expect("there");
        let insufficient = refused.iter().find(|r| r["title"] == "insufficient-stock").expect("there");
        let members = &insufficient["allOf"][1]["properties"];
        assert_eq!(members["type"]["const"], "urn:daybook:refusal:insufficient-stock");
        assert_eq!(members["available"]["type"], "integer");
        assert_eq!(members["commandId"]["format"], "uuid");
    }
}
