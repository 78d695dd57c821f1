//! What the table says of one route.

use crate::api::App;
use crate::api::problem::Kind;
use crate::world::World;
use axum::handler::Handler;
use axum::http;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A type, as its schema is asked for.
pub type Of = fn(&mut SchemaGenerator) -> Schema;

/// The methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Reads.
    Get,
    /// Does something.
    Post,
    /// Ends something.
    Delete,
}

impl Method {
    /// As OpenAPI has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Delete => "delete",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Delete => MethodFilter::DELETE,
        }
    }

    /// A route that reads answers HEAD, too.
    fn of(method: &http::Method) -> Option<Self> {
        match *method {
            http::Method::GET | http::Method::HEAD => Some(Self::Get),
            http::Method::POST => Some(Self::Post),
            http::Method::DELETE => Some(Self::Delete),
            _ => None,
        }
    }
}

/// What a caller must be allowed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Nothing: it tells nothing of anybody.
    Open,
    /// To see what is its own.
    Read,
    /// To change what is its own.
    Write,
    /// To see and change what concerns the node and all who use it.
    Admin,
}

impl Scope {
    /// As keys name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// One route.
#[derive(Clone, Debug)]
pub struct Spec {
    /// How it is called.
    pub method: Method,
    /// Where it is, with its variable parts in braces.
    pub path: &'static str,
    /// Its name in clients.
    pub name: &'static str,
    /// Who may use it.
    pub scope: Scope,
    /// What it is for, in a line.
    pub summary: &'static str,
    /// Its query: the type of all parameters together.
    pub query: Option<Of>,
    /// Headers it reads, each with what for, and whether it must be there.
    pub headers: Vec<(&'static str, &'static str, bool)>,
    /// Its body by content type.
    pub bodies: Vec<(&'static str, Of)>,
    /// What it answers: status, content type, type. The first is that of a success.
    pub answers: Vec<(u16, &'static str, Of)>,
    /// Problems of its own; those that its parts bring along are added by [`Spec::problems`].
    own_problems: &'static [Kind],
}

impl Spec {
    /// Its variable parts.
    pub fn path_parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next())
    }

    /// Its parameters in the query: name, schema, whether it must be there.
    #[must_use]
    pub fn query_parameters(&self, generator: &mut SchemaGenerator) -> Vec<(String, Value, bool)> {
        let Some(schema) = self.query.map(|of| of(generator).to_value()) else { return Vec::new() };
        let required =
            |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
        let properties = schema["properties"].as_object();
        let properties = properties.into_iter().flatten();
        properties.map(|(name, schema)| (name.clone(), given(schema), required(name))).collect()
    }

    /// Whether a wrong field of this name is one of a JSON body. Where other encodings are taken as well, a pointer says
    /// nothing.
    #[must_use]
    pub fn has_in_body(&self, field: &str) -> bool {
        let json_only = matches!(self.bodies.as_slice(), [("application/json", _)]);
        let elsewhere = || {
            let generator = &mut SchemaGenerator::default();
            self.path_parameters().any(|name| name == field)
                || field.eq_ignore_ascii_case("content-type")
                || self.headers.iter().any(|(name, ..)| name.eq_ignore_ascii_case(field))
                || self.query_parameters(generator).iter().any(|(name, ..)| name == field)
        };
        json_only && !elsewhere()
    }

    /// Everything that it can refuse, in the order of statuses.
    #[must_use]
    pub fn problems(&self) -> Vec<Kind> {
        let mut problems = self.own_problems.to_vec();
        if self.scope > Scope::Open {
            problems.extend([Kind::Unauthorized, Kind::ForeignPage, Kind::Internal, Kind::Unavailable]);
        }
        if self.scope > Scope::Read {
            problems.push(Kind::NotAllowed);
        }
        if self.path.contains('{') || self.query.is_some() || !self.bodies.is_empty() {
            problems.extend([Kind::InvalidField, Kind::InvalidRequest]);
        }
        if !self.bodies.is_empty() {
            problems.push(Kind::TooLarge);
        }
        problems.sort_unstable();
        problems.dedup();
        problems
    }
}

/// The schema of a parameter that is there: only one that is not there is null.
fn given(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let one = schema["type"].as_array().and_then(|types| types.iter().find(|of| *of != "null").cloned());
    if let Some(one) = one {
        schema["type"] = one;
    }
    let of = schema["anyOf"].as_array().and_then(|any| any.iter().find(|of| of["type"] != "null").cloned());
    match of {
        Some(mut of) => {
            of["description"] = schema["description"].take();
            of
        }
        None => schema,
    }
}

/// A route and what answers it.
pub struct Route<W: World> {
    /// What is said of it.
    pub spec: Spec,
    /// What answers.
    pub handler: MethodRouter<Arc<App<W>>>,
}

impl<W: World> Route<W> {
    /// A route that takes and tells nothing yet.
    pub fn new<H, T>(method: Method, path: &'static str, name: &'static str, scope: Scope, handler: H) -> Self
    where
        H: Handler<T, Arc<App<W>>>,
        T: 'static,
    {
        let spec = Spec {
            method,
            path,
            name,
            scope,
            summary: "",
            query: None,
            headers: Vec::new(),
            bodies: Vec::new(),
            answers: Vec::new(),
            own_problems: &[],
        };
        Self { spec, handler: on(method.filter(), handler) }
    }

    /// What it is for.
    #[must_use]
    pub fn says(mut self, summary: &'static str) -> Self {
        self.spec.summary = summary;
        self
    }

    /// The type of its query.
    #[must_use]
    pub fn query<T: JsonSchema>(mut self) -> Self {
        self.spec.query = Some(T::json_schema);
        self
    }

    /// A header that it reads.
    #[must_use]
    pub fn header(mut self, name: &'static str, what: &'static str, required: bool) -> Self {
        self.spec.headers.push((name, what, required));
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn body<T: JsonSchema>(self) -> Self {
        self.body_as::<T>("application/json")
    }

    /// A body of another content type, or one more.
    #[must_use]
    pub fn body_as<T: JsonSchema>(mut self, content_type: &'static str) -> Self {
        self.spec.bodies.push((content_type, |generator| generator.subschema_for::<T>()));
        self
    }

    /// What it answers with this status, as JSON.
    #[must_use]
    pub fn answers<T: JsonSchema>(self, status: u16) -> Self {
        self.answers_as::<T>(status, "application/json")
    }

    /// What it answers in another content type.
    #[must_use]
    pub fn answers_as<T: JsonSchema>(mut self, status: u16, content_type: &'static str) -> Self {
        self.spec.answers.push((status, content_type, |generator| generator.subschema_for::<T>()));
        self
    }

    /// What it can refuse besides what its parts bring along.
    #[must_use]
    pub fn fails(mut self, problems: &'static [Kind]) -> Self {
        self.spec.own_problems = problems;
        self
    }

    /// A layer around its handler.
    #[must_use]
    pub fn with(
        mut self,
        change: impl FnOnce(MethodRouter<Arc<App<W>>>) -> MethodRouter<Arc<App<W>>>,
    ) -> Self {
        self.handler = change(self.handler);
        self
    }
}

/// Routes by method and path.
#[derive(Clone, Debug)]
pub struct Index(Arc<BTreeMap<(Method, &'static str), Spec>>);

impl Index {
    /// Of these routes.
    pub fn new<W: World>(routes: &[Route<W>]) -> Self {
        let by_place = routes.iter().map(|route| ((route.spec.method, route.spec.path), route.spec.clone()));
        Self(Arc::new(by_place.collect()))
    }

    /// The route that answers.
    #[must_use]
    pub fn get(&self, method: &http::Method, matched: &str) -> Option<&Spec> {
        let method = Method::of(method)?;
        // Paths of the table live longer than those of requests, so the request's is compared, not looked up.
        self.0.iter().find(|((of, path), _)| *of == method && *path == matched).map(|(_, spec)| spec)
    }

    /// All of them.
    pub fn specs(&self) -> impl Iterator<Item = &Spec> {
        self.0.values()
    }
}
