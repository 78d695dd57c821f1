//! `/docs`: the document and the catalogue of errors as pages, made by the node. They load nothing and run nothing.

use super::openapi::document;
use super::spec::{Index, Spec};
use crate::api::problem::Kind;
use axum::Extension;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;color-scheme:light dark}\
    code,pre{font:14px/1.4 ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}\
    h2{margin-top:2.5rem}summary{cursor:pointer;padding:.3rem 0}details{border-bottom:1px solid #8886}\
    table{border-collapse:collapse}td,th{text-align:left;padding:.1rem 1rem .1rem 0;vertical-align:top}";
/// Nothing is loaded from anywhere, and nothing runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `GET /v1/openapi.json`.
pub async fn openapi_json(Extension(index): Extension<Index>) -> Json<Value> {
    Json(document(&index))
}

/// `GET /docs`.
pub async fn docs(Extension(index): Extension<Index>) -> Response {
    let document = document(&index);
    let mut body = "<h1>API of this node</h1><p>The same as a document for programs: \
        <a href=\"/v1/openapi.json\">/v1/openapi.json</a>, OpenAPI 3.1. <a href=\"/docs/errors\">Errors</a>, each with its next step.</p>"
        .to_owned();
    body += &format!("<p>{}</p>", escaped(document["info"]["description"].as_str().unwrap_or_default()));
    let mut before = "";
    for spec in index.specs() {
        let operation = &document["paths"][spec.path][spec.method.name()];
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        if tag != before {
            let _ = write!(body, "<h2>{}</h2>", escaped(tag));
        }
        before = tag;
        body += &route(spec, operation);
    }
    body += "<h2>Types</h2>";
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ = write!(
            body,
            "<details id=\"{name}\"><summary><code>{name}</code></summary><pre>{}</pre></details>",
            pretty(schema)
        );
    }
    page("API of this node", &body)
}

fn route(spec: &Spec, operation: &Value) -> String {
    let mut shown = format!(
        "<details><summary><code>{} {}</code> {}</summary>",
        spec.method.name().to_uppercase(),
        escaped(spec.path),
        escaped(spec.summary)
    );
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    if !parameters.is_empty() {
        shown += "<table><tr><th>parameter</th><th>in</th><th></th></tr>";
        for parameter in parameters {
            let text = |name: &str| escaped(parameter[name].as_str().unwrap_or_default());
            let _ = write!(
                shown,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                text("name"),
                text("in"),
                text("description")
            );
        }
        shown += "</table>";
    }
    for (name, value) in
        [("Body", &operation["requestBody"]["content"]), ("Answers", &operation["responses"])]
    {
        if !value.is_null() {
            let _ = write!(shown, "<details><summary>{name}</summary><pre>{}</pre></details>", pretty(value));
        }
    }
    shown + "</details>"
}

/// `GET /docs/errors`: the catalogue. The type of every problem leads here.
pub async fn catalogue() -> Response {
    let mut body = "<h1>Errors of the API</h1><p><a href=\"/docs\">All routes</a></p>".to_owned();
    for kind in Kind::ALL {
        let _ = write!(
            body,
            "<h2 id=\"{0}\">{0}</h2><p><strong>{1}.</strong> Status {2}.</p><p>{3}</p><p>{4}</p>",
            kind.slug(),
            escaped(kind.title()),
            kind.status().as_u16(),
            escaped(kind.meaning()),
            escaped(kind.next())
        );
    }
    page("Errors of the API", &body)
}

fn pretty(value: &Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(title: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    let policy: [(HeaderName, HeaderValue); 1] =
        [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))];
    (policy, Html(text)).into_response()
}
