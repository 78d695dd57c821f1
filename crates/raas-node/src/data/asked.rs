//! What a request to `/ipfs` asks for, apart from the CID. Pure.

use super::accept;
use super::range::{self, Asked};
use axum::http::{HeaderMap, HeaderName, header};
use raas_piece::car::Scope;
use serde::Deserialize;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One block.
    Raw,
    /// A CAR of so much of the DAG.
    Car {
        /// How much.
        scope: Scope,
        /// With each block as often as it is linked, for readers that keep none.
        duplicates: bool,
    },
    /// The bytes of a file, or the list of a directory: nothing that a reader can check.
    Plain,
}

impl Form {
    /// Its media type; that of plain bytes follows from what they are.
    #[must_use]
    pub const fn media_type(self) -> Option<&'static str> {
        match self {
            Self::Raw => Some("application/vnd.ipld.raw"),
            Self::Car { duplicates: false, .. } => {
                Some("application/vnd.ipld.car; version=1; order=dfs; dups=n")
            }
            Self::Car { duplicates: true, .. } => {
                Some("application/vnd.ipld.car; version=1; order=dfs; dups=y")
            }
            Self::Plain => None,
        }
    }

    /// What tells the forms of one CID apart.
    #[must_use]
    pub fn tag(self) -> String {
        let (scope, duplicates) = match self {
            Self::Raw => return "raw".to_owned(),
            Self::Plain => return "file".to_owned(),
            Self::Car { scope, duplicates } => (scope, duplicates),
        };
        let scope = match scope {
            Scope::All => String::new(),
            Scope::Entity => ".entity".to_owned(),
            Scope::Block => ".block".to_owned(),
            Scope::Bytes(span) => format!(".entity.{span}"),
        };
        format!("car{scope}{}", if duplicates { ".dups" } else { "" })
    }

    /// The query that asks for this form without any header; empty for plain bytes.
    #[must_use]
    pub fn query(self) -> String {
        let (scope, duplicates) = match self {
            Self::Plain => return String::new(),
            Self::Raw => return "format=raw".to_owned(),
            Self::Car { scope, duplicates } => (scope, duplicates),
        };
        let scope = match scope {
            Scope::All => String::new(),
            Scope::Entity => "&dag-scope=entity".to_owned(),
            Scope::Block => "&dag-scope=block".to_owned(),
            Scope::Bytes(span) => format!("&dag-scope=entity&entity-bytes={span}"),
        };
        format!("format=car{scope}&car-dups={}", if duplicates { 'y' } else { 'n' })
    }
}

/// The query. Other parameters are no business of ours.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Parameters {
    format: Option<String>,
    dag_scope: Option<String>,
    entity_bytes: Option<String>,
    car_version: Option<String>,
    car_order: Option<String>,
    car_dups: Option<String>,
}

/// A request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The form wanted.
    pub form: Form,
    /// Whether the form is known from `Accept` alone, so that caches have to be told another address.
    pub by_accept: bool,
    /// Only what is here already; nothing is fetched for it.
    pub only_if_cached: bool,
    /// It comes from a browser that would run the answer for every page below its path.
    pub is_service_worker: bool,
    conditions: Conditions,
}

/// What an answer depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    if_none_match: Option<String>,
    if_range: Option<String>,
    range: Option<String>,
}

type Wrong = (&'static str, String);

impl Request {
    /// Reads query and headers. The query's `format` beats `Accept`.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub fn read(parameters: &Parameters, headers: &HeaderMap) -> Result<Self, Wrong> {
        let scope = scope(parameters)?;
        let accept = text(headers, header::ACCEPT).unwrap_or_default();
        let by_accept = parameters.format.is_none();
        let form = match parameters.format.as_deref() {
            Some("raw") => Form::Raw,
            Some("car") => Form::Car { scope, duplicates: duplicates(parameters, accept::car(accept))? },
            Some(other) => return Err(("format", format!("{other:?} is neither car nor raw"))),
            None => match accept::form(accept).map_err(|why| ("accept", why))? {
                accept::Wanted::Raw => Form::Raw,
                accept::Wanted::Car(car) => {
                    Form::Car { scope, duplicates: duplicates(parameters, Some(car))? }
                }
                accept::Wanted::Other => Form::Plain,
            },
        };
        let directives = text(headers, header::CACHE_CONTROL).unwrap_or_default();
        Ok(Self {
            form,
            by_accept: by_accept && form != Form::Plain,
            only_if_cached: directives.split(',').any(|word| word.trim() == "only-if-cached"),
            is_service_worker: text(headers, HeaderName::from_static("service-worker")) == Some("script"),
            conditions: Conditions::read(headers),
        })
    }

    /// Whether the asker has what this tag names.
    #[must_use]
    pub fn has(&self, etag: &str) -> bool {
        self.conditions.has(etag)
    }

    /// The bytes wanted of an answer of this length and tag.
    #[must_use]
    pub fn range(&self, length: u64, etag: &str) -> Asked {
        self.conditions.range(length, etag)
    }
}

impl Conditions {
    /// Reads the headers.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let owned = |name| text(headers, name).map(str::to_owned);
        Self {
            if_none_match: owned(header::IF_NONE_MATCH),
            if_range: owned(header::IF_RANGE),
            range: owned(header::RANGE),
        }
    }

    /// Whether the asker has what this tag names.
    #[must_use]
    pub fn has(&self, etag: &str) -> bool {
        let tags = self.if_none_match.as_deref().unwrap_or_default();
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }

    /// The bytes wanted of an answer of this length and tag. A range of something else than this is not wanted.
    #[must_use]
    pub fn range(&self, length: u64, etag: &str) -> Asked {
        let same = self.if_range.as_deref().is_none_or(|tag| tag == etag);
        range::asked(self.range.as_deref().filter(|_| same), length)
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `entity-bytes` stands for the entity's scope; who names another one means that.
fn scope(parameters: &Parameters) -> Result<Scope, Wrong> {
    let span = match parameters.entity_bytes.as_deref() {
        Some(text) => Some(text.parse().map_err(|error| ("entity-bytes", format!("{error}")))?),
        None => None,
    };
    match (parameters.dag_scope.as_deref(), span) {
        (None | Some("entity"), Some(span)) => Ok(Scope::Bytes(span)),
        (None | Some("all"), _) => Ok(Scope::All),
        (Some("entity"), None) => Ok(Scope::Entity),
        (Some("block"), _) => Ok(Scope::Block),
        (Some(other), _) => Err(("dag-scope", format!("{other:?} is none of all, entity, block"))),
    }
}

/// Whether blocks come more than once; the query beats what `Accept` says of CARs.
fn duplicates(parameters: &Parameters, accepted: Option<accept::Car>) -> Result<bool, Wrong> {
    match parameters.car_version.as_deref() {
        None | Some("1") => {}
        Some(other) => return Err(("car-version", format!("CARs are served in version 1, not {other:?}"))),
    }
    match parameters.car_order.as_deref() {
        None | Some("dfs" | "unk") => {}
        Some(other) => return Err(("car-order", format!("{other:?} is none of dfs, unk"))),
    }
    match parameters.car_dups.as_deref() {
        Some("y") => Ok(true),
        Some("n") => Ok(false),
        None => Ok(accepted.is_some_and(|car| car.duplicates)),
        Some(other) => Err(("car-dups", format!("{other:?} is none of y, n"))),
    }
}

/// The media type of a file, by its name.
#[must_use]
pub fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("txt" | "md" | "csv") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("webp") => "image/webp",
        Some("pdf") => "application/pdf",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("webm") => "video/webm",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, headers: &[(HeaderName, &str)]) -> Result<Request, Wrong> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect();
        let uri = format!("/?{query}").parse().expect("an address");
        let axum::extract::Query(parameters) = axum::extract::Query::try_from_uri(&uri).expect("parameters");
        Request::read(&parameters, &headers)
    }

    fn car(scope: Scope, duplicates: bool) -> Result<Form, Wrong> {
        Ok(Form::Car { scope, duplicates })
    }

    #[test]
    fn the_query_beats_accept_and_browsers_get_plain_bytes() {
        let form =
            |query: &str, accept: &str| read(query, &[(header::ACCEPT, accept)]).map(|request| request.form);
        assert_eq!(form("", "text/html,*/*;q=0.8"), Ok(Form::Plain));
        assert_eq!(form("", "application/vnd.ipld.raw"), Ok(Form::Raw));
        let both = "text/html, application/vnd.ipld.car; order=dfs; dups=y";
        assert_eq!(form("", both), car(Scope::All, true));
        assert_eq!(form("format=car", both), car(Scope::All, true));
        assert_eq!(form("format=car&car-dups=n", both), car(Scope::All, false));
        assert_eq!(form("format=raw", "application/vnd.ipld.car"), Ok(Form::Raw));
        assert!(form("", "application/vnd.ipld.car;version=2").is_err());
        assert!(form("format=tar", "*/*").is_err());
        assert!(form("format=car&dag-scope=half", "*/*").is_err());
        for wrong in
            ["car-version=2", "car-order=bfs", "car-dups=maybe", "entity-bytes=1", "entity-bytes=9:1"]
        {
            let (field, _) = form(&format!("format=car&{wrong}"), "*/*").expect_err(wrong);
            assert!(wrong.starts_with(field), "{wrong}: {field}");
        }
    }

    #[test]
    fn a_range_of_an_entity_is_another_scope_and_another_tag() {
        let form = |query: &str| read(query, &[]).expect("fine").form;
        let span = Scope::Bytes("-5:*".parse().expect("a span"));
        assert_eq!(Ok(form("format=car&entity-bytes=-5:*")), car(span, false));
        assert_eq!(Ok(form("format=car&dag-scope=entity&entity-bytes=-5:*")), car(span, false));
        assert_eq!(Ok(form("format=car&dag-scope=block&entity-bytes=-5:*")), car(Scope::Block, false));
        let queries = [
            "format=raw",
            "format=car",
            "format=car&car-dups=y",
            "format=car&dag-scope=block",
            "format=car&dag-scope=entity",
            "format=car&entity-bytes=0:*",
            "format=car&entity-bytes=0:5",
            "format=car&entity-bytes=0:5&car-dups=y",
        ];
        let tags: std::collections::BTreeSet<String> =
            queries.iter().map(|query| form(query).tag()).collect();
        assert_eq!(tags.len(), queries.len(), "{tags:?}");
        for query in queries {
            assert_eq!(form(&form(query).query()), form(query), "{query}");
        }
    }

    #[test]
    fn conditions_are_about_the_tag() {
        let tagged = read("", &[(header::IF_NONE_MATCH, "\"a\", W/\"b\"")]).expect("fine");
        assert!(tagged.has("\"a\"") && tagged.has("\"b\"") && !tagged.has("\"c\""));
        assert!(read("", &[(header::IF_NONE_MATCH, "*")]).expect("fine").has("\"c\""));
        let part = |tag| read("", &[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, tag)]).expect("fine");
        assert_eq!(part("\"a\"").range(10, "\"a\""), Asked::Part(1, 2));
        assert_eq!(part("\"b\"").range(10, "\"a\""), Asked::Whole);
        let cached = read("", &[(header::CACHE_CONTROL, "no-store, only-if-cached")]).expect("fine");
        assert!(cached.only_if_cached);
    }

    #[test]
    fn names_say_what_files_are() {
        assert_eq!(media_type("a/b.PNG"), "image/png");
        assert_eq!(media_type("README"), "application/octet-stream");
    }
}
