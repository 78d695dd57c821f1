//! What a request to `/ipfs` asks for, apart from the CID. Pure.

use super::range::{self, Asked};
use axum::http::{HeaderMap, header};
use raas_piece::car::Scope;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One block.
    Raw,
    /// A CAR of so much of the DAG.
    Car(Scope),
    /// The bytes of a file, or the list of a directory.
    Plain,
}

/// A request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The form wanted.
    pub form: Form,
    /// Only what is here already; nothing is fetched for it.
    pub only_if_cached: bool,
    /// Tags the asker has.
    if_none_match: Option<String>,
    if_range: Option<String>,
    range: Option<String>,
}

/// Media type of a raw block.
pub const RAW_TYPE: &str = "application/vnd.ipld.raw";
const CAR_TYPE: &str = "application/vnd.ipld.car";

impl Request {
    /// Reads query and headers. The query's `format` beats `Accept`.
    ///
    /// # Errors
    /// The field that is wrong, and why.
    pub fn read(
        format: Option<&str>,
        dag_scope: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<Self, (&'static str, String)> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let scope = match dag_scope {
            None | Some("all") => Scope::All,
            Some("entity") => Scope::Entity,
            Some("block") => Scope::Block,
            Some(other) => return Err(("dag-scope", format!("{other:?} is none of all, entity, block"))),
        };
        let form = match format {
            Some("raw") => Form::Raw,
            Some("car") => Form::Car(scope),
            Some(other) => return Err(("format", format!("{other:?} is neither car nor raw"))),
            None => accepted(text(header::ACCEPT).unwrap_or_default(), scope)?,
        };
        let directives = text(header::CACHE_CONTROL).unwrap_or_default();
        let owned = |name| text(name).map(str::to_owned);
        Ok(Self {
            form,
            only_if_cached: directives.split(',').any(|word| word.trim() == "only-if-cached"),
            if_none_match: owned(header::IF_NONE_MATCH),
            if_range: owned(header::IF_RANGE),
            range: owned(header::RANGE),
        })
    }

    /// Whether the asker has what this tag names.
    #[must_use]
    pub fn has(&self, etag: &str) -> bool {
        let tags = self.if_none_match.as_deref().unwrap_or_default();
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }

    /// The bytes wanted of a plain answer of this length and tag.
    #[must_use]
    pub fn range(&self, length: u64, etag: &str) -> Asked {
        let same = self.if_range.as_deref().is_none_or(|tag| tag == etag);
        range::asked(self.range.as_deref().filter(|_| same), length)
    }
}

/// The first form of `Accept` that is known; plain bytes when there is none.
fn accepted(accept: &str, scope: Scope) -> Result<Form, (&'static str, String)> {
    for wanted in accept.split(',') {
        let mut parts = wanted.split(';').map(str::trim);
        match parts.next().unwrap_or_default() {
            RAW_TYPE => return Ok(Form::Raw),
            CAR_TYPE => {
                let other = parts.find(|part| part.starts_with("version=") && *part != "version=1");
                return match other {
                    None => Ok(Form::Car(scope)),
                    Some(other) => Err(("accept", format!("CARs are served with version=1, not {other}"))),
                };
            }
            _ => {}
        }
    }
    Ok(Form::Plain)
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
    use axum::http::HeaderName;

    fn read(format: Option<&str>, headers: &[(HeaderName, &str)]) -> Result<Request, (&'static str, String)> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect();
        Request::read(format, None, &headers)
    }

    #[test]
    fn the_query_beats_accept_and_browsers_get_plain_bytes() {
        let form = |format, accept| read(format, &[(header::ACCEPT, accept)]).map(|request| request.form);
        assert_eq!(form(None, "text/html,*/*;q=0.8"), Ok(Form::Plain));
        assert_eq!(form(None, "application/vnd.ipld.raw"), Ok(Form::Raw));
        assert_eq!(
            form(None, "text/html, application/vnd.ipld.car; order=dfs; dups=y"),
            Ok(Form::Car(Scope::All))
        );
        assert_eq!(form(Some("raw"), "application/vnd.ipld.car"), Ok(Form::Raw));
        assert!(form(None, "application/vnd.ipld.car;version=2").is_err());
        assert!(form(Some("tar"), "*/*").is_err());
        assert!(Request::read(Some("car"), Some("half"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn conditions_are_about_the_tag() {
        let tagged = read(None, &[(header::IF_NONE_MATCH, "\"a\", W/\"b\"")]).expect("fine");
        assert!(tagged.has("\"a\"") && tagged.has("\"b\"") && !tagged.has("\"c\""));
        assert!(read(None, &[(header::IF_NONE_MATCH, "*")]).expect("fine").has("\"c\""));
        let part = |tag| read(None, &[(header::RANGE, "bytes=1-2"), (header::IF_RANGE, tag)]).expect("fine");
        assert_eq!(part("\"a\"").range(10, "\"a\""), Asked::Part(1, 2));
        assert_eq!(part("\"b\"").range(10, "\"a\""), Asked::Whole);
        let cached = read(None, &[(header::CACHE_CONTROL, "no-store, only-if-cached")]).expect("fine");
        assert!(cached.only_if_cached);
    }

    #[test]
    fn names_say_what_files_are() {
        assert_eq!(media_type("a/b.PNG"), "image/png");
        assert_eq!(media_type("README"), "application/octet-stream");
    }
}
