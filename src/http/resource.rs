//! A path, its methods, and what each of them needs. That nobody can add a
//! method without saying what it needs is what this is for.

use std::future::Future;

use actix_web::dev::{AppService, HttpServiceFactory, ServiceRequest};
use actix_web::guard;
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::{FromRequest, Handler, Responder, Route, web};

use super::counts::Pattern;
use super::{ApiError, Needs, auth};

/// A path with its methods; it answers 405 to any other.
pub(super) struct Resource {
    path: &'static str,
    allow: Vec<&'static str>,
    offered: Vec<(Method, Needs)>,
    routes: Vec<Route>,
}

/// A route of the API, for who wants to know them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// The method; HEAD goes with GET.
    pub method: Method,
    /// The pattern of its path.
    pub path: &'static str,
    /// What it needs.
    pub needs: Needs,
}

/// A path without methods yet.
pub(super) fn resource(path: &'static str) -> Resource {
    Resource { path, allow: Vec::new(), offered: Vec::new(), routes: Vec::new() }
}

impl Resource {
    /// GET, and HEAD with it.
    pub(super) fn read<H, A>(mut self, needs: impl Into<Needs>, handler: H) -> Self
    where
        H: Handler<A, Output: Responder, Future: Future>,
        A: FromRequest + 'static,
    {
        self.allow.extend(["GET", "HEAD"]);
        let route = web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        self.offer(Method::GET, needs.into(), route.to(handler))
    }

    /// POST.
    pub(super) fn post<H, A>(mut self, needs: impl Into<Needs>, handler: H) -> Self
    where
        H: Handler<A, Output: Responder, Future: Future>,
        A: FromRequest + 'static,
    {
        self.allow.push("POST");
        self.offer(Method::POST, needs.into(), web::post().to(handler))
    }

    /// PATCH.
    pub(super) fn patch<H, A>(mut self, needs: impl Into<Needs>, handler: H) -> Self
    where
        H: Handler<A, Output: Responder, Future: Future>,
        A: FromRequest + 'static,
    {
        self.allow.push("PATCH");
        self.offer(Method::PATCH, needs.into(), web::patch().to(handler))
    }

    /// PUT.
    pub(super) fn put<H, A>(mut self, needs: impl Into<Needs>, handler: H) -> Self
    where
        H: Handler<A, Output: Responder, Future: Future>,
        A: FromRequest + 'static,
    {
        self.allow.push("PUT");
        self.offer(Method::PUT, needs.into(), web::put().to(handler))
    }

    /// DELETE.
    pub(super) fn delete<H, A>(mut self, needs: impl Into<Needs>, handler: H) -> Self
    where
        H: Handler<A, Output: Responder, Future: Future>,
        A: FromRequest + 'static,
    {
        self.allow.push("DELETE");
        self.offer(Method::DELETE, needs.into(), web::delete().to(handler))
    }

    /// GET as the oldest apps ask: its handler refuses it unless the settings
    /// say otherwise, and no answer offers it.
    pub(super) fn oldest_get<H, A>(self, needs: impl Into<Needs>, handler: H) -> Self
    where
        H: Handler<A, Output: Responder, Future: Future>,
        A: FromRequest + 'static,
    {
        self.offer(Method::GET, needs.into(), web::get().to(handler))
    }

    fn offer(mut self, method: Method, needs: Needs, route: Route) -> Self {
        let admit = move |request: ServiceRequest, next: Next<_>| auth::admit(needs, request, next);
        self.routes.push(route.wrap(from_fn(admit)));
        self.offered.push((method, needs));
        self
    }

    /// Its routes.
    pub(super) fn infos(&self) -> impl Iterator<Item = RouteInfo> {
        let path = self.path;
        self.offered.iter().map(move |(method, needs)| RouteInfo {
            method: method.clone(),
            path,
            needs: *needs,
        })
    }
}

impl HttpServiceFactory for Resource {
    fn register(self, config: &mut AppService) {
        let allow = self.allow.join(", ");
        let wrong_method = move || {
            let allow = allow.clone();
            async move { Err::<&str, _>(ApiError::WrongMethod(allow)) }
        };
        let resource = web::resource(self.path).app_data(Pattern(self.path));
        let resource = self.routes.into_iter().fold(resource, actix_web::Resource::route);
        resource.default_service(web::to(wrong_method)).register(config);
    }
}
