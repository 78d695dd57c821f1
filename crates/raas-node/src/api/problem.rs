//! The catalogue of everything that can be refused, and the form in which `/v1` tells it: RFC 9457.
//!
//! The type of a problem is a path of this node, where the page of it stands, so that it can be followed without a
//! network. It never changes; the words of `detail` may.

use super::routes::{Index, Spec};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;

/// The content type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What is told of a refusal, on its way from the handler to its form.
#[derive(Clone, Debug)]
pub struct Told {
    /// What kind it is.
    pub kind: Kind,
    /// This case of it.
    pub detail: String,
    /// The field it is about, as the caller spelled it.
    pub field: Option<String>,
    /// When to come back.
    pub after_secs: Option<u64>,
}

macro_rules! kinds {
    ($($kind:ident $status:ident $slug:literal, $title:literal, $meaning:literal, $next:literal;)*) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $title] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The status it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// Its name in the type's URL.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$kind => $slug,)* }
            }

            /// Its name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $meaning,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn next(self) -> &'static str {
                match self { $(Self::$kind => $next,)* }
            }
        }
    };
}

kinds! {
    InvalidField BAD_REQUEST "invalid-field", "A field is wrong",
        "One field of the path, the query, the headers or the body is missing, unknown, twice there, or has a value that \
         cannot be used. Nothing was changed.",
        "`field` names it as it was sent, `pointer` its place in a JSON body, `detail` what would be right. Correct it and \
         send the request again.";
    InvalidRequest BAD_REQUEST "invalid-request", "The request cannot be read",
        "The request as a whole cannot be understood: its body is no JSON or is cut off, its path is no text, or its \
         content type is none that the route takes. Nothing was changed.",
        "Read `detail`, correct the request and send it again.";
    Unauthorized UNAUTHORIZED "unauthorized", "The caller did not show that it may",
        "A node that has keys wants one for every route that tells or does anything, and none was sent, or one that is unknown, \
         revoked or ended. A node without keys wants the content of `wallet.token`, a file in its data directory, for routes that \
         move money.",
        "Send it as `Authorization: Bearer SECRET`; the command line takes `--key-file`. `raas key new` on the node's machine makes \
         a key.";
    NotAllowed FORBIDDEN "not-allowed", "The key does not allow this",
        "The key is good, but not for this route: `read` sees what its tenant has, `write` changes it, `admin` sees and changes \
         the node.",
        "Use a key of the scope that `detail` names.";
    ForeignPage FORBIDDEN "foreign-page", "A web page of another origin must not act on this node",
        "The request has a `Host` or an `Origin` that is not this listener's: a browser sends such for a page of somebody else.",
        "Call the node by 127.0.0.1 or localhost, and without an `Origin` if the caller is no page of the node.";
    NotFound NOT_FOUND "not-found", "There is no such thing",
        "The path is right, but the job, CID, pin, piece, incident or transaction that it names is not known to this node.",
        "List what there is; `detail` names the route.";
    NoRoute NOT_FOUND "no-route", "There is no such path",
        "This node has no such route. It may be of another version.",
        "`GET /docs` lists the routes of this node.";
    MethodNotAllowed METHOD_NOT_ALLOWED "method-not-allowed", "The path does not take this method",
        "The path is known, but not with this method.",
        "The header `Allow` names the methods that it takes.";
    Conflict CONFLICT "conflict", "It contradicts what is stored or owned",
        "What is asked for does not go together with something before it: an `Idempotency-Key` was used for another \
         request, an account has too little, history is not the one that was looked at.",
        "Read `detail`, look at the present state, and decide anew. The same request again gives the same answer.";
    TooLarge PAYLOAD_TOO_LARGE "too-large", "It is larger than this node takes",
        "The body or the data is over a limit of the node. Nothing of it was kept.",
        "Send less, or raise the limit that `detail` names in the node's configuration.";
    TooMany TOO_MANY_REQUESTS "too-many-requests", "More than this caller's share",
        "The caller has as many requests as one caller may have.",
        "Wait for as many seconds as `retry_after` and the header `Retry-After` say.";
    Internal INTERNAL_SERVER_ERROR "internal", "The node failed to answer",
        "A defect of the node, or a disk that fails. The node's log has the reason; it is never told to callers.",
        "Send it again; where it stays so, look into the log, run `raas doctor`, and report it.";
    Unavailable SERVICE_UNAVAILABLE "unavailable", "Something it needs is not there now",
        "An endpoint, a source or the disk does not give what the answer needs, or the node has only begun to start.",
        "Try again later; `detail` says what is missing, `raas doctor` and `GET /readyz` look closer.";
    Busy SERVICE_UNAVAILABLE "busy", "All callers together want more than the node gives at once",
        "As many requests as the node serves at once are under way.",
        "Wait for as many seconds as `retry_after` and the header `Retry-After` say.";
    NoRoom INSUFFICIENT_STORAGE "no-room", "It needs space on the disk that is to stay free",
        "The data would leave less free space than `store.reserve_mib` of the configuration says. Nothing of it was kept.",
        "Free space: `raas store gc` deletes what nothing keeps. Or lower the reserve.";
}

impl Kind {
    /// The type's URL: a path of this node.
    #[must_use]
    pub fn url(self) -> String {
        format!("/docs/errors#{}", self.slug())
    }
}

/// A problem as RFC 9457 has it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem {
    /// What kind of problem it is: a path of this node that never changes.
    pub r#type: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This case of it, for people: which field, and what would be right.
    pub detail: String,
    /// The field as it was sent, where one is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// JSON pointer to the wrong value, where it is in a JSON body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Seconds after which the same request may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// A refusal in the specification's form.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refused {
    /// What is wrong, for people.
    pub error: String,
    /// The field as it was sent, where one is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// What was told of a request to a route; of an unknown path there is no `spec`.
    #[must_use]
    pub fn new(told: &Told, spec: Option<&Spec>) -> Self {
        let Told { kind, detail, field, after_secs } = told;
        let in_body = |field: &&String| spec.is_some_and(|spec| spec.has_in_body(field));
        let pointer = field.as_ref().filter(in_body).map(|field| pointer(field));
        Self {
            r#type: kind.url(),
            title: kind.title().to_owned(),
            status: kind.status().as_u16(),
            detail: detail.clone(),
            field: field.clone(),
            pointer,
            retry_after: *after_secs,
        }
    }
}

/// `a.b[2]` as a JSON pointer in a fragment.
fn pointer(field: &str) -> String {
    let mut pointer = "#".to_owned();
    for step in field.split(['.', '[']) {
        pointer.push('/');
        pointer.push_str(&step.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

/// Whether the answers of a path have the specification's form.
#[must_use]
pub fn is_specified(path: &str) -> bool {
    path.starts_with("/api/") || path.starts_with("/register_job")
}

/// Gives refusals of every path but the specification's the form of a problem.
pub async fn shape(State(index): State<Index>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let Some(told) = response.extensions_mut().remove::<Told>() else { return response };
    if is_specified(&path) {
        return response;
    }
    let spec = matched.and_then(|matched| index.get(&method, &matched));
    as_problem(response.into_parts().0, &Problem::new(&told, spec))
}

/// A problem as an answer, with the headers that it has already.
fn as_problem(mut parts: axum::http::response::Parts, problem: &Problem) -> Response {
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    match serde_json::to_vec(problem) {
        Ok(body) => Response::from_parts(parts, body.into()),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The catalogue as a page: docs/ERRORS.md.
#[must_use]
pub fn page() -> String {
    let mut page = "# Errors of the API\n\n\
        A refusal by `/v1` is a document of type `application/problem+json` (RFC 9457). Its `type` is the path of the entry below on the\n\
        node itself, and never changes; `detail` is for people, and may. Routes of the RaaS specification (`/api/*`, `/register_job`) answer\n\
        `{\"error\": detail, \"field\": field}` with the same status. What a node of another version says beyond this list is told by its status.\n"
        .to_owned();
    for kind in Kind::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n**{}** Status {}.\n\nMeaning: {}\n\nNext step: {}\n",
            kind.slug(),
            sentence(kind.title()),
            kind.status().as_u16(),
            kind.meaning(),
            kind.next()
        );
    }
    page
}

fn sentence(title: &str) -> String {
    format!("{title}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_pointers() {
        assert_eq!(pointer("cid"), "#/cid");
        assert_eq!(pointer("allocation.size"), "#/allocation/size");
        assert_eq!(pointer("pieces[2]"), "#/pieces/2");
        assert_eq!(pointer("a/b"), "#/a~1b");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut slugs: Vec<&str> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Kind::ALL.len());
    }
}
