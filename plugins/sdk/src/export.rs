//! The macros that make a crate a plugin.

/// Makes a type the plugin, with the hooks that are named: `request_head`, `request_body`,
/// `request_whole`, `response_head`, `response_body`, `response_whole`, `completion`, `timer`. The type
/// has the trait of each ([`crate::RequestHead`], [`crate::RequestBody`] and so on).
///
/// Outside Wasm it does nothing, so that the crate's own tests run natively.
#[macro_export]
macro_rules! export {
    ($plugin:ident; $($hook:ident),+ $(,)?) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static STATE: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            struct Glue;
            impl $crate::glue::lifecycle::Guest for Glue {
                fn configure() -> ::std::result::Result<$crate::glue::lifecycle::Registration, ::std::string::String> {
                    $crate::glue::configure(&STATE)
                }
            }
            $crate::glue::lifecycle_export::export!(Glue with_types_in $crate::glue::lifecycle_export);
            $($crate::__hook!($hook Glue STATE $plugin);)+
        };
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            $($crate::__check!($hook $plugin);)+
        };
    };
}

/// One hook of [`export!`].
#[doc(hidden)]
#[macro_export]
macro_rules! __hook {
    (request_head $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::request_head_export::exports::gatelodge::plugin::request_head::Guest for $glue {
            fn handle(view: ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u8>>>) -> $crate::Verdict {
                $crate::glue::request_head(&$state, view)
            }
        }
        $crate::glue::request_head_export::export!($glue with_types_in $crate::glue::request_head_export);
    };
    (response_head $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::response_head_export::exports::gatelodge::plugin::response_head::Guest for $glue {
            fn handle(view: ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u8>>>) -> $crate::Verdict {
                $crate::glue::response_head(&$state, view)
            }
        }
        $crate::glue::response_head_export::export!($glue with_types_in $crate::glue::response_head_export);
    };
    (request_body $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::request_body_export::exports::gatelodge::plugin::request_body::Guest for $glue {
            type Inspector = $crate::glue::Held<<$plugin as $crate::RequestBody>::Inspector>;
            fn open() -> $crate::glue::request_body_export::exports::gatelodge::plugin::request_body::Inspector {
                let held = $crate::glue::open_request_body(&$state);
                $crate::glue::request_body_export::exports::gatelodge::plugin::request_body::Inspector::new(held)
            }
        }
        $crate::glue::request_body_export::export!($glue with_types_in $crate::glue::request_body_export);
    };
    (request_whole $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::request_whole_export::exports::gatelodge::plugin::request_whole::Guest for $glue {
            fn handle(body: ::std::vec::Vec<u8>, complete: bool) -> $crate::WholeVerdict {
                $crate::glue::request_whole(&$state, body, complete)
            }
        }
        $crate::glue::request_whole_export::export!($glue with_types_in $crate::glue::request_whole_export);
    };
    (response_body $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::response_body_export::exports::gatelodge::plugin::response_body::Guest for $glue {
            type Inspector = $crate::glue::Held<<$plugin as $crate::ResponseBody>::Inspector>;
            fn open() -> $crate::glue::response_body_export::exports::gatelodge::plugin::response_body::Inspector {
                let held = $crate::glue::open_response_body(&$state);
                $crate::glue::response_body_export::exports::gatelodge::plugin::response_body::Inspector::new(held)
            }
        }
        $crate::glue::response_body_export::export!($glue with_types_in $crate::glue::response_body_export);
    };
    (response_whole $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::response_whole_export::exports::gatelodge::plugin::response_whole::Guest for $glue {
            fn handle(body: ::std::vec::Vec<u8>, complete: bool) -> $crate::WholeVerdict {
                $crate::glue::response_whole(&$state, body, complete)
            }
        }
        $crate::glue::response_whole_export::export!($glue with_types_in $crate::glue::response_whole_export);
    };
    (completion $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::completion_export::exports::gatelodge::plugin::completion::Guest for $glue {
            fn done(summary: $crate::Summary, view: ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u8>>>) {
                $crate::glue::completion(&$state, &summary, view);
            }
        }
        $crate::glue::completion_export::export!($glue with_types_in $crate::glue::completion_export);
    };
    (timer $glue:ident $state:ident $plugin:ident) => {
        impl $crate::glue::timer_export::exports::gatelodge::plugin::timer::Guest for $glue {
            fn tick() {
                $crate::glue::tick(&$state);
            }
        }
        $crate::glue::timer_export::export!($glue with_types_in $crate::glue::timer_export);
    };
}

/// Outside Wasm: the type must have the hook's trait all the same.
#[doc(hidden)]
#[macro_export]
macro_rules! __check {
    (request_head $plugin:ident) => {
        const _: fn() = $crate::glue::has_request_head::<$plugin>;
    };
    (response_head $plugin:ident) => {
        const _: fn() = $crate::glue::has_response_head::<$plugin>;
    };
    (request_body $plugin:ident) => {
        const _: fn() = $crate::glue::has_request_body::<$plugin>;
    };
    (request_whole $plugin:ident) => {
        const _: fn() = $crate::glue::has_request_whole::<$plugin>;
    };
    (response_body $plugin:ident) => {
        const _: fn() = $crate::glue::has_response_body::<$plugin>;
    };
    (response_whole $plugin:ident) => {
        const _: fn() = $crate::glue::has_response_whole::<$plugin>;
    };
    (completion $plugin:ident) => {
        const _: fn() = $crate::glue::has_completion::<$plugin>;
    };
    (timer $plugin:ident) => {
        const _: fn() = $crate::glue::has_timer::<$plugin>;
    };
}

/// Writes the custom section `gatelodge:manifest`, which the host reads without running
/// anything: one JSON object.
///
/// `grants` is written as JSON and says what the plugin asks for, in the words of
/// `[plugin.grants]`: `{ "log": true, "state": ["sessions"] }`. `config`, which may be left
/// out, is the JSON schema of the settings: the host checks them before it runs anything.
/// The others are literals (or `env!`) without quotes, backslashes or line ends.
#[macro_export]
macro_rules! manifest {
    (
        name: $name:expr, version: $version:expr, description: $description:expr,
        grants: $grants:tt $(, config: $config:tt)? $(,)?
    ) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            const TEXT: &str = ::std::concat!(
                "{\"name\":\"",
                $name,
                "\",\"version\":\"",
                $version,
                "\",\"description\":\"",
                $description,
                "\",\"grants\":",
                ::std::stringify!($grants),
                $(",\"config\":", ::std::stringify!($config),)?
                "}"
            );
            #[unsafe(link_section = "gatelodge:manifest")]
            static MANIFEST: [u8; TEXT.len()] = {
                let mut bytes = [0; TEXT.len()];
                bytes.copy_from_slice(TEXT.as_bytes());
                bytes
            };
        };
    };
    (name: $name:expr, version: $version:expr, grants: $grants:tt $(, config: $config:tt)? $(,)?) => {
        $crate::manifest! { name: $name, version: $version, description: "", grants: $grants $(, config: $config)? }
    };
}
