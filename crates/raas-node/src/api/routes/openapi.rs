//! The OpenAPI 3.1 document of a table of routes.

use super::spec::{Index, Scope, Spec};
use crate::api::problem::{PROBLEM_JSON, Problem, Refused, is_specified};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ABOUT: &str = "The native API of a RaaS node and the routes of the RaaS specification. Amounts are texts in attoFIL, epochs are \
    numbers of 30 s each. Members may be added to answers; none is removed or changes its meaning within /v1. Objects without \
    described members tell what the rules of the node saw, for people.";

const KEYS: &str = "A key of the scope that is named, or one that includes it. A node on loopback for which no key was ever made \
    needs none; there the content of wallet.token is sent for what moves money.";

/// The document of all routes.
#[must_use]
pub fn document(index: &Index) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for spec in index.specs() {
        let operation = operation(spec, &mut generator);
        paths.entry(spec.path).or_default().insert(spec.method.name().to_owned(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "raas",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer", "description": KEYS } },
        },
    })
}

fn operation(spec: &Spec, generator: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "operationId": spec.name,
        "summary": spec.summary,
        "tags": [tag(spec.path)],
        "parameters": parameters(spec, generator),
        "responses": responses(spec, generator),
    });
    if spec.scope > Scope::Open {
        operation["security"] = json!([{}, { "key": [spec.scope.name()] }]);
    }
    if !spec.bodies.is_empty() {
        let content: Map<String, Value> = spec
            .bodies
            .iter()
            .map(|(kind, of)| ((*kind).to_owned(), json!({ "schema": of(generator) })))
            .collect();
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// What the route is about: the first word of its path behind `v1` or `api`.
fn tag(path: &str) -> &str {
    path.split('/').find(|word| !matches!(*word, "" | "v1" | "api")).unwrap_or("node")
}

fn parameters(spec: &Spec, generator: &mut SchemaGenerator) -> Vec<Value> {
    let text = json!({ "type": "string" });
    let mut parameters: Vec<Value> = spec
        .path_parameters()
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }))
        .collect();
    for (name, mut schema, required) in spec.query_parameters(generator) {
        let what = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        parameters.push(
            json!({ "name": name, "in": "query", "required": required, "schema": schema, "description": what.unwrap_or_default() }),
        );
    }
    parameters.extend(spec.headers.iter().map(|(name, what, required)| {
        json!({ "name": name, "in": "header", "required": required, "schema": text, "description": what })
    }));
    parameters
}

fn responses(spec: &Spec, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
    for (status, content_type, of) in &spec.answers {
        let response = responses.entry(*status).or_insert_with(|| {
            let said = if *status < 400 { "Done." } else { "Not now." };
            json!({ "description": said, "content": {} })
        });
        response["content"][*content_type] = json!({ "schema": of(generator) });
    }
    let (content_type, schema) = if is_specified(spec.path) {
        ("application/json", generator.subschema_for::<Refused>())
    } else {
        (PROBLEM_JSON, generator.subschema_for::<Problem>())
    };
    for kind in spec.problems() {
        let response = responses
            .entry(kind.status().as_u16())
            .or_insert_with(|| json!({ "description": "", "content": {} }));
        let said = response["description"].as_str().unwrap_or_default();
        let named = format!("{}{}.", if said.is_empty() { "" } else { "\n" }, kind.title());
        response["description"] = format!("{said}{named}").into();
        response["content"][content_type] = json!({ "schema": schema });
    }
    responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect()
}
