//! Every route once: where it is, who may use it, what goes in and comes out. The router, the OpenAPI document and the
//! page at `/docs` are made from this one table ([`table`]), so that none of them can have a route that another lacks.

mod openapi;
mod page;
mod spec;
mod table;

pub use openapi::document;
pub use page::{catalogue, docs, openapi_json};
pub use spec::{Index, Method, Route, Scope, Spec};
pub use table::table;
