//! The macros that make a crate a plugin.

/// Makes a type the plugin, with the hooks that are named: `request_head`,
/// `response_head`, `completion`. The type has the trait of each ([`crate::RequestHead`],
/// [`crate::ResponseHead`], [`crate::Completion`]).
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
            $($crate::__hook!($hook Glue STATE);)+
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
    (request_head $glue:ident $state:ident) => {
        impl $crate::glue::request_head_export::exports::gatelodge::plugin::request_head::Guest for $glue {
            fn handle(view: ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u8>>>) -> $crate::Verdict {
                $crate::glue::request_head(&$state, view)
            }
        }
        $crate::glue::request_head_export::export!($glue with_types_in $crate::glue::request_head_export);
    };
    (response_head $glue:ident $state:ident) => {
        impl $crate::glue::response_head_export::exports::gatelodge::plugin::response_head::Guest for $glue {
            fn handle(view: ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u8>>>) -> $crate::Verdict {
                $crate::glue::response_head(&$state, view)
            }
        }
        $crate::glue::response_head_export::export!($glue with_types_in $crate::glue::response_head_export);
    };
    (completion $glue:ident $state:ident) => {
        impl $crate::glue::completion_export::exports::gatelodge::plugin::completion::Guest for $glue {
            fn done(summary: $crate::Summary, view: ::std::vec::Vec<::std::option::Option<::std::vec::Vec<u8>>>) {
                $crate::glue::completion(&$state, &summary, view);
            }
        }
        $crate::glue::completion_export::export!($glue with_types_in $crate::glue::completion_export);
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
    (completion $plugin:ident) => {
        const _: fn() = $crate::glue::has_completion::<$plugin>;
    };
}

/// Writes the custom section `gatelodge:manifest`, which the host reads without running
/// anything: one JSON object.
///
/// `grants` is written as JSON and says what the plugin asks for, in the words of
/// `[plugin.grants]`: `{ "log": true, "state": ["sessions"] }`. The others are literals
/// (or `env!`) without quotes, backslashes or line ends.
#[macro_export]
macro_rules! manifest {
    (name: $name:expr, version: $version:expr, description: $description:expr, grants: $grants:tt $(,)?) => {
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
    (name: $name:expr, version: $version:expr, grants: $grants:tt $(,)?) => {
        $crate::manifest! { name: $name, version: $version, description: "", grants: $grants }
    };
}
