//! Looks at two request headers and sets one: what the guest `two-in-one-set` does.
#![forbid(unsafe_code)]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Two))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Two;

impl Context for Two {}

impl HttpContext for Two {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let agent = self.get_http_request_header("user-agent");
        let accept = self.get_http_request_header("accept");
        let seen = match (agent, accept) {
            (Some(_), Some(_)) => "both",
            (None, None) => "none",
            _ => "one",
        };
        self.set_http_request_header("x-seen", Some(seen));
        Action::Continue
    }
}
