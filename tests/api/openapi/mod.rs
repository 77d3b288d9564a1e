//! The API as a document, and as a page.

mod bodies;
mod document;
mod page;
mod schemathesis;

/// Whether this is a page for people, or a part of one: no route of the API.
fn is_page(path: &str) -> bool {
    ["/", "/docs"].contains(&path) || [".js", ".css", ".svg"].iter().any(|end| path.ends_with(end))
}
