//! What the API says of itself is so: its document, its pages, and the form of its refusals.

use crate::harness::{Scene, Setting, is_checked_in};
use raas_node::api::problem::{Kind, page};
use serde_json::{Value, json};

#[test]
fn the_page_of_errors_is_the_catalogue_of_the_code() {
    is_checked_in("docs/ERRORS.md", &page());
}

async fn document(scene: &Scene) -> Value {
    scene.get("/v1/openapi.json").await.expect(200)
}

/// Every route of a document: method, path, what is said of it.
fn routes(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let of_path = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("methods").clone();
        methods.into_iter().map(|(method, said)| (method, path.clone(), said)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_is_checked_in_and_says_of_every_route_what_it_answers() {
    let scene = Setting::new().start().await;
    let document = document(&scene).await;
    let mut text = serde_json::to_string_pretty(&document).expect("JSON");
    text.push('\n');
    is_checked_in("docs/openapi.json", &text);
    let mut names = Vec::new();
    for (method, path, said) in routes(&document) {
        names.push(said["operationId"].as_str().expect("a name").to_owned());
        assert!(
            said["summary"].as_str().is_some_and(|text| text.len() > 5),
            "{method} {path} has no summary"
        );
        let answers = said["responses"].as_object().expect("answers");
        assert!(answers.keys().any(|status| status.starts_with('2')), "{method} {path} never succeeds");
    }
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two routes have one name");
    // Every reference leads somewhere.
    for part in text.split("\"$ref\": \"#").skip(1) {
        let pointer = part.split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_of_v1_are_problems_and_those_of_the_specification_keep_their_form() {
    let scene = Setting::new().start().await;
    let errors = scene.get("/docs/errors").await;
    let errors = errors.body.as_str().expect("a page").to_owned();
    let cases: &[(&str, &str, &str, u16, Value)] = &[
        (
            "GET",
            "/v1/jobs?limit=0",
            "",
            400,
            json!({ "type": "/docs/errors#invalid-field", "field": "limit" }),
        ),
        ("GET", "/v1/jobs/7", "", 404, json!({ "type": "/docs/errors#not-found" })),
        ("GET", "/v1/nowhere", "", 404, json!({ "type": "/docs/errors#no-route" })),
        ("PUT", "/v1/jobs", "", 405, json!({ "type": "/docs/errors#method-not-allowed" })),
        ("POST", "/v1/pins", r#"{"cid":7}"#, 400, json!({ "field": "cid", "pointer": "#/cid" })),
        ("POST", "/v1/pins", r#"{"cid":"x","y":1}"#, 400, json!({ "field": "y", "pointer": "#/y" })),
        ("POST", "/v1/pins", "{", 400, json!({ "type": "/docs/errors#invalid-request" })),
        (
            "POST",
            "/v1/wallet/transactions",
            r#"{"do":"settle"}"#,
            401,
            json!({ "type": "/docs/errors#unauthorized" }),
        ),
    ];
    for (method, path, body, status, wanted) in cases {
        let sent = reqwest::Client::builder().no_proxy().build().expect("a client");
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let request = sent.request(method.clone(), format!("{}{path}", scene.admin()));
        let request = request.header("content-type", "application/json").body(*body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), *status, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
        assert!(answer.headers().contains_key("raas-network"), "{method} {path}");
        let problem: Value = answer.json().await.expect("a problem");
        assert_eq!(problem["status"], *status, "{problem}");
        for (name, value) in wanted.as_object().expect("members") {
            assert_eq!(problem[name], *value, "{method} {path}: {problem}");
        }
        let anchor =
            problem["type"].as_str().and_then(|of| of.strip_prefix("/docs/errors#")).expect("a type");
        assert!(errors.contains(&format!("id=\"{anchor}\"")), "{anchor} has no entry");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    }
    for path in ["/api/deal_status", "/api/nowhere", "/api/deal_status?cid=x"] {
        let answer = scene.get(path).await;
        assert!(answer.body["error"].is_string() && answer.body["type"].is_null(), "{path}: {}", answer.body);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_name_every_route_and_error_and_load_nothing() {
    let scene = Setting::new().start().await;
    let document = document(&scene).await;
    for path in ["/docs", "/docs/errors"] {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let answer = client.get(format!("{}{path}", scene.admin())).send().await.expect("an answer");
        let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
        let text = answer.text().await.expect("a page");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for loads in ["<script", "<link", "<img", "@import", "url(", "src="] {
            assert!(!text.contains(loads), "{path} has {loads}");
        }
        if path == "/docs" {
            for (method, route, _) in routes(&document) {
                let named = format!("<code>{} {route}</code>", method.to_uppercase());
                assert!(text.contains(&named), "{path} lacks {named}");
            }
        } else {
            for kind in Kind::ALL {
                assert!(text.contains(kind.title()), "{path} lacks {}", kind.slug());
            }
        }
    }
    scene.end().await;
}
