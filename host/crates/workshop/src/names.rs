//! Two spellings of every export: the canonical one, and one that is an identifier in any
//! language.
//!
//! | canonical | plain |
//! |---|---|
//! | `gatelodge:plugin/request-head@0.1.0#handle` | `gatelodge_plugin_request_head_handle` |
//! | `cabi_post_gatelodge:plugin/request-head@0.1.0#handle` | `gatelodge_plugin_request_head_handle_post` |
//! | `gatelodge:plugin/response-body@0.1.0#[method]inspector.chunk` | `gatelodge_plugin_response_body_inspector_chunk` |
//! | `gatelodge:plugin/response-body@0.1.0#[dtor]inspector` | `gatelodge_plugin_response_body_inspector_drop` |

use crate::contract::{Contract, full};
use std::collections::BTreeMap;
use wit_parser::TypeDefKind;

/// One function of a hook interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) canonical: String,
    pub(crate) plain: String,
}

/// The functions that an exported interface must have.
pub(crate) fn required(contract: &Contract, interface: &str) -> Vec<Export> {
    let name = full(interface);
    let of = |function: &wit_parser::Function| Export {
        canonical: function.legacy_core_export_name(Some(&name)).into_owned(),
        plain: plain(interface, &function.name),
    };
    contract.functions(interface).map(of).collect()
}

/// All plain spellings, and what they stand for: functions, what runs after them, and the
/// ends of resources.
pub(crate) fn spellings(contract: &Contract) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for hook in contract.hooks() {
        for export in required(contract, hook) {
            map.insert(format!("{}_post", export.plain), format!("cabi_post_{}", export.canonical));
            map.insert(export.plain, export.canonical);
        }
        let types = contract.interface(hook).into_iter().flat_map(|interface| interface.types.iter());
        for (name, id) in types {
            if matches!(contract.resolve.types[*id].kind, TypeDefKind::Resource) {
                let plain = plain(hook, &format!("{name}.drop"));
                map.insert(plain, format!("{}#[dtor]{name}", full(hook)));
            }
        }
    }
    map
}

/// `request-body`, `[method]inspector.chunk` -> `gatelodge_plugin_request_body_inspector_chunk`.
fn plain(interface: &str, function: &str) -> String {
    let function = function.rsplit(']').next().unwrap_or(function);
    format!("gatelodge_plugin_{interface}_{function}").replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_export_has_a_plain_spelling() {
        let map = spellings(&Contract::new());
        for (plain, canonical) in [
            ("gatelodge_plugin_request_head_handle", "gatelodge:plugin/request-head@0.1.0#handle"),
            ("gatelodge_plugin_request_head_handle_post", "cabi_post_gatelodge:plugin/request-head@0.1.0#handle"),
            ("gatelodge_plugin_lifecycle_configure", "gatelodge:plugin/lifecycle@0.1.0#configure"),
            ("gatelodge_plugin_response_body_open", "gatelodge:plugin/response-body@0.1.0#open"),
            (
                "gatelodge_plugin_response_body_inspector_chunk",
                "gatelodge:plugin/response-body@0.1.0#[method]inspector.chunk",
            ),
            (
                "gatelodge_plugin_response_body_inspector_end_post",
                "cabi_post_gatelodge:plugin/response-body@0.1.0#[method]inspector.end",
            ),
            ("gatelodge_plugin_response_body_inspector_drop", "gatelodge:plugin/response-body@0.1.0#[dtor]inspector"),
            ("gatelodge_plugin_completion_done", "gatelodge:plugin/completion@0.1.0#done"),
        ] {
            assert_eq!(map.get(plain).map(String::as_str), Some(canonical), "{plain}");
        }
        assert!(!map.keys().any(|plain| plain.contains("_log_")), "imports are named freely everywhere");
    }
}
