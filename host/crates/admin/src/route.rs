//! Which request means what.

use http::Method;

/// Something that can be asked or ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Status,
    Metrics,
    Health,
    Reload,
    Stop,
}

/// Every path there is, with its methods as the Allow field writes them.
const PATHS: [(&str, Route); 5] = [
    ("/status", Route::Status),
    ("/metrics", Route::Metrics),
    ("/health", Route::Health),
    ("/reload", Route::Reload),
    ("/stop", Route::Stop),
];

/// Why a request means nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No such path.
    Path,
    /// The path takes only these methods.
    Method(&'static str),
}

impl Route {
    /// What the request means.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, Lost> {
        let (_, route) = PATHS.into_iter().find(|(known, _)| *known == path).ok_or(Lost::Path)?;
        if route.methods().split(", ").any(|known| known == method.as_str()) {
            Ok(route)
        } else {
            Err(Lost::Method(route.methods()))
        }
    }

    /// Whether it changes something.
    pub(crate) fn is_order(self) -> bool {
        matches!(self, Self::Reload | Self::Stop)
    }

    fn methods(self) -> &'static str {
        if self.is_order() { "POST" } else { "GET, HEAD" }
    }
}

/// Every request that means something, for whoever is lost.
pub(crate) fn paths() -> Vec<String> {
    PATHS.iter().map(|(path, route)| format!("{} {path}", if route.is_order() { "POST" } else { "GET" })).collect()
}

#[cfg(test)]
mod tests {
    use super::{Lost, Route};

    #[test]
    fn each_path_takes_its_methods_and_no_other() {
        for (method, path, wanted) in [
            ("GET", "/status", Ok(Route::Status)),
            ("HEAD", "/health", Ok(Route::Health)),
            ("GET", "/metrics", Ok(Route::Metrics)),
            ("POST", "/reload", Ok(Route::Reload)),
            ("POST", "/stop", Ok(Route::Stop)),
            ("POST", "/status", Err(Lost::Method("GET, HEAD"))),
            ("GET", "/stop", Err(Lost::Method("POST"))),
            ("HEAD", "/reload", Err(Lost::Method("POST"))),
            ("post", "/stop", Err(Lost::Method("POST"))),
            ("GET", "/", Err(Lost::Path)),
            ("GET", "/status/", Err(Lost::Path)),
            ("GET", "/Status", Err(Lost::Path)),
            ("POST", "/../stop", Err(Lost::Path)),
        ] {
            assert_eq!(Route::of(&method.parse().unwrap(), path), wanted, "{method} {path}");
        }
    }
}
